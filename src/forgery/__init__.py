"""The library of the platform: runs inside pods and on a laptop; knows no orchestrator and no server."""

__version__ = "0.1.0"
