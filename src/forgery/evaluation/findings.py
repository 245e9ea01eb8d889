"""What the figures themselves say against a model, in sentences: the limits that were measured."""

import math
from collections.abc import Iterator

from forgery.evaluation.robustness import TITLES
from forgery.evaluation.scores import Comparison, ModelScores
from forgery.views import RAW

# A header-only AUC from here on means that files, not edits, tell the classes apart.
_HISTORY_AUC = 0.6
# Answers whose AUC may be that of a coin.
_CHANCE = 0.5
# A control whose interval lies above it tells that file history is read.
_CONTROL = 0.55


def measured_limits(comparison: Comparison) -> list[str]:
    """One sentence for each weakness of the challenger that its own figures show; empty where they show none."""
    scores = comparison.challenger
    return [*_file_history(comparison), *_controls(scores), *_chance(scores), *_damages(scores), *_maps(scores)]


def _file_history(comparison: Comparison) -> Iterator[str]:
    header_only = next((each for each in comparison.baselines if each.name == "header_only"), None)
    if header_only is None or header_only.metrics["roc_auc"].value < _HISTORY_AUC:
        return
    theirs, ours = header_only.metrics["roc_auc"].value, comparison.challenger.views[RAW].metrics["roc_auc"].value
    yield (
        "File headers alone, without a pixel, tell the classes of this test split apart with a ROC AUC of "
        f"{theirs:.3f} (the model on the same files: {ours:.3f}). A detector can score well on raw files by reading "
        "how they were last saved instead of what was edited; read the other views first."
    )


def _controls(scores: ModelScores) -> Iterator[str]:
    for name, view in scores.views.items():
        if view.control is not None and view.control.roc_auc.low > _CONTROL:
            yield (
                f"In view {name} it tells crops without a forged pixel apart (ROC AUC "
                f"{view.control.roc_auc.value:.3f}): part of its score there is file history."
            )


def _chance(scores: ModelScores) -> Iterator[str]:
    for name, view in scores.views.items():
        auc = view.metrics["roc_auc"]
        if auc.low <= _CHANCE:
            interval = f"{auc.low:.3f} to {auc.high:.3f}"
            yield f"In view {name} its ranking may be chance (ROC AUC {auc.value:.3f}, {interval})."


def _damages(scores: ModelScores) -> Iterator[str]:
    points = scores.robustness.points if scores.robustness else []
    for kind, (title, unit) in TITLES.items():
        lost = [f"{each.level:g}" for each in points if each.damage == kind and each.metrics["roc_auc"].low <= _CHANCE]
        if lost:
            yield f"{title} ({unit} {', '.join(lost)}), pictures are ranked no better than chance may do."


def _maps(scores: ModelScores) -> Iterator[str]:
    for name, view in scores.views.items():
        if view.maps is None:
            continue
        ours, others = view.maps.figures["map"]["auc"], {"plain error levels": "ela", "a box in the middle": "centre"}
        better = [said for said, method in others.items() if _mean(view.maps.figures[method]["auc"]) >= _mean(ours)]
        if better:
            yield f"In view {name} its map points at the edit no better than {' or '.join(better)}."


def _mean(values: list[float]) -> float:
    known = [value for value in values if math.isfinite(value)]
    return sum(known) / len(known) if known else 0.0
