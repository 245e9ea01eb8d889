"""Names and sentences that report and model card share."""

from forgery.evaluation.scores import Comparison
from forgery.views import RAW

METRIC_TITLES = {
    "f1": "F1 (forged)",
    "balanced_accuracy": "Balanced accuracy",
    "roc_auc": "ROC AUC",
    "macro_f1": "Macro F1",
    "precision": "Precision (forged)",
    "recall": "Recall (forged)",
    "accuracy": "Accuracy",
    "average_precision": "Average precision",
    "ece": "Calibration error (ECE)",
}
MAP_FIGURES = {"auc": "ROC AUC within the picture", "f1": "Pixel F1", "iou": "IoU"}
# A header-only AUC from here on means that files, not edits, tell the classes apart.
_HISTORY_AUC = 0.6


def pretty(name: str) -> str:
    """E.g. `header_only` as `Header only`."""
    return name.replace("_", " ").capitalize()


def file_history(comparison: Comparison) -> str:
    """A warning where the headers of the files alone tell the classes apart; else empty."""
    header_only = next((each for each in comparison.baselines if each.name == "header_only"), None)
    if header_only is None or header_only.metrics["roc_auc"].value < _HISTORY_AUC:
        return ""
    theirs, ours = header_only.metrics["roc_auc"].value, comparison.challenger.views[RAW].metrics["roc_auc"].value
    return (
        "File headers alone, without a pixel, tell the classes of this test split apart with a ROC AUC of "
        f"{theirs:.3f} (the model on the same files: {ours:.3f}). A detector can score well here by "
        "reading how a file was last saved instead of what was edited; expect less on pictures whose two classes were "
        "saved alike."
    )
