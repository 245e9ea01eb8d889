"""What the models are asked: which test pictures in which condition."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from forgery.dataset.manifest import read_pictures
from forgery.errors import DataRejected
from forgery.histories import ForgedSaves, read_forged_saves
from forgery.promotion import PromotionRule
from forgery.views import VIEWS

Kind = Literal["view", "control", "damage"]
# E.g. ("view", "raw"), ("control", "shared"), ("damage", "jpeg:70").
Condition = tuple[Kind, str]


@dataclass(frozen=True)
class Plan:
    """Which pictures are asked about in which condition, by their positions in the test split.

    Attributes:
        views: Positions by view.
        sampled: Positions that control crops are taken of and, where they have a mask, maps compared with it.
        damaged: Positions that are damaged in each way.
        saves: Of forged pictures of the train split, for the view `matched`.
    """

    views: Mapping[str, Collection[int]]
    sampled: Collection[int]
    damaged: Collection[int]
    saves: ForgedSaves = field(default_factory=lambda: ForgedSaves((), ()))

    def of(self, digest: str, position: Mapping[str, int]) -> tuple[object, ...]:
        """All that is asked of one picture."""
        at = position[digest]
        views = [view for view, wanted in self.views.items() if at in wanted]
        # Authentic pictures alone get it, but which are is not in a digest.
        first = self.saves.drawn(digest, "authentic")
        return digest, views, at in self.sampled, at in self.damaged, first


def make_plan(image_set: Path, rule: PromotionRule) -> tuple[list[str], Plan]:
    """Digests of the test pictures in order, and what is asked about them; no picture is read.

    Raises:
        DataRejected: The test split lacks a class.
    """
    rows = [(row.digest, row.label, row.mask_member is not None) for row in read_pictures(image_set, ("test",))]
    labels = [label for _, label, _ in rows]
    missing = {"authentic", "forged"} - set(labels)
    if missing:
        raise DataRejected(
            f"the test split has no {' and no '.join(sorted(missing))} picture: "
            "add pictures or source groups, or raise data.test_fraction"
        )
    sample, every = _sample(labels, rule.sample_pictures or len(rows)), range(len(rows))
    plan = Plan(
        views={view: every if view in rule.views else sample for view in VIEWS},
        sampled=sample if any(masked for _, _, masked in rows) else frozenset(),
        damaged=_sample(labels, rule.robustness_pictures),
        saves=read_forged_saves(image_set),
    )
    return [digest for digest, _, _ in rows], plan


def _sample(labels: Sequence[str], most: int) -> frozenset[int]:
    """At most so many positions, half of each class; digests being hashes, the first ones are as good as drawn."""
    of_class = [[at for at, label in enumerate(labels) if label == wanted] for wanted in ("authentic", "forged")]
    fewer = min(len(positions) for positions in of_class)
    return frozenset(at for positions in of_class for at in positions[: max(most // 2, most - fewer)])
