"""Whether the model for LiteRT answers as the network does on every question that the test pictures gave."""

import numpy as np

from forgery.bundle import Bundle
from forgery.engine import Engine, choose_kind
from forgery.evaluation.answers import Answers
from forgery.training.lite import refusal


def lite_engines(draft: Bundle) -> list[Engine]:
    """The draft on LiteRT, where it has a model for it and the runtime is installed; else none."""
    return [Engine(draft, kind="litert")] if choose_kind(draft, "auto") == "litert" else []


def lite_findings(network: Answers, lite: list[Answers]) -> dict[str, object]:
    """Fields of `BundleInfo`: by how much probabilities differ at most, or why the model for LiteRT is dropped."""
    if not lite:
        return {}
    difference = largest_difference(network, lite[0])
    reason = refusal(difference)
    return {"no_lite_model": reason} if reason else {"lite_difference": difference}


def largest_difference(one: Answers, other: Answers) -> float:
    """Of the probabilities over all questions, which both were asked; NaN if either gave no number."""
    differences = [
        abs(probability - other.probabilities[condition][position])
        for condition, found in one.probabilities.items()
        for position, probability in found.items()
    ]
    return float(np.max(differences, initial=0.0))
