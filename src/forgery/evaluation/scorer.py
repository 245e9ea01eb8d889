"""From single answers to figures with intervals."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from forgery.config import RunConfig
from forgery.errors import BundleError
from forgery.evaluation.answers import Answers
from forgery.evaluation.maps import METHODS
from forgery.evaluation.robustness import DAMAGES, ROBUSTNESS_METRICS
from forgery.evaluation.scores import (
    ControlScores,
    MapScores,
    RobustnessPoint,
    RobustnessScores,
    TestPictures,
    ViewScores,
)
from forgery.metrics import METRICS, Estimate, Outcome, estimates
from forgery.views import VIEWS


@dataclass(frozen=True)
class Scorer:
    """Measures one model's answers at its threshold; `config` gives draws, confidence and seed of the intervals."""

    pictures: TestPictures
    threshold: float
    config: RunConfig

    def require_numbers(self, model_version: str, answers: Answers) -> None:
        """Raise BundleError if an answer is no number."""
        found = [each for probabilities in answers.probabilities.values() for each in probabilities.values()]
        if bad := sum(not np.isfinite(each) for each in found):
            raise BundleError(
                f"model {model_version} gives no number for {bad} of {len(found)} test pictures and their copies: "
                "its training diverged, lower the learning rate"
            )

    def metrics(
        self, positions: Sequence[int], probabilities: ArrayLike, names: Sequence[str] = METRICS
    ) -> dict[str, Estimate]:
        """Figures of `forgery.metrics` for answers to the pictures at these positions."""
        rule = self.config.rule
        return estimates(
            Outcome.of(np.asarray(self.pictures.labels)[list(positions)], probabilities, self.threshold),
            np.asarray(self.pictures.groups)[list(positions)],
            names,
            rule.bootstrap_draws,
            rule.confidence,
            self.config.seed,
        )

    def pooled(self, views: Sequence[ViewScores]) -> dict[str, Estimate]:
        """Figures over the answers of all these views; copies of one picture are of one group."""
        return self.metrics(
            [at for view in views for at in view.pictures], [each for view in views for each in view.probabilities]
        )

    def views(self, answers: Answers) -> dict[str, ViewScores]:
        """Every view that was asked about."""
        found = {view: answers.probabilities.get(("view", view), {}) for view in VIEWS}
        return {view: self._view(view, asked, answers) for view, asked in found.items() if asked}

    def robustness(self, answers: Answers) -> RobustnessScores | None:
        """Figures for each damage; None where no picture was damaged."""
        found = {each: answers.probabilities.get(("damage", each.name), {}) for each in DAMAGES}
        positions = sorted(found[DAMAGES[0]])
        if not positions:
            return None
        points = [
            RobustnessPoint(
                damage=damage.kind,
                level=damage.level,
                probabilities=(values := [probabilities[at] for at in positions]),
                metrics=self.metrics(positions, values, ROBUSTNESS_METRICS),
            )
            for damage, probabilities in found.items()
        ]
        return RobustnessScores(pictures=positions, points=points)

    def _view(self, view: str, found: Mapping[int, float], answers: Answers) -> ViewScores:
        positions = sorted(found)
        probabilities = [found[at] for at in positions]
        return ViewScores(
            pictures=positions,
            probabilities=probabilities,
            metrics=self.metrics(positions, probabilities),
            control=self._control(answers.probabilities.get(("control", view), {})),
            maps=_maps({method: answers.maps.get((view, method), {}) for method in METHODS}),
        )

    def _control(self, found: Mapping[int, float]) -> ControlScores | None:
        positions = sorted(found)
        if len({self.pictures.labels[at] for at in positions}) < 2:
            return None
        probabilities = [found[at] for at in positions]
        auc = self.metrics(positions, probabilities, ("roc_auc",))["roc_auc"]
        return ControlScores(pictures=positions, probabilities=probabilities, roc_auc=auc)


def _maps(found: Mapping[str, Mapping[int, Mapping[str, float]]]) -> MapScores | None:
    positions: Collection[int] = sorted(found[METHODS[0]])
    if not positions:
        return None
    return MapScores(
        pictures=list(positions),
        figures={
            method: {name: [figures[at][name] for at in positions] for name in next(iter(figures.values()))}
            for method, figures in found.items()
        },
    )
