"""Names that report and model card share."""

from forgery.bundle import Lineage
from forgery.histories import MATCHED

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


def pretty(name: str) -> str:
    """E.g. `header_only` as `Header only`."""
    return name.replace("_", " ").capitalize()


def trained_on(lineage: Lineage) -> str:
    """Which copies of the training pictures a model was fitted to, e.g. `the files as they are, and copies q85`."""
    variants = lineage.config.get("variants")
    if variants is None:
        return ""
    copies = [name for name in variants if name != MATCHED]
    first = "one file history for both classes (matched)" if MATCHED in variants else "the files as they are"
    return f"{first}, and copies {', '.join(copies)}" if copies else first
