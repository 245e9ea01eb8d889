"""Packs of maps in a cache: what is read to find some of them, and what merging small packs may and may not lose."""

import hashlib
import json
import re
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from forgery import evidence_cache
from forgery.errors import StorageError
from forgery.evidence_cache import EvidenceCache, PackedMap, index_line, pack_of
from forgery.evidence_packs import PackWriter, merge_small
from forgery.evidence_set import StoredMap
from forgery.places import FolderPlace
from forgery.recipes.ela import ElaRecipe

KEY = "0123456789abcdef"
PACK_BYTES = 1_000_000
FIRST, LAST = "0" * 64, "f" * 64


def digest(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def png(number: int) -> bytes:
    return f"map {number}".encode()


@pytest.fixture
def cache(tmp_path: Path) -> EvidenceCache:
    return EvidenceCache(f"file://{tmp_path}", ElaRecipe(size_px=16))


def keep(cache: EvidenceCache, *packs: range) -> None:
    for numbers in packs:
        writer = PackWriter(cache, PACK_BYTES)
        for each in sorted(map(digest, numbers)):
            writer.add(each, {KEY: png(next(number for number in numbers if digest(number) == each))})
        assert writer.flush()


def small_packs(cache: EvidenceCache, packs: int = 8) -> None:
    keep(cache, *(range(10 * number, 10 * number + 10) for number in range(packs)))


def found(cache: EvidenceCache) -> dict[str, list[StoredMap]]:
    maps = cache.find(FIRST, LAST)
    return {each: places for each in sorted(map(digest, range(100))) for places in maps.of(each).values()}


def indexes(cache: EvidenceCache) -> set[str]:
    return {path.name for path in Path(cache.where.removeprefix("file://")).glob("*.jsonl")}


def pack_with(cache: EvidenceCache, number: int) -> Path:
    return Path(cache.where.removeprefix("file://"), found(cache)[digest(number)][0].pack)


def peak_bytes(run: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        run()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_finding_takes_the_memory_of_one_index_whatever_overlaps(cache: EvidenceCache, tmp_path: Path) -> None:
    (tmp_path / "pack").touch()  # its content is read by nobody
    rows = [PackedMap(each, KEY, 1, 1, KEY) for each in sorted(map(digest, range(4000)))]
    for number in range(4):
        cache.keep(f"{number}.tar", tmp_path / "pack", b"".join(map(index_line, rows)))
    index_bytes = sum(len(json.dumps(row)) + 1 for row in rows)
    narrow = digest(5), digest(5)
    assert [len(places) for places in cache.find(*narrow).of(digest(5)).values()] == [4]
    # What was read, and the like on the way from the disk.
    assert peak_bytes(lambda: cache.find(*narrow)) < 2.5 * index_bytes
    assert peak_bytes(lambda: merge_small(cache, *narrow, PACK_BYTES)) < index_bytes


def test_rows_of_other_pictures_in_the_range_stay_as_short_as_they_lie(cache: EvidenceCache, tmp_path: Path) -> None:
    """Pictures of validation lie among those of training."""
    (tmp_path / "pack").touch()
    rows = [PackedMap(each, KEY, 1, 1, KEY) for each in sorted(map(digest, range(8000)))]
    cache.keep("1.tar", tmp_path / "pack", b"".join(map(index_line, rows)))
    index_bytes = sum(len(json.dumps(row)) + 1 for row in rows)

    def ask() -> None:
        maps = cache.find(FIRST, LAST)
        assert all(KEY in maps.of(each) for each in sorted(map(digest, range(0, 8000, 5))))

    # As Python's objects they would take ten times as much.
    assert peak_bytes(ask) < 5 * index_bytes


def test_an_index_that_was_merged_while_it_was_asked_for_is_looked_for_again(
    cache: EvidenceCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_packs(cache)
    read = FolderPlace.read

    def read_late(place: FolderPlace, name: str) -> bytes | None:
        monkeypatch.undo()
        merge_small(cache, FIRST, LAST, PACK_BYTES)
        return read(place, name)

    monkeypatch.setattr(FolderPlace, "read", read_late)
    assert len(found(cache)) == 80
    assert len(indexes(cache)) == 1


def test_merged_packs_hold_what_the_small_ones_held(cache: EvidenceCache) -> None:
    small_packs(cache)
    before = found(cache)
    merge_small(cache, FIRST, LAST, PACK_BYTES)
    after = found(cache)
    assert len(indexes(cache)) == 1
    assert after.keys() == before.keys()
    assert {cache.read(*after[digest(number)]) for number in range(80)} == set(map(png, range(80)))
    for places in before.values():
        assert cache.read(*places) is not None  # evidence sets refer to the old packs


def test_few_small_packs_are_left_as_they_are(cache: EvidenceCache) -> None:
    small_packs(cache, packs=7)
    before = indexes(cache)
    merge_small(cache, FIRST, LAST, PACK_BYTES)
    assert indexes(cache) == before


@pytest.mark.parametrize("refused", ["put", "write"])
def test_packs_are_not_forgotten_for_one_that_was_not_kept(
    cache: EvidenceCache, monkeypatch: pytest.MonkeyPatch, refused: str
) -> None:
    small_packs(cache)
    before = found(cache)

    def refuse(*_: object) -> None:
        raise StorageError("no room")

    monkeypatch.setattr(FolderPlace, refused, refuse)
    merge_small(cache, FIRST, LAST, PACK_BYTES)
    assert found(cache) == before


def test_a_map_that_is_damaged_is_left_out_and_so_computed_anew(cache: EvidenceCache) -> None:
    small_packs(cache)
    pack, (stored,) = pack_with(cache, 3), found(cache)[digest(3)]
    content = bytearray(pack.read_bytes())
    content[stored.offset] ^= 1
    pack.write_bytes(content)
    merge_small(cache, FIRST, LAST, PACK_BYTES)
    assert len(indexes(cache)) == 1
    assert set(map(digest, range(80))) - found(cache).keys() == {digest(3)}


def test_maps_of_a_pack_that_goes_while_it_is_merged_are_left_out(
    cache: EvidenceCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_packs(cache)
    pack, open_pack = pack_with(cache, 3), FolderPlace.open

    def open_after_it_went(place: FolderPlace, name: str) -> object:
        pack.unlink(missing_ok=True)
        return open_pack(place, name)

    monkeypatch.setattr(FolderPlace, "open", open_after_it_went)
    merge_small(cache, FIRST, LAST, PACK_BYTES)
    assert len(indexes(cache)) == 1
    assert set(map(digest, range(80))) - found(cache).keys() == set(map(digest, range(10)))


def test_a_pack_that_cannot_be_read_this_time_keeps_its_index(
    cache: EvidenceCache, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    small_packs(cache)
    before = found(cache)
    pack = pack_with(cache, 3)
    open_pack = FolderPlace.open

    def open_or_refuse(place: FolderPlace, name: str) -> object:
        if name == pack.name:
            raise StorageError("no answer")
        return open_pack(place, name)

    monkeypatch.setattr(FolderPlace, "open", open_or_refuse)
    merge_small(cache, FIRST, LAST, PACK_BYTES)
    monkeypatch.undo()
    assert found(cache).keys() == before.keys()
    assert {pack_of(name) for name in indexes(cache)} > {pack.name}
    assert len(indexes(cache)) == 2
    assert f"{pack.name} is not merged: no answer" in caplog.text


def test_an_index_that_is_damaged_is_not_forgotten(cache: EvidenceCache) -> None:
    small_packs(cache, packs=9)
    index = next(path for path in Path(cache.where.removeprefix("file://")).glob("*.jsonl"))
    first, rest = index.read_text().split("\n", 1)
    index.write_text(f"{json.loads(first)[0]}\n{rest}")
    merge_small(cache, FIRST, LAST, PACK_BYTES)
    assert index.name in indexes(cache)
    assert len(indexes(cache)) == 2


def test_all_code_that_makes_maps_tells_kept_maps_apart() -> None:
    """Else a map that older code made is taken for a new one."""
    package = Path(evidence_cache.__file__).parent
    other = {"bucket_place.py", "dataset", "errors.py", "parallel.py", "places.py", "s3.py"}
    told = {path for pattern in evidence_cache._PIXEL_CODE for path in package.glob(pattern)}
    seen: set[Path] = set()
    ahead = {package / "evidence_maps.py", *package.glob("recipes/*.py")}
    while ahead:
        seen |= ahead
        imported = {
            package / module.removeprefix("forgery.").replace(".", "/")
            for path in ahead
            for module in re.findall(r"^\s*from (forgery\.[\w.]+) import", path.read_text(), re.MULTILINE)
        }
        files = {path / "__init__.py" if path.is_dir() else path.with_suffix(".py") for path in imported}
        ahead = {path for path in files if path.relative_to(package).parts[0] not in other} - seen
    assert package / "pasting.py" in seen
    assert seen <= told
