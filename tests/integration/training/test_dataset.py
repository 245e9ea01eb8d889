from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from forgery.config import TrainingOptions
from forgery.errors import SourceError
from forgery.training.dataset import TrainingBatches, batches
from forgery.training.map_split import open_split
from forgery.training.reading import reading

PLAIN = TrainingOptions(flips=False, crops=0.0, batch_size=5)


def collect(dataset: Iterable[Any]) -> tuple[np.ndarray, np.ndarray]:
    maps, labels = zip(*[(maps.numpy(), labels.numpy()) for maps, labels in dataset], strict=True)
    return np.concatenate(maps), np.concatenate(labels)


def as_set(maps: np.ndarray, labels: np.ndarray) -> set[tuple[bytes, float]]:
    return {(one.tobytes(), float(label)) for one, label in zip(maps, labels.ravel(), strict=True)}


@pytest.mark.parametrize("recipe", ["ela1_q90_gain15_32_bilinear", "ela1_q90_gain15_luma_32_box"])
@pytest.mark.parametrize("qualities", ["", "_q75"])
def test_maps_arrive_as_they_were_written(make_evidence: Any, recipe: str, qualities: str) -> None:
    evidence = make_evidence(recipe=recipe.replace("_q90", "_q90" + qualities))
    split = open_split(evidence.path, "validation")
    maps, labels = collect(batches(split, 5, cache=False))
    assert maps.dtype == np.uint8
    np.testing.assert_array_equal(maps, evidence.maps["validation"])
    assert labels.ravel().tolist() == evidence.labels["validation"] == split.labels.tolist()


@pytest.mark.parametrize("cache", [True, False])
def test_every_epoch_has_every_map_once_in_another_order(make_evidence: Any, cache: bool) -> None:
    evidence = make_evidence()
    dataset = TrainingBatches(open_split(evidence.path, "train"), PLAIN, 3, cache)
    first, second = (collect(dataset.epoch(number)) for number in range(2))
    everything = as_set(evidence.maps["train"], np.array(evidence.labels["train"]))
    assert as_set(*first) == as_set(*second) == everything
    assert not np.array_equal(first[0], second[0])
    assert not np.array_equal(first[0], evidence.maps["train"])
    assert len(dataset) == 5


@pytest.mark.parametrize("cache", [True, False])
def test_equal_seeds_give_equal_epochs(make_evidence: Any, cache: bool) -> None:
    split = open_split(make_evidence().path, "train")
    options = TrainingOptions(flips=True, crops=0.3, batch_size=5)
    runs = [TrainingBatches(split, options, seed, cache) for seed in (7, 7, 8)]
    epochs = [[collect(run.epoch(number))[0] for number in range(3)] for run in runs]
    np.testing.assert_array_equal(epochs[0], epochs[1])
    assert not np.array_equal(epochs[0], epochs[2])


@pytest.mark.parametrize("cache", [True, False])
def test_an_epoch_goes_on_at_any_step_as_if_it_had_never_stopped(make_evidence: Any, cache: bool) -> None:
    split = open_split(make_evidence().path, "train")
    options = TrainingOptions(flips=True, crops=0.3, batch_size=5)
    whole = collect(TrainingBatches(split, options, 7, cache).epoch(2))
    rest = collect(TrainingBatches(split, options, 7, cache).epoch(2, first_step=3))
    for one, other in zip(whole, rest, strict=True):
        np.testing.assert_array_equal(one[15:], other)


@pytest.mark.parametrize("cache", [True, False])
def test_an_epoch_of_more_steps_than_maps_begins_again(make_evidence: Any, cache: bool) -> None:
    split = open_split(make_evidence().path, "train")
    longer = TrainingBatches(split, PLAIN, 7, cache, steps=7)
    maps, _ = collect(longer.epoch(1))
    assert (len(longer), len(maps)) == (7, 35)
    np.testing.assert_array_equal(maps[24:], maps[:11])


def test_streaming_shuffles_within_a_shard_anew_each_epoch(make_evidence: Any) -> None:
    split = open_split(make_evidence(shards=1).path, "train")
    dataset = TrainingBatches(split, PLAIN, 0, cache=False)
    orders = {collect(dataset.epoch(number))[0].tobytes() for number in range(4)}
    assert len(orders) == 4


