"""Train, validation and test by source group: seeded, stratified, no group in two splits."""

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final, TypeVar

import numpy as np

from forgery.dataset.manifest import SPLITS, ClassLabel, Split
from forgery.errors import InvalidConfig

# Reserved first to last, when there are too few groups for all: no training without train, no proof without test.
_COVER_ORDER: Final[tuple[Split, ...]] = ("train", "test", "validation")

# Names for people or digests: whatever can be sorted.
Group = TypeVar("Group", str, bytes)


@dataclass(frozen=True, slots=True)
class GroupSize:
    """Pictures of each class in one group."""

    authentic: int
    forged: int

    @property
    def total(self) -> int:
        """Pictures of both classes."""
        return self.authentic + self.forged


_EMPTY: Final = GroupSize(0, 0)


@cache
def _one_more(size: GroupSize, label: ClassLabel) -> GroupSize:
    """Cached, since most groups of a large data set are of few sizes."""
    return GroupSize(size.authentic + (label == "authentic"), size.forged + (label == "forged"))


def group_sizes(pictures: Iterable[tuple[Group, ClassLabel]]) -> dict[Group, GroupSize]:
    """Sizes of the groups of pictures given as group and label."""
    sizes: dict[Group, GroupSize] = {}
    for group, label in pictures:
        sizes[group] = _one_more(sizes.get(group, _EMPTY), label)
    return sizes


def assign_splits(
    groups: Mapping[Group, GroupSize], validation_fraction: float, test_fraction: float, seed: int
) -> dict[Group, Split]:
    """Give every group a split.

    Each split gets both classes whenever the groups allow it; beyond that the class counts come as near to the
    fractions as whole groups can. A group too large for validation or test goes to train.

    Args:
        groups: Sizes by group; the result does not depend on their order.
        validation_fraction: Part of the pictures for validation, in (0, 1).
        test_fraction: Part for test, in (0, 1).
        seed: Another seed gives another split.

    Returns:
        A split for every group.

    Raises:
        InvalidConfig: The fractions leave nothing for train.
    """
    require_train(validation_fraction, test_fraction)
    fractions: dict[Split, float] = {
        "train": 1 - validation_fraction - test_fraction,
        "validation": validation_fraction,
        "test": test_fraction,
    }
    order = shuffled(sorted(groups), seed)
    filling = _Filling(groups.values(), fractions)
    total = sum(each.total for each in groups.values())
    assigned = _cover(order, groups, {split: part * total for split, part in fractions.items()})
    for group, split in assigned.items():
        filling.add(split, groups[group])
    # Large groups first: the small ones then even out what the large ones left uneven.
    for group in sorted(order, key=lambda each: -groups[each].total):
        if group not in assigned:
            assigned[group] = filling.best(groups[group])
            filling.add(assigned[group], groups[group])
    return assigned


def require_train(validation_fraction: float, test_fraction: float) -> None:
    """Raise InvalidConfig where the fractions leave nothing for train."""
    if not 0 < validation_fraction + test_fraction < 1:
        raise InvalidConfig(
            f"validation_fraction and test_fraction leave nothing to train on: {validation_fraction} + {test_fraction}"
        )


def split_of_digest(group: bytes, validation_fraction: float, test_fraction: float, seed: int) -> Split:
    """The split of one group, whatever other groups there are.

    Args:
        group: Any bytes that stand for it for good.
        validation_fraction: Chance of validation, in (0, 1).
        test_fraction: Chance of test, in (0, 1).
        seed: Another seed gives another split.
    """
    drawn = int.from_bytes(hashlib.sha256(f"{seed} {group.hex()}".encode()).digest()[:8]) / 2**64
    if drawn < test_fraction:
        return "test"
    return "validation" if drawn < test_fraction + validation_fraction else "train"


def shuffled(names: Sequence[Group], seed: int) -> list[Group]:
    """The names in an order that depends on the seed alone."""
    return [names[index] for index in np.random.default_rng(seed).permutation(len(names))]


class _Filling:
    """How many pictures each split misses, per class."""

    def __init__(self, groups: Collection[GroupSize], fractions: Mapping[Split, float]) -> None:
        authentic, forged = sum(each.authentic for each in groups), sum(each.forged for each in groups)
        self._missing = {split: (part * authentic, part * forged) for split, part in fractions.items()}
        self._weights = 1 / max(1, authentic) ** 2, 1 / max(1, forged) ** 2

    def add(self, split: Split, size: GroupSize) -> None:
        authentic, forged = self._missing[split]
        self._missing[split] = authentic - size.authentic, forged - size.forged

    def best(self, size: GroupSize) -> Split:
        """The split whose squared distance from its target falls most, or grows least."""
        return min(SPLITS, key=lambda split: self._growth(split, size))

    def _growth(self, split: Split, size: GroupSize) -> float:
        authentic, forged = self._missing[split]
        return (
            size.authentic * (size.authentic - 2 * authentic) * self._weights[0]
            + size.forged * (size.forged - 2 * forged) * self._weights[1]
        )


def _cover(
    order: Sequence[Group], groups: Mapping[Group, GroupSize], targets: Mapping[Split, float]
) -> dict[Group, Split]:
    """Set aside one group with both classes, or one of each class, for every split there are enough for."""
    mixed: list[Group] = [group for group in order if groups[group].authentic and groups[group].forged]
    single: tuple[list[Group], list[Group]] = (
        [group for group in order if not groups[group].forged],
        [group for group in order if not groups[group].authentic],
    )
    assigned: dict[Group, Split] = {}
    for split in _COVER_ORDER:
        fits = [group for group in mixed if groups[group].total <= targets[split]]
        if split == "train" and mixed:
            chosen = [max(mixed, key=lambda each: groups[each].total)]
        elif fits or (mixed and not all(single)):
            chosen = fits[:1] or [min(mixed, key=lambda each: groups[each].total)]
        elif all(single):
            chosen = [_smallest(names, groups) for names in single]
        else:
            break
        for group in chosen:
            assigned[group] = split
        mixed = _without(mixed, chosen)
        single = _without(single[0], chosen), _without(single[1], chosen)
    return assigned


def _without(names: Sequence[Group], chosen: Sequence[Group]) -> list[Group]:
    return [each for each in names if each not in chosen]


def _smallest(names: Sequence[Group], groups: Mapping[Group, GroupSize]) -> Group:
    return min(names, key=lambda each: groups[each].total)


def sample_groups(groups: Mapping[Group, GroupSize], limit: int, seed: int) -> set[Group]:
    """Choose whole groups with at most `limit` pictures in all, keeping the balance of the classes.

    Where even the smallest groups of a class exceed its share, that class may miss out.

    Args:
        groups: Sizes by group.
        limit: Most pictures; 0 chooses every group.
        seed: Another seed gives another sample.
    """
    total = sum(each.total for each in groups.values())
    if not limit or total <= limit:
        return set(groups)
    most_authentic = round(limit * sum(each.authentic for each in groups.values()) / total)
    left = [most_authentic, limit - most_authentic]
    chosen = set()
    for group in shuffled(sorted(groups), seed):
        size = groups[group]
        if size.authentic <= left[0] and size.forged <= left[1]:
            left = [left[0] - size.authentic, left[1] - size.forged]
            chosen.add(group)
    return chosen
