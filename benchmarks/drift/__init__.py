"""How often the drift rule speaks up, on streams that shifted and on one that did not: `python -m benchmarks.drift`."""
