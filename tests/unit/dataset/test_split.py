from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forgery.dataset.manifest import SPLITS
from forgery.dataset.split import GroupSize, assign_splits, sample_groups, split_of_digest
from forgery.errors import InvalidConfig

sizes = st.builds(GroupSize, st.integers(0, 12), st.integers(0, 12)).filter(lambda size: size.total > 0)
groups = st.dictionaries(st.text("abcdef", min_size=1, max_size=6), sizes, min_size=1, max_size=40)


def covered(found: dict[str, GroupSize], splits: dict[str, str], split: str) -> bool:
    inside = [found[group] for group, each in splits.items() if each == split]
    return any(size.authentic for size in inside) and any(size.forged for size in inside)


@given(groups, st.integers(0, 2**32))
@settings(max_examples=200, deadline=None)
def test_every_group_has_one_split_and_order_does_not_matter(found: dict[str, GroupSize], seed: int) -> None:
    splits = assign_splits(found, 0.2, 0.2, seed)
    assert splits.keys() == found.keys()
    assert set(splits.values()) <= set(SPLITS)
    assert assign_splits(dict(reversed(found.items())), 0.2, 0.2, seed) == splits


@given(groups, st.integers(0, 2**32), st.floats(0.05, 0.45), st.floats(0.05, 0.45))
@settings(max_examples=300, deadline=None)
def test_each_split_has_both_classes_when_the_groups_allow_it(
    found: dict[str, GroupSize], seed: int, validation: float, test: float
) -> None:
    splits = assign_splits(found, validation, test, seed)
    mixed = sum(size.authentic > 0 and size.forged > 0 for size in found.values())
    pairs = min(sum(not size.forged for size in found.values()), sum(not size.authentic for size in found.values()))
    if mixed + pairs >= len(SPLITS):
        assert all(covered(found, splits, split) for split in SPLITS)
    elif mixed + pairs:
        assert covered(found, splits, "train")


@given(st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_small_groups_fill_the_fractions_of_both_classes(seed: int) -> None:
    found = {f"a{i}": GroupSize(1, 0) for i in range(300)} | {f"f{i}": GroupSize(0, 1) for i in range(200)}
    splits = assign_splits(found, 0.2, 0.1, seed)
    counts = Counter((split, group[0]) for group, split in splits.items())
    assert counts["validation", "a"] == pytest.approx(60, abs=1)
    assert counts["validation", "f"] == pytest.approx(40, abs=1)
    assert counts["test", "a"] == pytest.approx(30, abs=1)
    assert counts["test", "f"] == pytest.approx(20, abs=1)


@pytest.mark.parametrize("seed", range(5))
def test_one_huge_group_goes_to_train(seed: int) -> None:
    found = {"huge": GroupSize(400, 400)} | {f"g{i}": GroupSize(2, 2) for i in range(50)}
    assert assign_splits(found, 0.2, 0.2, seed)["huge"] == "train"


def test_another_seed_gives_another_split() -> None:
    found = {f"g{i}": GroupSize(1, 1) for i in range(50)}
    assert assign_splits(found, 0.2, 0.2, 0) != assign_splits(found, 0.2, 0.2, 1)


def test_fractions_that_leave_nothing_to_train_on_are_refused() -> None:
    with pytest.raises(InvalidConfig, match="nothing to train on"):
        assign_splits({"g": GroupSize(1, 1)}, 0.6, 0.4, 0)


@given(groups, st.integers(1, 200), st.integers(0, 100))
@settings(max_examples=200, deadline=None)
def test_a_sample_never_exceeds_its_limit(found: dict[str, GroupSize], limit: int, seed: int) -> None:
    chosen = sample_groups(found, limit, seed)
    total = sum(size.total for size in found.values())
    assert sum(found[group].total for group in chosen) <= max(limit, 0) or total <= limit


def test_a_sample_keeps_the_balance_of_the_classes() -> None:
    found = {f"a{i}": GroupSize(1, 0) for i in range(300)} | {f"f{i}": GroupSize(0, 1) for i in range(100)}
    chosen = sample_groups(found, 40, 0)
    assert Counter(group[0] for group in chosen) == {"a": 30, "f": 10}


def test_no_limit_takes_everything() -> None:
    found = {"a": GroupSize(1, 0), "f": GroupSize(0, 1)}
    assert sample_groups(found, 0, 0) == {"a", "f"}


def test_a_group_split_by_digest_stays_whatever_comes_after() -> None:
    groups = [number.to_bytes(4) for number in range(2000)]
    splits = [split_of_digest(group, 0.2, 0.1, seed=0) for group in groups]
    assert splits == [split_of_digest(group, 0.2, 0.1, seed=0) for group in groups]
    shares = {split: splits.count(split) / len(groups) for split in ("train", "validation", "test")}
    assert shares == pytest.approx({"train": 0.7, "validation": 0.2, "test": 0.1}, abs=0.03)
    assert splits != [split_of_digest(group, 0.2, 0.1, seed=1) for group in groups]
