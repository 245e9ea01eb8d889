"""Whether a file's header alone tells its label: a model that learns that has learned nothing of forgery."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from forgery.dataset.traits import TITLES, Traits
from forgery.metrics import Estimate

# Cramér's V from which an association counts as strong at one degree of freedom (Cohen 1988: .3 medium, .5 large).
STRONG: Final = 0.3
_SIGNIFICANT: Final = 0.001
# Rarer values are counted together: expected counts below 5 make the chi-squared test unreliable (Cochran 1954).
RARE: Final = 10
SHOWN_VALUES: Final = 6
# The lower end of the interval above which the header is said to tell the label: half would be no skill.
TELLING: Final = 0.55
_FOLDS: Final = 5


@dataclass(frozen=True)
class Association:
    """How one trait goes with the label.

    Attributes:
        title: The trait in words.
        v: Bias-corrected Cramér's V, 0 (independent) to 1 (determines the label).
        p: Of the chi-squared test of independence; pictures of one group are not independent, so it is optimistic.
        values: The commonest values with their counts: value, authentic, forged.
    """

    title: str
    v: float
    p: float
    values: tuple[tuple[str, int, int], ...]

    @property
    def strong(self) -> bool:
        """Strong enough to warn of."""
        return self.v >= STRONG and self.p < _SIGNIFICANT


@dataclass(frozen=True)
class HeaderBaseline:
    """A decision tree on traits alone, cross-validated over groups; forged is the positive class."""

    roc_auc: Estimate
    balanced_accuracy: float

    @property
    def telling(self) -> bool:
        """Whether it is surely better than chance."""
        return self.roc_auc.low > TELLING


@dataclass(frozen=True)
class TraitCounts:
    """How often the values of one trait occur.

    Attributes:
        distinct: How many values there are.
        authentic: Pictures of that class.
        forged: Pictures of that class.
        values: Value, authentic, forged, the commonest first: all that are not `RARE`, and the first `SHOWN_VALUES`.
    """

    distinct: int
    authentic: int
    forged: int
    values: tuple[tuple[str, int, int], ...]


def associate(title: str, counts: TraitCounts) -> Association | None:
    """How a trait goes with the label; None where it takes one value."""
    from scipy.stats import chi2_contingency

    if counts.distinct < 2:
        return None
    rows = [(authentic, forged) for _, authentic, forged in counts.values if authentic + forged >= RARE]
    rest = counts.authentic - sum(row[0] for row in rows), counts.forged - sum(row[1] for row in rows)
    table = np.array([*rows, rest])
    table = table[table.sum(axis=1) > 0]
    shown = counts.values[:SHOWN_VALUES]
    if min(table.shape) < 2 or not table.sum(axis=0).all():
        return Association(title, 0.0, 1.0, shown)
    chi2, p, *_ = chi2_contingency(table, correction=False)
    v = _cramers_v(float(chi2), counts.authentic + counts.forged, len(table))
    return Association(title, v, float(p), shown)


def _cramers_v(chi2: float, count: int, rows: int) -> float:
    """Bias-corrected for a table of `rows` by 2 (Bergsma 2013, J. Korean Stat. Soc. 42:323)."""
    if count < 2:
        return 0.0
    phi2 = max(0.0, chi2 / count - (rows - 1) / (count - 1))
    rows_corrected = rows - (rows - 1) ** 2 / (count - 1)
    columns_corrected = 2 - 1 / (count - 1)
    smallest = min(rows_corrected, columns_corrected) - 1
    return min(1.0, math.sqrt(phi2 / smallest)) if smallest > 0 else 0.0


def header_baseline(
    traits: Sequence[Traits], forged: NDArray[np.bool_], groups: Sequence[str]
) -> HeaderBaseline | None:
    """Score of a model that sees headers only, out of fold.

    Args:
        traits: One per picture.
        forged: Whether it is, [n].
        groups: Source group of each; none is in two folds.

    Returns:
        None where a class has fewer groups than two folds need.
    """
    from sklearn.metrics import balanced_accuracy_score, roc_auc_score
    from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
    from sklearn.tree import DecisionTreeClassifier

    groups_of = [
        len({group for group, is_forged in zip(groups, forged, strict=True) if is_forged == side})
        for side in (True, False)
    ]
    if min(groups_of) < 2:
        return None
    tree = DecisionTreeClassifier(max_depth=8, min_samples_leaf=3, class_weight="balanced", random_state=0)
    folds = StratifiedGroupKFold(min(_FOLDS, *groups_of), shuffle=True, random_state=0)
    probabilities = cross_val_predict(
        tree, _features(traits), forged, groups=np.asarray(groups), cv=folds, method="predict_proba"
    )[:, 1]
    auc = float(roc_auc_score(forged, probabilities))
    margin = 1.96 * _auc_error(auc, int(forged.sum()), int((~forged).sum()))
    return HeaderBaseline(
        Estimate(value=auc, low=max(0.0, auc - margin), high=min(1.0, auc + margin)),
        float(balanced_accuracy_score(forged, probabilities > 0.5)),
    )


def _features(traits: Sequence[Traits]) -> NDArray[np.float64]:
    """Numbers as numbers, the other traits by rank of frequency: a tree needs no more."""
    columns = []
    for field in TITLES:
        values = [str(getattr(each, field)) for each in traits]
        ranks = {
            value: rank for rank, (value, _) in enumerate(sorted(Counter(values).items(), key=lambda v: (-v[1], v[0])))
        }
        columns.append([ranks[value] for value in values])
    sides = [[int(side) for side in each.size.split("x")] for each in traits]
    steps = [int(each.luma_table) if each.luma_table.isdecimal() else 0 for each in traits]
    columns += [[width for width, _ in sides], [height for _, height in sides], steps]
    return np.array(columns, dtype=np.float64).T


def _auc_error(auc: float, positives: int, negatives: int) -> float:
    """Standard error of an area under the ROC curve (Hanley and McNeil 1982, Radiology 143:29)."""
    q1, q2 = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    variance = auc * (1 - auc) + (positives - 1) * (q1 - auc**2) + (negatives - 1) * (q2 - auc**2)
    return math.sqrt(max(0.0, variance) / (positives * negatives))
