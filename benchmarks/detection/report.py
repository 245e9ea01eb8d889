"""The results as JSON and Markdown."""

from collections.abc import Mapping, Sequence

from pydantic import BaseModel, ConfigDict

from benchmarks.detection.measure import ViewFigures
from benchmarks.detection.systems import System
from benchmarks.detection.views import VIEWS
from forgery.metrics import Estimate
from forgery.variants import PASTED, VARIED


class SystemResult(BaseModel):
    """Figures of one system over the folds that were run, by view."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    recipe: str
    backbone: str
    trained_on: list[str]
    folds: list[int]
    views: dict[str, ViewFigures]


class Results(BaseModel):
    """Everything one report says."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset_digest: str
    systems: dict[str, SystemResult]


def system_result(system: System, folds: Sequence[int], views: Mapping[str, ViewFigures]) -> SystemResult:
    """Figures with what they are figures of."""
    return SystemResult(
        recipe=system.recipe,
        backbone=system.backbone,
        trained_on=[*system.trained_on, *[VARIED] * system.varied, *[PASTED] * system.pasted],
        folds=list(folds),
        views=dict(views),
    )


BEGIN, END = "<!-- tables: written by benchmarks.detection -->", "<!-- /tables -->"


def markdown(results: Results) -> str:
    """One table for each view, a row for each system and baseline."""
    lines = [
        "Brackets are 95 % bootstrap intervals over source groups, of the pictures tested; one seed. F1 is that of "
        "forged; answering forged to everything has a high one, so read ROC AUC and balanced accuracy beside it. "
        "Control: ROC AUC of crops without a forged pixel; above .55 the detector reads history. Within: ROC AUC of "
        "cells inside the mask against the others of the same picture.",
        "",
    ]
    for view, meaning in VIEWS.items():
        lines += [f"### {view.capitalize()}", "", f"{meaning[0].upper()}{meaning[1:]}.", "", *_table(results, view), ""]
    return "\n".join(lines)


def _table(results: Results, view: str) -> list[str]:
    head = [
        "| system | trained on | folds | ROC AUC | splice | copy-move | F1 | macro-F1 | balanced accuracy | control "
        "| within, splice / copy-move |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    return head + [_row(name, each, each.views[view]) for name, each in results.systems.items() if view in each.views]


def _row(name: str, system: SystemResult, figures: ViewFigures) -> str:
    cells = [
        name,
        ", ".join(system.trained_on) or "–",
        ", ".join(map(str, system.folds)),
        interval(figures.all["roc_auc"]),
        interval(figures.splice["roc_auc"]),
        interval(figures.copy_move["roc_auc"]),
        interval(figures.all["f1"]),
        interval(figures.all["macro_f1"]),
        interval(figures.all["balanced_accuracy"]),
        interval(figures.control),
        f"{number(figures.within_splice)} / {number(figures.within_copy_move)}",
    ]
    return f"| {' | '.join(cells)} |"


def interval(estimate: Estimate | None) -> str:
    """E.g. `.931 [.919, .942]`; a dash for what could not be had."""
    if estimate is None:
        return "–"
    return f"{number(estimate.value)} [{number(estimate.low)}, {number(estimate.high)}]"


def number(value: float | None) -> str:
    """Three decimals, without the zero before them."""
    return "–" if value is None else f"{value:.3f}".removeprefix("0")
