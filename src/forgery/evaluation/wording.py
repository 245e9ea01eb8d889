"""Names that report and model card share."""

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
