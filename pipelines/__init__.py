"""Pipelines: wiring only. Compiled YAML stands beside them, and is what runs, here and on the cluster."""
