"""Measure models on the test split: `evaluate` scores, `scores` holds what was measured, `report` shows it."""
