"""Evidence in parts, and evidence that was computed before."""

import json
import shutil
import signal
import subprocess
import sys
import tarfile
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from forgery import evidence_maps
from forgery.config import DataOptions
from forgery.dataset.ingest import ingest
from forgery.dataset.manifest import DatasetInfo, Picture, ShardInfo, read_info, read_pictures
from forgery.dataset.shards import read_members
from forgery.errors import InvalidConfig, StorageError
from forgery.evidence import build_evidence, read_evidence_info, read_index
from forgery.evidence_parts import MOST_PARTS, join_parts, part_names, shards_of_part
from forgery.evidence_set import EvidenceInfo, read_located
from forgery.histories import MATCHED
from forgery.places import open_place
from forgery.recipes.blocks import BlocksRecipe
from forgery.recipes.ela import ElaRecipe
from forgery.training.checkpoints import training_key
from forgery.variants import PASTED

RECIPE = ElaRecipe(size_px=16)
MANY = DataOptions(shard_pictures=6)
PICTURES = 40


def make_source(folder: Path, pictures: int, offset: int = 0) -> Path:
    for number in range(offset, offset + pictures):
        random = np.random.default_rng(number)
        path = folder / ("authentic", "forged")[number % 2] / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = random.integers(0, 256, (6, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((64, 48)).save(path, quality=80 + number % 3)
    mask = Image.new("L", (64, 48))
    mask.paste(255, (10, 10, 30, 30))
    mask.save(folder / "mask.png")
    rows = [(file.relative_to(folder), file.parent.name) for file in sorted(folder.rglob("*.jpg"))]
    lines = [f"{file},{label},{'mask.png' if label == 'forged' else ''}" for file, label in rows]
    (folder / "manifest.csv").write_text("\n".join(["file,label,mask", *lines]))
    return folder


@pytest.fixture(scope="module")
def image_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("parts")
    ingest(str(make_source(folder / "source", PICTURES)), folder / "set", MANY, 0)
    return folder / "set"


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Names of maps computed, one entry a map."""
    found: list[str] = []
    encode = evidence_maps.encode_map

    def counted(evidence_map):
        found.append("map")
        return encode(evidence_map)

    monkeypatch.setattr(evidence_maps, "encode_map", counted)
    return found


def build(
    image_set: Path,
    out: Path,
    part: str,
    cache: Path | None = None,
    variants: tuple[str, ...] = (),
    in_packs: bool = False,
) -> None:
    sizes = {"shard_mb": MANY.shard_mb, "shard_pictures": MANY.shard_pictures}
    where = f"file://{cache}" if cache else ""
    build_evidence(image_set, out, RECIPE, variants, workers=1, part=part, cache=where, in_packs=in_packs, **sizes)


def names(image_set: Path) -> list[str]:
    return part_names(read_info(image_set), MANY.shard_mb, MANY.shard_pictures)


def build_all(
    image_set: Path,
    folder: Path,
    cache: Path | None = None,
    variants: tuple[str, ...] = (),
    in_packs: bool = False,
) -> list[Path]:
    for part in names(image_set):
        build(image_set, folder / part, part, cache, variants, in_packs)
    return [folder / part for part in names(image_set)]


def maps(folder: Path) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for split in ("train", "validation"):
        for row in read_index(folder, split):
            assert row.member not in found
            found[row.member] = dict(read_members(folder / "shards" / row.shard))[row.member]
    return found


def packed_maps(folder: Path) -> dict[str, bytes]:
    place = open_place(read_evidence_info(folder).place)
    located = [each for split in ("train", "validation") for each in read_located(folder, split)]
    return {row.member: place.read_range(stored.pack, stored.offset, stored.size) for row, stored in located if stored}


def joined(parts: list[Path], out: Path) -> Path:
    out.mkdir()
    join_parts(parts, out)
    return out


@pytest.mark.parametrize("variants", [(), ("q70",), (PASTED,), (MATCHED, "q70", PASTED)])
def test_parts_together_are_the_whole(image_set: Path, tmp_path: Path, variants: tuple[str, ...]) -> None:
    parts = build_all(image_set, tmp_path / "parts", variants=variants)
    assert len(parts) > 3
    together = joined(parts[::-1], tmp_path / "joined")
    build_evidence(image_set, tmp_path / "whole", RECIPE, variants)
    assert maps(together) == maps(tmp_path / "whole")
    assert read_evidence_info(together) == read_evidence_info(tmp_path / "whole")
    assert [row.digest for row in read_index(together, "train")] == [
        row.digest for row in read_index(tmp_path / "whole", "train")
    ]


def test_a_small_data_set_is_one_part(tmp_path: Path) -> None:
    info = ingest(str(make_source(tmp_path / "source", 12)), tmp_path / "set", DataOptions(), 0)
    assert part_names(info, 64, 5000) == ["00000-of-00001"]


def test_more_shards_than_tasks_are_dealt_to_the_most_there_may_be() -> None:
    shards = [
        ShardInfo(name=f"train-{number:05d}.tar", split="train", pictures=5000, bytes=1, first="", last="")
        for number in range(2 * MOST_PARTS + 7)
    ]
    info = DatasetInfo(digest="", layout="", seed=0, pictures=0, rejects=0, counts={}, shards=shards)
    planned = part_names(info, 64, 5000)
    assert len(planned) == MOST_PARTS
    dealt = [shards_of_part(info, part, 64, 5000) for part in planned]
    assert [shard for part in dealt for shard in part] == shards
    assert {len(part) for part in dealt} == {2, 3}


def test_a_part_that_came_twice_counts_once_and_a_missing_one_is_named(image_set: Path, tmp_path: Path) -> None:
    parts = build_all(image_set, tmp_path / "parts")
    again = shutil.copytree(parts[0], tmp_path / "again")
    assert len(maps(joined([*parts, again], tmp_path / "joined"))) == read_evidence_info(tmp_path / "joined").maps
    with pytest.raises(StorageError, match=f"lacks 1 of .* parts, e.g. {parts[2].name}"):
        join_parts([*parts[:2], *parts[3:]], tmp_path)


def test_parts_are_joined_in_memory_that_does_not_grow_with_them(tmp_path: Path) -> None:
    index_bytes = 8_000_000
    for part in ("00000-of-00002", "00001-of-00002"):
        (tmp_path / part).mkdir()
        info = EvidenceInfo(
            recipe=RECIPE.name, dataset_digest="", variants=[], counts={}, maps=0, map_bytes=0, part=part
        )
        (tmp_path / part / "evidence.json").write_text(info.model_dump_json())
        (tmp_path / part / "index.jsonl").write_bytes(b"0" * index_bytes)
    (tmp_path / "joined").mkdir()
    tracemalloc.start()
    try:
        join_parts([tmp_path / "00001-of-00002", tmp_path / "00000-of-00002"], tmp_path / "joined")
        assert tracemalloc.get_traced_memory()[1] < index_bytes / 2
    finally:
        tracemalloc.stop()
    assert (tmp_path / "joined" / "index.jsonl").stat().st_size == 2 * index_bytes


def test_parts_of_different_runs_do_not_join(image_set: Path, tmp_path: Path) -> None:
    parts = build_all(image_set, tmp_path / "parts")
    build(image_set, tmp_path / "other", names(image_set)[0], variants=("q70",))
    with pytest.raises(StorageError, match="different runs"):
        join_parts([tmp_path / "other", *parts[1:]], tmp_path)


def test_a_part_that_is_not_planned_is_refused(image_set: Path, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="plan the parts again"):
        build(image_set, tmp_path / "out", "00001-of-00002")


def test_nothing_is_computed_twice(image_set: Path, tmp_path: Path, computed: list[str]) -> None:
    variants = (MATCHED, "q70", PASTED)
    first = joined(build_all(image_set, tmp_path / "first", tmp_path / "cache", variants), tmp_path / "joined 1")
    assert len(computed) == len(maps(first))
    computed.clear()
    second = joined(build_all(image_set, tmp_path / "second", tmp_path / "cache", variants), tmp_path / "joined 2")
    assert computed == []
    assert maps(second) == maps(first)
    info = read_evidence_info(second)
    assert (info.reused, info.digest) == (info.maps, read_evidence_info(first).digest)


def test_new_pictures_alone_are_computed_however_the_parts_are_cut(tmp_path: Path, computed: list[str]) -> None:
    source = make_source(tmp_path / "source", PICTURES)
    ingest(str(source), tmp_path / "before", MANY, 0)
    build_all(tmp_path / "before", tmp_path / "parts before", tmp_path / "cache")
    make_source(source, 4, offset=PICTURES)
    ingest(str(source), tmp_path / "after", MANY, 0)
    known = set(
        maps(joined([tmp_path / "parts before" / part for part in names(tmp_path / "before")], tmp_path / "j1"))
    )
    computed.clear()
    after = joined(build_all(tmp_path / "after", tmp_path / "parts after", tmp_path / "cache"), tmp_path / "j2")
    assert len(computed) == len(set(maps(after)) - known)
    assert read_evidence_info(after).reused == len(set(maps(after)) & known) > 0
    build_evidence(tmp_path / "after", tmp_path / "whole", RECIPE)
    assert maps(after) == maps(tmp_path / "whole")


def test_a_map_made_from_another_recipe_is_not_taken(image_set: Path, tmp_path: Path) -> None:
    cache = f"file://{tmp_path}/cache"
    for number, recipe in enumerate((RECIPE, BlocksRecipe(cells=8), ElaRecipe(size_px=16, qualities=(80,)))):
        info = build_evidence(image_set, tmp_path / str(number), recipe, workers=1, cache=cache)
        assert info.reused == 0


def damage_picture(image_set: Path, row: Picture) -> Path:
    """Change a picture's file; returns the pack it is in."""
    pack = image_set / "packs" / row.pack
    content = bytearray(pack.read_bytes())
    content[row.offset + tarfile.BLOCKSIZE + row.bytes // 2] ^= 1
    pack.write_bytes(content)
    return pack


def damage(pack: Path) -> None:
    content = bytearray(pack.read_bytes())
    content[600] ^= 1
    pack.write_bytes(content)


@pytest.mark.parametrize("spoil", [damage, Path.unlink, lambda pack: pack.write_bytes(pack.read_bytes()[:700])])
def test_a_pack_that_is_damaged_or_gone_is_computed_anew(image_set: Path, tmp_path: Path, spoil, caplog) -> None:
    first = joined(build_all(image_set, tmp_path / "first", tmp_path / "cache"), tmp_path / "joined 1")
    for pack in list((tmp_path / "cache").rglob("*.tar"))[:2]:
        spoil(pack)
    second = joined(build_all(image_set, tmp_path / "second", tmp_path / "cache"), tmp_path / "joined 2")
    assert maps(second) == maps(first)
    assert 0 < read_evidence_info(second).reused < read_evidence_info(second).maps
    third = build_all(image_set, tmp_path / "third", tmp_path / "cache")
    assert all(read_evidence_info(part).reused == read_evidence_info(part).maps for part in third)


def test_a_cache_that_cannot_be_used_costs_a_warning_only(image_set: Path, tmp_path: Path, caplog) -> None:
    (tmp_path / "file").write_text("no folder")
    info = build_evidence(image_set, tmp_path / "out", RECIPE, workers=1, cache=f"file://{tmp_path}/file")
    assert info.reused == 0
    assert "cache" in caplog.text or "computed anew" in caplog.text


@pytest.mark.parametrize("variants", [(), (MATCHED, "q70", PASTED)])
def test_maps_that_are_left_in_the_cache_are_those_of_the_artifact(
    image_set: Path, tmp_path: Path, variants: tuple[str, ...], computed: list[str]
) -> None:
    elsewhere = joined(build_all(image_set, tmp_path / "files", variants=variants), tmp_path / "j1")
    cache = tmp_path / "cache"
    packed = joined(build_all(image_set, tmp_path / "parts", cache, variants, in_packs=True), tmp_path / "j2")
    assert packed_maps(packed) == maps(elsewhere)
    assert not list(packed.rglob("*.tar"))
    # All that a training's order and its checkpoints stand on.
    assert (packed / "index.jsonl").read_bytes() == (elsewhere / "index.jsonl").read_bytes()
    assert training_key(packed, {}) == training_key(elsewhere, {})

    computed.clear()
    written = {path: path.stat().st_mtime_ns for path in cache.rglob("*") if path.is_file()}
    bare = shutil.copytree(image_set, tmp_path / "bare", ignore=shutil.ignore_patterns("*.tar"))
    again = joined(build_all(bare, tmp_path / "again", cache, variants, in_packs=True), tmp_path / "j3")
    assert packed_maps(again) == packed_maps(packed)
    assert computed == []
    assert {path: path.stat().st_mtime_ns for path in cache.rglob("*") if path.is_file()} == written


def test_maps_are_left_in_a_cache_or_nowhere(image_set: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig, match="without one"):
        build_evidence(image_set, tmp_path / "out", RECIPE, in_packs=True)
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(StorageError, match="cannot be written"):
        build_evidence(image_set, tmp_path / "out", RECIPE, workers=1, cache=f"file://{tmp_path}/file", in_packs=True)
    assert not (tmp_path / "out").exists()


def test_small_packs_are_merged_and_those_who_refer_to_them_still_find_them(
    tmp_path: Path, computed: list[str]
) -> None:
    cache, source = tmp_path / "cache", tmp_path / "source"
    options = DataOptions(split_by="digest")
    for number in range(9):
        ingest(str(make_source(source, 20, 20 * number)), tmp_path / f"set {number}", options, 0)
        out = tmp_path / str(number)
        computed.clear()
        info = build_evidence(
            tmp_path / f"set {number}", out, RECIPE, workers=1, cache=f"file://{cache}", in_packs=True
        )
        assert len(computed) == info.maps - info.reused
    first = packed_maps(tmp_path / "0")
    assert first.items() <= packed_maps(tmp_path / "8").items()
    packs, indexes = (len(list(cache.rglob(pattern))) for pattern in ("*.tar", "*.jsonl"))
    assert indexes < 11 < packs - 1
    # Nothing is lost with the indexes that went.
    last = build_evidence(tmp_path / "set 8", tmp_path / "again", RECIPE, cache=f"file://{cache}")
    assert last.reused == last.maps
    assert maps(tmp_path / "again") == packed_maps(tmp_path / "8")


KILLED = """
import json, os, signal, sys
from pathlib import Path
from forgery import evidence_cache
from forgery.evidence import build_evidence
from forgery.recipes.ela import ElaRecipe
image_set, out, cache = sys.argv[1:]
keep = evidence_cache.EvidenceCache.keep
def keep_and_die(self, *pack):
    keep(self, *pack)
    os.kill(os.getpid(), signal.SIGKILL)
evidence_cache.EvidenceCache.keep = keep_and_die
import forgery.dataset.shards
from forgery import evidence
evidence.MEGABYTE = 2000  # packs of some maps
build_evidence(Path(image_set), Path(out), ElaRecipe(size_px=16), shard_mb=1, workers=1, cache=f"file://{cache}")
"""


def test_what_a_killed_step_kept_is_not_computed_again(image_set: Path, tmp_path: Path, computed: list[str]) -> None:
    arguments = [str(image_set), str(tmp_path / "out"), str(tmp_path / "cache")]
    done = subprocess.run([sys.executable, "-c", KILLED, *arguments], check=False)
    assert done.returncode == -signal.SIGKILL
    assert not (tmp_path / "out").exists()
    again = build_evidence(image_set, tmp_path / "out", RECIPE, workers=1, cache=f"file://{tmp_path}/cache")
    assert 0 < again.reused < again.maps
    assert len(computed) == again.maps - again.reused
    undisturbed = build_evidence(image_set, tmp_path / "other", RECIPE)
    assert again.digest == undisturbed.digest
    assert json.loads((tmp_path / "out" / "evidence.json").read_text())["digest"] == undisturbed.digest


def test_packs_in_a_cache_are_read_from_there_and_stored_once(image_set: Path, tmp_path: Path) -> None:
    source, cache = make_source(tmp_path / "source", PICTURES), f"file://{tmp_path}/cache"
    options = MANY.model_copy(update={"shards_in": "cache"})
    info = ingest(str(source), tmp_path / "set", options, 0, cache)
    assert not list((tmp_path / "set").rglob("*.tar"))
    stored = sorted((tmp_path / "cache" / "pictures").iterdir())
    assert sorted(path.name for path in stored) == sorted({row.pack for row in read_pictures(tmp_path / "set")})
    assert info.digest == read_info(image_set).digest
    parts, elsewhere = build_all(tmp_path / "set", tmp_path / "parts"), build_all(image_set, tmp_path / "elsewhere")
    assert maps(joined(parts, tmp_path / "j1")) == maps(joined(elsewhere, tmp_path / "j2"))

    written = {path: path.stat().st_mtime_ns for path in stored}
    stored[0].unlink()
    assert ingest(str(source), tmp_path / "again", options, 0, cache) == info
    now = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache" / "pictures").iterdir()}
    assert now.keys() == written.keys()
    assert [path for path in written if now[path] != written[path]] == [stored[0]]


def test_a_stored_pack_that_is_gone_is_named(tmp_path: Path) -> None:
    source = make_source(tmp_path / "source", PICTURES)
    options = MANY.model_copy(update={"shards_in": "cache"})
    ingest(str(source), tmp_path / "set", options, 0, f"file://{tmp_path}/cache")
    first = next(read_pictures(tmp_path / "set", ("train",)))
    (tmp_path / "cache" / "pictures" / first.pack).unlink()
    with pytest.raises(StorageError, match=f"{first.member} in pictures/{first.pack} of .* is missing or damaged"):
        build_evidence(tmp_path / "set", tmp_path / "out", RECIPE)


def test_shards_in_a_cache_need_one(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig, match="name one with cache"):
        ingest(str(make_source(tmp_path / "source", 12)), tmp_path / "set", DataOptions(shards_in="cache"), 0)
    assert not (tmp_path / "set").exists()


def test_of_many_parts_the_one_that_failed_is_all_that_is_computed(
    image_set: Path, tmp_path: Path, computed: list[str]
) -> None:
    broken = shutil.copytree(image_set, tmp_path / "set")
    shard = next(each for each in read_info(image_set).shards if each.split == "train")
    pack = damage_picture(broken, list(read_pictures(image_set, ("train",), [shard.name]))[-1])
    failed = []
    for part in names(broken):
        try:
            build(broken, tmp_path / "first" / part, part, tmp_path / "cache")
        except StorageError:
            failed.append(part)
    assert len(failed) == 1
    assert not (tmp_path / "first" / failed[0]).exists()
    shutil.copy(image_set / "packs" / pack.name, pack)
    computed.clear()
    parts = build_all(broken, tmp_path / "second", tmp_path / "cache")
    again = {part.name: read_evidence_info(part) for part in parts}
    assert len(computed) == again[failed[0]].maps - again[failed[0]].reused == 1  # those before the damage were kept
    assert all(info.reused == info.maps for name, info in again.items() if name not in failed)
    build_evidence(image_set, tmp_path / "whole", RECIPE)
    assert (
        read_evidence_info(joined(parts, tmp_path / "joined")).digest == read_evidence_info(tmp_path / "whole").digest
    )