def test_flips_only_mirror(make_evidence: Any) -> None:
    evidence = make_evidence()
    dataset = TrainingBatches(open_split(evidence.path, "train"), TrainingOptions(batch_size=5), 0, cache=True)
    mirrored = {
        view.tobytes(): kind
        for one in evidence.maps["train"]
        for kind, view in enumerate([one, one[::-1], one[:, ::-1], one[::-1, ::-1]])
    }
    kinds = [mirrored[one.tobytes()] for number in range(4) for one in collect(dataset.epoch(number))[0]]
    assert set(kinds) == {0, 1, 2, 3}


def test_crops_blank_borders_and_touch_nothing_else(make_evidence: Any) -> None:
    evidence = make_evidence()
    options = TrainingOptions(flips=False, crops=0.5, batch_size=5)
    whole = {one[14:18, 14:18].tobytes(): one for one in evidence.maps["train"]}
    blanked = 0
    for one in collect(TrainingBatches(open_split(evidence.path, "train"), options, 0, cache=True).epoch(0))[0]:
        rows, columns = (np.flatnonzero(one.any(axis=axes)) for axes in ((1, 2), (0, 2)))
        inside = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        assert len(rows) >= 15
        assert len(columns) >= 15
        blanked += one[inside].size < one.size
        # Half of a side at most is lost, so the middle tells which map this was unless it was blanked too.
        if one[14:18, 14:18].tobytes() in whole:
            np.testing.assert_array_equal(one[inside], whole[one[14:18, 14:18].tobytes()][inside])
    assert blanked > 12


def test_a_lost_member_is_named(make_evidence: Any) -> None:
    evidence = make_evidence()
    index = evidence.path / "index.jsonl"
    index.write_text(index.read_text().replace('.original.png"', '.lost.png"', 1))
    with pytest.raises(SourceError, match=r"train-00000\.tar of the evidence set lacks train0+\.lost\.png"):
        open_split(evidence.path, "train")


def test_a_lost_shard_is_named(make_evidence: Any) -> None:
    evidence = make_evidence()
    (evidence.path / "shards" / "train-00001.tar").unlink()
    with pytest.raises(SourceError, match=r"train-00001\.tar"):
        open_split(evidence.path, "train")


@pytest.mark.parametrize("cache", [True, False])
def test_maps_in_packs_come_in_the_order_of_those_in_files(make_evidence: Any, in_packs: Any, cache: bool) -> None:
    evidence = make_evidence()
    packed = in_packs(evidence)
    assert len(list((packed.path.parent / "cache").rglob("*.tar"))) > 3
    options = TrainingOptions(flips=True, crops=0.3, batch_size=5)
    one, other = (TrainingBatches(open_split(each.path, "train"), options, 7, cache) for each in (evidence, packed))
    for number in range(2):
        np.testing.assert_array_equal(collect(one.epoch(number))[0], collect(other.epoch(number))[0])
    maps, labels = collect(batches(open_split(packed.path, "validation"), 5, cache=cache))
    np.testing.assert_array_equal(maps, evidence.maps["validation"])
    assert labels.ravel().tolist() == evidence.labels["validation"]


def damage(pack: Path) -> None:
    content = bytearray(pack.read_bytes())
    content[1000] ^= 1
    pack.write_bytes(content)


@pytest.mark.parametrize(("spoil", "how"), [(damage, "damaged"), (Path.unlink, "missing")])
def test_a_spoilt_pack_is_named(make_evidence: Any, in_packs: Any, spoil: Any, how: str) -> None:
    packed = in_packs(make_evidence())
    pack = sorted((packed.path.parent / "cache").rglob("*.tar"))[1]
    spoil(pack)
    everything = [batches(open_split(packed.path, split), 5, cache=False) for split in ("train", "validation")]
    with pytest.raises(SourceError, match=f"pack {pack.name} in file://.* is {how}"), reading():
        collect(chain.from_iterable(everything))
