"""What can be had without a pixel, on the same folds; only the raw view has headers that differ."""

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier

from benchmarks.detection.measure import Verdicts, at_common_threshold
from benchmarks.detection.pictures import SEED, Pictures
from forgery.decision import choose_rule
from forgery.evaluation.baselines import header_features

BASELINES = ("always-forged", "majority", "file-size", "header-only")


def baseline_verdicts(name: str, pictures: Pictures, fold: int) -> Verdicts:
    """Answers of one of `BASELINES` for a fold's test pictures."""
    training, validation, test = pictures.parts(fold)
    if name == "always-forged":
        probabilities = np.ones(len(test))
    elif name == "majority":
        probabilities = np.full(len(test), float(pictures.forged[training].mean() >= 0.5))
    else:
        features = header_rows(pictures)[:, : 1 if name == "file-size" else None]
        model = HistGradientBoostingClassifier(random_state=SEED).fit(features[training], pictures.forged[training])
        rule = choose_rule(pictures.forged[validation], model.predict_proba(features[validation])[:, 1])
        probabilities = at_common_threshold(model.predict_proba(features[test])[:, 1], rule.threshold)
    nothing = np.zeros(0)
    return Verdicts(
        forged=pictures.forged[test],
        copy_moves=pictures.copy_moves[test],
        groups=pictures.groups[test],
        probabilities=probabilities,
        within=np.full(len(test), np.nan),
        control_forged=nothing.astype(bool),
        control_groups=nothing.astype(str),
        control_probabilities=nothing,
    )


def header_rows(pictures: Pictures) -> NDArray[np.float64]:
    """Header features of all pictures, [n, f]; the first is the file's size."""
    rows = np.zeros((len(pictures.rows), len(_features_of_first(pictures))))
    for index, encoded in pictures.encoded():
        rows[index] = header_features(pictures.rows[index], encoded)
    return rows


def _features_of_first(pictures: Pictures) -> list[float]:
    index, encoded = next(pictures.encoded())
    return header_features(pictures.rows[index], encoded)
