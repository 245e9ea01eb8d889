"""Which authentic picture is whose host."""

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from forgery.dataset.manifest import DatasetInfo, Picture, ShardInfo
from forgery.evidence_hosts import with_hosts
from forgery.pasting import steps_to_host

PICTURES = 120
SHARDS = 4
Labels = Callable[[int], str]


def rows(label: Labels, without_mask: frozenset[int] = frozenset()) -> list[Picture]:
    """Training pictures in order of digest, in shards of equal size."""
    digests = sorted(hashlib.sha256(bytes([number])).hexdigest() for number in range(PICTURES))
    numbers = dict.fromkeys(("width", "height", "bytes", "offset", "length"), 0)
    return [
        Picture(
            digest=digest, label=label(at), split="train", format="JPEG", group="", name="", pack="", member="",
            shard=f"train-{at * SHARDS // PICTURES:05d}", **numbers,
            mask_member="mask" if label(at) == "forged" and at not in without_mask else None,
        )
        for at, digest in enumerate(digests)
    ]  # fmt: skip


@pytest.fixture
def hosts(tmp_path: Path) -> Callable[[list[Picture], Sequence[int]], list[Picture | None]]:
    """The hosts of the pictures of some shards."""

    def find(every: list[Picture], wanted: Sequence[int]) -> list[Picture | None]:
        (tmp_path / "manifest.jsonl").write_text("".join(f"{row.model_dump_json()}\n" for row in every))
        names = sorted({row.shard for row in every})
        shards = [
            ShardInfo(name=name, split="train", pictures=0, bytes=0, first=own[0].digest, last=own[-1].digest)
            for name in names
            for own in ([row for row in every if row.shard == name],)
        ]
        info = DatasetInfo.model_construct(shards=shards)
        chosen = [row for row in every if row.shard in {names[at] for at in wanted}]
        found = list(with_hosts(tmp_path, info, iter(chosen), shards[wanted[-1]]))
        assert [row for row, _ in found] == chosen
        return [host for _, host in found]

    return find


def alternately(at: int) -> str:
    return "forged" if at % 3 else "authentic"


def test_a_host_is_one_of_the_next_authentic_pictures_in_a_ring(hosts) -> None:
    every = rows(alternately)
    for at, host in enumerate(hosts(every, range(SHARDS))):
        ring = [row for row in every[at + 1 :] + every if row.label == "authentic"]
        expected = ring[steps_to_host(every[at].digest) - 1] if every[at].label == "forged" else None
        assert host == expected


def test_parts_find_the_same_hosts_as_the_whole(hosts) -> None:
    every = rows(alternately)
    assert [host for at in range(SHARDS) for host in hosts(every, [at])] == hosts(every, range(SHARDS))


def test_forged_pictures_without_a_mask_have_none(hosts) -> None:
    found = hosts(rows(alternately, frozenset({1, 5})), range(SHARDS))
    assert found[1] is found[5] is None
    assert found[2] is not None


@pytest.mark.parametrize("label", ["authentic", "forged"])
def test_with_one_class_alone_there_are_no_hosts(hosts, label: str) -> None:
    assert hosts(rows(lambda at: label), range(SHARDS)) == [None] * PICTURES


def test_one_authentic_picture_is_the_host_of_all(hosts) -> None:
    every = rows(lambda at: "authentic" if at == 7 else "forged")
    assert Counter(host and host.digest for host in hosts(every, range(SHARDS))) == {every[7].digest: 119, None: 1}


def test_an_added_picture_changes_the_hosts_before_it_alone(hosts) -> None:
    every = rows(alternately)
    without = every[:60] + every[61:]
    assert every[60].label == "authentic"
    before, after = hosts(without, range(SHARDS)), hosts(every, range(SHARDS))
    del after[60]
    changed = [at for at, pair in enumerate(zip(before, after, strict=True)) if pair[0] != pair[1]]
    assert changed
    assert min(changed) >= 60 - 4 * 3
    assert max(changed) < 60
