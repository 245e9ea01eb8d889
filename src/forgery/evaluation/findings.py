"""What the figures themselves say against a model, in sentences: the limits that were measured."""

import math
from collections.abc import Iterator, Mapping

from forgery.evaluation.robustness import TITLES
from forgery.evaluation.scores import Comparison, ModelScores
from forgery.metrics import Estimate
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
    controls = {name: view.control.roc_auc for name, view in scores.views.items() if view.control is not None}
    if read := {name: auc for name, auc in controls.items() if auc.low > _CONTROL}:
        yield f"Part of its score is file history: it tells crops without a forged pixel apart in {_listed(read)}."


def _chance(scores: ModelScores) -> Iterator[str]:
    aucs = {name: view.metrics["roc_auc"] for name, view in scores.views.items()}
    if lost := {name: auc for name, auc in aucs.items() if auc.low <= _CHANCE}:
        yield f"Its ranking of whole pictures may be chance in {_listed(lost)}."


def _listed(aucs: Mapping[str, Estimate]) -> str:
    found = [f"{name} (ROC AUC {auc.value:.3f}, {auc.low:.3f} to {auc.high:.3f})" for name, auc in aucs.items()]
    return f"view {found[0]}" if len(found) == 1 else f"views {', '.join(found[:-1])} and {found[-1]}"


def _damages(scores: ModelScores) -> Iterator[str]:
    points = scores.robustness.points if scores.robustness else []
    lost = {
        kind: [f"{each.level:g}" for each in points if each.damage == kind and each.metrics["roc_auc"].low <= _CHANCE]
        for kind in TITLES
    }
    found = [f"{TITLES[kind][0]} ({TITLES[kind][1]}: {', '.join(at)})" for kind, at in lost.items() if at]
    if found:
        yield f"Its ranking may be chance on pictures that were damaged: {'; '.join(found)}."


def _maps(scores: ModelScores) -> Iterator[str]:
    for said, method in (("plain error levels", "ela"), ("a box in the middle", "centre")):
        maps = {name: view.maps.figures for name, view in scores.views.items() if view.maps is not None}
        if worse := [name for name, each in maps.items() if _mean(each["map"]["auc"]) <= _mean(each[method]["auc"])]:
            yield f"Its map points at edits no better than {said} in view{'s' * (len(worse) > 1)} {', '.join(worse)}."


def _mean(values: list[float]) -> float:
    known = [value for value in values if math.isfinite(value)]
    return sum(known) / len(known) if known else 0.0
