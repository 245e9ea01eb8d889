"""From a probability to a verdict: temperature, threshold and inconclusive band, fixed on the validation split."""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from forgery.errors import InvalidConfig

Label = Literal["authentic", "forged", "inconclusive"]

OBJECTIVES = ("macro_f1", "f1", "balanced_accuracy", "false_alarm:<rate>")

_TEMPERATURES = (0.05, 20.0)
# Chow (1970), "On optimum recognition error and reject tradeoff": abstain where an error is likelier than the price
# of abstaining. At .4 that is where fewer than 60 % of the verdicts are right.
_ABSTAIN_COST = 0.4
# However weak the model, four of five pictures get a verdict.
_MAX_INCONCLUSIVE = 0.2


class DecisionRule(BaseModel):
    """Sealed in the bundle and applied by the predictor.

    `probability_forged >= threshold` reads forged, below it authentic, unless it lies strictly inside the band
    (`band_low`, `band_high`), which reads inconclusive. Both ends equal to the threshold mean no band. `coverage` is
    the part of the validation pictures that get a verdict, `risk` the part of those verdicts that is wrong: chosen
    there, hence optimistic; None for rules of older bundles.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    threshold: float = Field(ge=0, le=1)
    band_low: float = Field(ge=0, le=1)
    band_high: float = Field(ge=0, le=1)
    objective: str = "macro_f1"
    coverage: float | None = Field(None, ge=0, le=1)
    risk: float | None = Field(None, ge=0, le=1)

    @model_validator(mode="after")
    def _ordered(self) -> "DecisionRule":
        if not self.band_low <= self.threshold <= self.band_high:
            raise ValueError("band_low <= threshold <= band_high must hold")
        return self

    def label(self, probability_forged: float) -> Label:
        """The verdict for a calibrated probability in [0, 1]."""
        if self.band_low < probability_forged < self.band_high:
            return "inconclusive"
        return "forged" if probability_forged >= self.threshold else "authentic"

    def coverage_and_risk(self, labels: ArrayLike, probabilities: ArrayLike) -> tuple[float, float]:
        """Part of the pictures that get a verdict, and the part of those verdicts that is wrong (0 without any).

        Args:
            labels: [n], 1 forged, 0 authentic; n > 0.
            probabilities: Calibrated probabilities of forged in [0, 1], [n].
        """
        scores, forged = _checked(probabilities, labels)
        given = ~((scores > self.band_low) & (scores < self.band_high))
        wrong = (scores >= self.threshold) != forged
        return float(given.mean()), float(wrong[given].mean()) if given.any() else 0.0


def fit_temperature(logits: ArrayLike, labels: ArrayLike) -> float:
    """The temperature T for which `sigmoid(logit / T)` is best calibrated (Guo et al. 2017).

    It minimises the log loss against Platt's (1999) smoothed targets, (n1 + 1) / (n1 + 2) and 1 / (n0 + 2), so that
    classes a network separates without an error do not drive T to zero and every probability to 0 or 1.

    Args:
        logits: Finite floats [n], larger means forged.
        labels: [n], 1 forged, 0 authentic.

    Returns:
        T in [0.05, 20]; 1 where a class is missing, since nothing can be told then.

    Raises:
        ValueError: Shapes differ or a logit is not finite.
    """
    from scipy.optimize import minimize_scalar

    scores, forged = _checked(logits, labels)
    positives = int(forged.sum())
    negatives = len(forged) - positives
    if not positives or not negatives:
        return 1.0
    targets = np.where(forged, (positives + 1) / (positives + 2), 1 / (negatives + 2))

    def log_loss(log_temperature: float) -> float:
        scaled = scores / np.exp(log_temperature)
        return float(np.mean(np.logaddexp(0, scaled) - targets * scaled))

    # The loss is convex in 1/T, hence has a single minimum in log T too.
    found = minimize_scalar(log_loss, bounds=np.log(_TEMPERATURES), method="bounded")
    return float(np.clip(np.exp(found.x), *_TEMPERATURES))


def choose_rule(labels: ArrayLike, probabilities: ArrayLike, objective: str = "macro_f1") -> DecisionRule:
    """Choose threshold and inconclusive band on the validation split.

    The threshold is the midpoint between two neighbouring scores with the best objective, ties towards .5. The band
    about it minimises Chow's risk over the pictures: an error costs 1, abstaining .4; it never takes more than 20 % of
    them. One class alone or one single score gives threshold .5 without a band.

    Args:
        labels: [n], 1 forged, 0 authentic.
        probabilities: Calibrated probabilities of forged in [0, 1], [n].
        objective: `macro_f1`, `f1` (forged), `balanced_accuracy`, or `false_alarm:<rate>`, which takes the highest
            recall at which at most that part of the authentic pictures reads forged.

    Raises:
        InvalidConfig: The objective is unknown.
        ValueError: Shapes differ or a probability is not finite.
    """
    allowed_false_alarms = parse_objective(objective)
    scores, forged = _checked(probabilities, labels)
    if forged.all() or not forged.any() or scores.min() == scores.max():
        return _measured(DecisionRule(threshold=0.5, band_low=0.5, band_high=0.5, objective=objective), forged, scores)
    thresholds = _thresholds(scores)
    values = _objective_values(thresholds, scores, forged, objective, allowed_false_alarms)
    best = thresholds[np.isclose(values, values.max(), rtol=0, atol=1e-12)]
    threshold = float(best[np.argmin(np.abs(best - 0.5))])
    low, high = _band(threshold, scores, forged)
    rule = DecisionRule(threshold=threshold, band_low=low, band_high=high, objective=objective)
    return _measured(rule, forged, scores)


def _measured(rule: DecisionRule, forged: NDArray[np.bool_], scores: NDArray[np.float64]) -> DecisionRule:
    coverage, risk = rule.coverage_and_risk(forged, scores)
    return rule.model_copy(update={"coverage": coverage, "risk": risk})


def _checked(scores: ArrayLike, labels: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    values, forged = np.asarray(scores, np.float64), np.asarray(labels).astype(bool)
    if values.ndim != 1 or values.shape != forged.shape:
        raise ValueError(f"scores and labels must be two arrays [n]; got {values.shape} and {forged.shape}")
    if not np.isfinite(values).all():
        raise ValueError("scores must be finite")
    return values, forged


def parse_objective(objective: str) -> float | None:
    """The rate of a `false_alarm:<rate>`, None for the other objectives; InvalidConfig for an unknown one."""
    if objective in OBJECTIVES[:-1]:
        return None
    kind, _, text = objective.partition(":")
    try:
        rate = float(text) if kind == "false_alarm" else -1.0
    except ValueError:
        rate = -1.0
    if not 0 <= rate < 1:
        raise InvalidConfig(f"objective {objective!r} is unknown; known: {', '.join(OBJECTIVES)}, rate in [0, 1)")
    return rate


def _thresholds(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    # The last one calls nothing forged: a false-alarm limit may leave no other.
    distinct = np.append(np.unique(scores), 1.0)
    lower, upper = distinct[:-1], distinct[1:]
    middle = (lower + upper) / 2
    # Between neighbouring floats the midpoint rounds to an end, and the lower end would read forged itself.
    return np.where(middle > lower, middle, upper)


def _objective_values(
    thresholds: NDArray[np.float64],
    scores: NDArray[np.float64],
    forged: NDArray[np.bool_],
    objective: str,
    allowed_false_alarms: float | None,
) -> NDArray[np.float64]:
    positives, negatives = int(forged.sum()), int((~forged).sum())
    hits = positives - np.searchsorted(np.sort(scores[forged]), thresholds)
    false_alarms = negatives - np.searchsorted(np.sort(scores[~forged]), thresholds)
    if allowed_false_alarms is not None:
        return np.where(false_alarms <= allowed_false_alarms * negatives, hits / positives, -1.0)
    rejections = negatives - false_alarms
    errors = false_alarms + positives - hits
    f1_forged = 2 * hits / (2 * hits + errors)
    if objective == "f1":
        return f1_forged
    if objective == "balanced_accuracy":
        return (hits / positives + rejections / negatives) / 2
    return (f1_forged + 2 * rejections / (2 * rejections + errors)) / 2


def _band(threshold: float, scores: NDArray[np.float64], forged: NDArray[np.bool_]) -> tuple[float, float]:
    below = scores < threshold
    most = int(_MAX_INCONCLUSIVE * len(scores))
    low_ends, low_costs = _abstaining(-scores[below], forged[below], -threshold, 0.0, most)
    high_ends, high_costs = _abstaining(scores[~below], ~forged[~below], threshold, 1.0, most)
    # The two sides share the limit: try every way to part it.
    joint = np.minimum.accumulate(low_costs) + np.minimum.accumulate(high_costs)[::-1]
    share = int(np.argmin(joint))
    low = -low_ends[np.argmin(low_costs[: share + 1])]
    high = high_ends[np.argmin(high_costs[: most - share + 1])]
    return abs(float(low)), float(high)


def _abstaining(
    scores: NDArray[np.float64], wrong: NDArray[np.bool_], threshold: float, limit: float, most: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where the band ends and what it costs beyond giving verdicts, by how many of the nearest pictures it takes.

    Scores lie on one side, above the threshold; `limit` is the end of the probabilities there.
    """
    order = np.argsort(scores, kind="stable")
    ordered = np.concatenate([scores[order], [limit]])
    ends = np.concatenate([[threshold], (ordered[:-1] + ordered[1:]) / 2])
    costs = np.concatenate([[0.0], np.cumsum(_ABSTAIN_COST - wrong[order])])
    # Pictures with the same score stay together, and an end lies beyond the last one taken: at 0 and 1 none does.
    costs[1:][ends[1:] <= ordered[:-1]] = np.inf
    fill = max(0, most + 1 - len(costs))
    return np.pad(ends, (0, fill))[: most + 1], np.pad(costs, (0, fill), constant_values=np.inf)[: most + 1]
