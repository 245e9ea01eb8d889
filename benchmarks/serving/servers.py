"""Server processes: started, waited for, measured, ended."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from forgery.bundle import KERAS_FILE, Bundle
from serving.sockets import LOOPBACK, answers, free_ports

_START_TIMEOUT_S = 180.0
MODEL_NAME = "forgery"
READY = f"/v2/models/{MODEL_NAME}/ready"


@dataclass(frozen=True)
class Server:
    """One running process."""

    process: psutil.Process
    http_port: int
    grpc_port: int
    start_s: float

    @property
    def url(self) -> str:
        """Of its REST side."""
        return f"http://{LOOPBACK}:{self.http_port}"

    @property
    def grpc(self) -> str:
        """Address of its gRPC side."""
        return f"{LOOPBACK}:{self.grpc_port}"

    def memory_mb(self) -> float:
        """Resident memory now."""
        return float(self.process.memory_info().rss) / 1e6

    def peak_memory_mb(self) -> float:
        """Most resident memory so far; Linux keeps it."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return float(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) * 1024 / 1e6

    def metrics(self) -> dict[str, float]:
        """What it tells Prometheus, by series."""
        lines = httpx.get(f"{self.url}/metrics").text.splitlines()
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line[:1] != "#")}


@contextmanager
def running(module: str, arguments: Sequence[str], ready_path: str, log: Path) -> Iterator[Server]:
    """Run `python -m module` until the block ends; it is ready when the block begins."""
    http_port, grpc_port = free_ports(2)
    ports = {"{http_port}": str(http_port), "{grpc_port}": str(grpc_port)}
    command = [sys.executable, "-m", module, *(ports.get(each, each) for each in arguments)]
    start = time.monotonic()
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, env={"TF_CPP_MIN_LOG_LEVEL": "2", **os.environ}
        )
    try:
        while not answers(LOOPBACK, http_port, ready_path):
            if process.poll() is not None or time.monotonic() - start > _START_TIMEOUT_S:
                raise RuntimeError(f"{module} did not start; see {log}")
            time.sleep(0.02)
        yield Server(psutil.Process(process.pid), http_port, grpc_port, time.monotonic() - start)
    finally:
        process.terminate()
        process.wait()


def predictor(bundle: Bundle, engine: str, log: Path) -> AbstractContextManager[Server]:
    """A predictor of that bundle on `tensorflow` or `litert`."""
    arguments = ["--model_dir", str(bundle.path), "--engine", engine, *_ADDRESS]
    return running("serving.predictor", arguments, READY, log)


def transformer(behind: Server, log: Path, *flags: str) -> AbstractContextManager[Server]:
    """A transformer in front of a predictor."""
    return running("serving.transformer", ["--predictor_host", behind.grpc, *_ADDRESS, *flags], READY, log)


def common(bundle: Bundle, log: Path) -> AbstractContextManager[Server]:
    """The server that is compared with."""
    arguments = ["--model", str(bundle.path / KERAS_FILE), "--recipe", bundle.info.recipe, "--port", "{http_port}"]
    return running("benchmarks.serving.common_server", arguments, "/health", log)


_ADDRESS = ("--host", LOOPBACK, "--http_port", "{http_port}", "--grpc_port", "{grpc_port}")
