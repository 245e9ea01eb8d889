"""Tables that report and model card share."""

from dataclasses import dataclass

import numpy as np

from forgery.evaluation.scores import ModelScores
from forgery.metrics import Estimate, mean_estimate


@dataclass(frozen=True)
class MapRow:
    """Maps of one view and one manipulation (or all) against masks: mean figures by method, then by name."""

    view: str
    manipulation: str
    pictures: int
    figures: dict[str, dict[str, Estimate | None]]


def map_table(scores: ModelScores, draws: int, confidence: float, seed: int = 0) -> list[MapRow]:
    """Every view that has maps, all manipulations together and, where there are several, each."""
    rows = []
    for view, answers in scores.views.items():
        if answers.maps is None:
            continue
        positions = np.asarray(answers.maps.pictures)
        names = np.asarray([scores.pictures.manipulations[at] or "not named" for at in positions])
        kinds = sorted(set(names.tolist()))
        for kind in ["all", *(kinds if len(kinds) > 1 else [])]:
            chosen = np.full(len(names), True) if kind == "all" else names == kind
            groups = scores.groups_of(positions[chosen])
            figures = {
                method: {
                    name: mean_estimate(np.asarray(values)[chosen], groups, draws, confidence, seed)
                    for name, values in by_name.items()
                }
                for method, by_name in answers.maps.figures.items()
            }
            rows.append(MapRow(view, kind, int(chosen.sum()), figures))
    return rows
