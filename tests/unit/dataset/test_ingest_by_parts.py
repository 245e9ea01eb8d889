"""Ingest in its three steps: what is read once, what many parts are together, what a task needs of its disk."""

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from forgery.config import RunConfig
from forgery.dataset import reading
from forgery.dataset.entries import Entries
from forgery.dataset.ingest import ingest
from forgery.dataset.listing import read_listing
from forgery.dataset.manifest import DatasetInfo, read_pictures, read_rejects
from forgery.dataset.reads import Read
from forgery.dataset.shards import read_encoded
from forgery.dataset.sorting import sort_lines
from forgery.dataset.sources import Entry
from forgery.errors import StorageError
from forgery.steps.ingest import join, list_files, read_one

Files = dict[str, bytes]


@pytest.fixture
def files(picture: Callable[..., bytes]) -> Files:
    """Two classes with copies, a conflict and a broken file, that lie far from each other by name."""
    found = {f"{('authentic', 'forged')[seed % 2]}/{seed:02d}.jpg": picture(seed) for seed in range(40)}
    found["forged/z-copy.jpg"] = found["forged/01.jpg"]
    found["forged/z-conflict.jpg"] = found["authentic/04.jpg"]
    found["authentic/z-broken.jpg"] = b"no picture"
    return found


@pytest.fixture
def examined(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of files that were read."""
    found: list[str] = []
    examine = reading.examine

    def noted(source, labelled, limits):
        found.append(labelled.name)
        return examine(source, labelled, limits)

    monkeypatch.setattr(reading, "examine", noted)
    return found


def config_of(source: Path, cache: Path | None = None, **data: object) -> RunConfig:
    sizes = {"shard_pictures": 2} | ({"shards_in": "cache"} if cache else {})
    return RunConfig.read({"source": str(source), "data": sizes | data, "cache": f"file://{cache}" if cache else ""})


def run(config: RunConfig, folder: Path) -> DatasetInfo:
    """All tasks of the pipeline, one after the other; the image set is `folder`/set."""
    parts = list_files(folder / "listing", config)
    for part in parts:
        read_one(folder / "listing", part, folder / part, config)
    return join(folder / "listing", [folder / part for part in parts[::-1]], folder / "set", config)


def content(image_set: Path) -> list[object]:
    rows = [
        (row.digest, row.label, row.group, row.split, row.name, encoded) for row, encoded in read_encoded(image_set)
    ]
    return [*rows, *read_rejects(image_set)]


@pytest.mark.parametrize("in_cache", [False, True])
def test_many_parts_are_together_what_one_is(in_cache: bool, folder, files: Files, tmp_path: Path) -> None:
    source = folder(files)
    one = ingest(str(source), tmp_path / "one", RunConfig().data, 0)
    many = run(config_of(source, tmp_path / "cache" if in_cache else None), tmp_path / "many")
    assert len(read_listing(tmp_path / "many" / "listing").parts) > 3
    assert many.digest == one.digest
    assert content(tmp_path / "many" / "set") == content(tmp_path / "one")
    assert {reject.reason for reject in read_rejects(tmp_path / "one")} == {"duplicate", "conflict", "unreadable"}


def test_only_new_and_changed_files_are_read(
    folder, files: Files, picture, tmp_path: Path, examined: list[str]
) -> None:
    config = config_of(folder(files), tmp_path / "cache")
    run(config, tmp_path / "first")
    examined.clear()
    run(config, tmp_path / "again")
    assert examined == []
    # Wherever in the listing they fall, and whatever leaves it.
    new = {"authentic/17-between.jpg": picture(100), "forged/21.jpg": picture(101)}
    (folder(new) / "forged" / "01.jpg").unlink()
    info = run(config, tmp_path / "more")
    assert sorted(examined) == sorted(new)
    fresh = ingest(config.source, tmp_path / "fresh", config.data.model_copy(update={"shards_in": "artifact"}), 0)
    assert info.digest == fresh.digest
    assert content(tmp_path / "more" / "set") == content(tmp_path / "fresh")


def test_files_that_are_known_as_they_are_listed_are_passed_on_as_text(
    folder, picture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To parse and write them again is what a second run with few new files mostly took."""
    pictures = {f"forged/{name}.jpg": picture(seed) for seed, name in enumerate(("1", 'a "quoted"', "ü"))}
    config = config_of(folder(pictures), tmp_path / "cache")
    run(config, tmp_path / "first")

    def parse(line: str) -> Read:
        raise AssertionError(line)

    monkeypatch.setattr(Read, "of", parse)
    list_files(tmp_path / "listing", config)
    monkeypatch.undo()
    known = [Read.of(line).file.name for line in (tmp_path / "listing" / "known.jsonl").read_text().splitlines()]
    assert sorted(known) == sorted(pictures)


def test_what_the_listing_says_today_holds_for_what_was_read_before(folder, picture, tmp_path: Path) -> None:
    pictures = {f"{number}.jpg": picture(number) for number in range(6)}

    def ingested(groups: str, out: str) -> DatasetInfo:
        rows = "".join(f"{number}.jpg,{number % 2},{group}\n" for number, group in enumerate(groups))
        source = folder({"manifest.csv": f"file,label,group\n{rows}".encode()})
        return run(config_of(source, tmp_path / "cache"), tmp_path / out)

    folder(pictures)
    before, after = ingested("aabbcc", "first"), ingested("abbcca", "second")
    assert before.digest != after.digest
    assert {row.name: row.group for row in read_pictures(tmp_path / "second" / "set")} == {
        f"{number}.jpg": group for number, group in enumerate("abbcca")
    }


def test_a_task_that_is_tried_again_reads_what_it_had_not_read(
    folder, files: Files, tmp_path: Path, examined: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = config_of(folder(files), tmp_path / "cache")
    part = list_files(tmp_path / "listing", config)[0]
    keep = reading.KeptReads.keep

    def keep_and_stop(self, block, reads):
        keep(self, block, reads)
        raise KeyboardInterrupt

    monkeypatch.setattr(reading.KeptReads, "keep", keep_and_stop)
    with pytest.raises(KeyboardInterrupt):
        read_one(tmp_path / "listing", part, tmp_path / "part", config)
    monkeypatch.setattr(reading.KeptReads, "keep", keep)
    assert not (tmp_path / "part").exists()
    first = set(examined)
    examined.clear()
    told = read_one(tmp_path / "listing", part, tmp_path / "part", config)
    assert len(first) == told["reused"] == 2
    assert first.isdisjoint(examined)
    assert len(examined) == int(told["files"]) - 2


def test_a_task_has_one_pack_on_its_disk_at_a_time(
    folder, files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = config_of(folder(files), tmp_path / "cache")
    parts = list_files(tmp_path / "listing", config)
    seen: list[int] = []
    finish = reading.PackWriter.finish

    def counted(self) -> str:
        name = finish(self)
        seen.append(len(list(self._folder.iterdir())))
        return name

    monkeypatch.setattr(reading.PackWriter, "finish", counted)
    for part in parts:
        read_one(tmp_path / "listing", part, tmp_path / part, config)
        assert list((tmp_path / part / "packs").iterdir()) == []
    assert len(seen) > 10
    assert set(seen) == {1}


def test_a_pack_that_is_gone_is_read_anew(folder, files: Files, tmp_path: Path, examined: list[str]) -> None:
    config = config_of(folder(files), tmp_path / "cache")
    before = run(config, tmp_path / "first")
    lost = next(read_pictures(tmp_path / "first" / "set")).pack
    (tmp_path / "cache" / "pictures" / lost).unlink()
    examined.clear()
    assert run(config, tmp_path / "again") == before
    assert 1 <= len(examined) <= 2
    assert content(tmp_path / "again" / "set") == content(tmp_path / "first" / "set")


def test_a_part_that_is_missing_is_named(folder, files: Files, tmp_path: Path) -> None:
    config = config_of(folder(files))
    run(config, tmp_path)
    parts = [tmp_path / part for part in read_listing(tmp_path / "listing").parts]
    with pytest.raises(StorageError, match=f"1 of {len(parts)} parts were not read, e.g. {parts[2].name}"):
        join(tmp_path / "listing", parts[:2] + parts[3:] + parts[:1], tmp_path / "less", config)
    shutil.rmtree(parts[2])
    with pytest.raises(StorageError, match="cannot be read"):
        join(tmp_path / "listing", parts, tmp_path / "less", config)
    assert not (tmp_path / "less").exists()


def test_demo_pictures_are_made_once_for_all_tasks_and_not_kept(
    folder, files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, made = folder(files), []

    def make(out: Path, pictures: int, seed: int) -> Path:
        made.append(pictures)
        return shutil.copytree(source, out)

    monkeypatch.setattr("forgery.dataset.demo.make_demo", make)
    config = config_of(source, tmp_path / "cache").model_copy(update={"source": "demo:43"})
    info = run(config, tmp_path / "demo")
    assert made == [43]
    assert not (tmp_path / "cache" / "reads").exists()
    assert read_listing(tmp_path / "demo" / "listing").parts == ["00000-of-00001"]
    assert info.digest == ingest(str(source), tmp_path / "set", RunConfig().data, 0).digest


def test_lines_are_sorted_in_runs_as_they_are_at_once() -> None:
    lines = [json.dumps([random.Random(number).randrange(50), number]) + "\n" for number in range(2000)]

    def key(line: str) -> str:
        return f"{json.loads(line)[0]:02d}"

    assert list(sort_lines(lines, key, run_bytes=1000)) == sorted(lines, key=key)
    assert list(sort_lines([], key)) == []


def test_entries_come_in_order_of_name_whatever_is_in_it(tmp_path: Path) -> None:
    names = ["b/1.jpg", 'a/"quoted".jpg', "a/tab\tline\n.jpg", "a/ü.jpg", "a/back\\slash.jpg", "a/\udcff.jpg", "A.jpg"]
    given = [Entry(name, size, "2 of Monday") for size, name in enumerate(names)]
    entries = Entries(tmp_path / "entries", given)
    assert len(entries) == len(names)
    assert list(entries) == list(entries) == sorted(given, key=lambda entry: entry.name)
    assert given[2] in entries
