"""What a run costs as its pictures grow: `python -m benchmarks.scale`."""
