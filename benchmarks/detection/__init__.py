"""How well detectors detect, under one protocol that file history cannot help: `python -m benchmarks.detection`."""
