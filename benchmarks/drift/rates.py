"""Part of the windows that the rule calls shifted, over many draws of reference and window."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.drift.streams import Seen
from forgery.monitoring.drift import DriftRule, compare
from forgery.monitoring.reference import Reference


@dataclass(frozen=True)
class Rate:
    """Of `draws` windows, how many were called shifted, and how often by which column."""

    draws: int
    fired: int
    columns: Counter[str]

    @property
    def part(self) -> float:
        """In [0, 1]."""
        return self.fired / self.draws


def rate(
    known: Sequence[Seen], stream: Sequence[Seen], window: int, draws: int, seed: int, rule: DriftRule | None = None
) -> Rate:
    """Draw again and again: half of the source groups are the reference's, of the others' pictures comes the window.

    Args:
        known: What the model was measured on.
        stream: The same pictures as they arrive.
        window: Pictures in a window, drawn without repetition.
        draws: How many times.
        seed: Of the draws.
        rule: The default one unless told.
    """
    random = np.random.default_rng(seed)
    groups = sorted({each.group for each in known})
    fired, columns = 0, Counter[str]()
    for _ in range(draws):
        half = set(random.permutation(groups)[: len(groups) // 2].tolist())
        reference = tuple(each.scored for each in known if each.group in half)
        others = [each.scored for each in stream if each.group not in half]
        drawn = [others[index] for index in random.permutation(len(others))[:window]]
        verdict = compare(
            Reference(split="validation", groups=len(half), pictures=reference), drawn, rule or DriftRule()
        )
        fired += verdict.drifted
        columns.update(shift.title for shift in verdict.shifts if shift.drifted)
    return Rate(draws, fired, columns)
