"""Measure models on the test split: `evaluate` scores, `scores` holds what was measured, `report` shows it.

Only what is light to import is named here; `forgery.evaluation.evaluate` needs TensorFlow.
"""

from forgery.evaluation.scores import BaselineScores, Comparison, ModelScores, TestPictures

__all__ = ["BaselineScores", "Comparison", "ModelScores", "TestPictures"]
