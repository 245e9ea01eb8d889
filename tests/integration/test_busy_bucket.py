"""A bucket that throttles and breaks off, and an ingest that is killed while it reads from one."""

import io
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from faulty_bucket import FaultyBucket, faulty_bucket
from PIL import Image
from urllib3 import HTTPResponse

from forgery import s3
from forgery.config import DataOptions
from forgery.dataset.ingest import ingest
from forgery.dataset.manifest import DatasetInfo, read_pictures
from forgery.errors import SourceError, StorageError
from forgery.evidence import build_evidence
from forgery.evidence_parts import part_names, shards_of_part
from forgery.recipes.ela import ElaRecipe
from forgery.training.map_split import open_split

RECIPE = ElaRecipe(size_px=16)
PICTURES = 40
# As in `ingest_and_die`: packs of a few pictures.
OPTIONS = DataOptions(shard_pictures=4)


def encoded(number: int) -> bytes:
    picture = io.BytesIO()
    pixels = np.random.default_rng(number).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize((48, 32)).save(picture, "JPEG")
    return picture.getvalue()


@pytest.fixture
def source(s3_server: Any, s3_bucket: str) -> str:
    """A prefix with forty pictures, one of them broken."""
    for number in range(PICTURES):
        name = f"set/{('authentic', 'forged')[number % 2]}/{number:02d}.jpg"
        content = encoded(number) if number != 7 else b"no picture, whatever its name says"
        s3_server.client().put_object(s3_bucket, name, io.BytesIO(content), len(content))
    return f"s3://{s3_bucket}/set"


@pytest.fixture
def undisturbed(source: str, tmp_path: Path) -> DatasetInfo:
    return ingest(source, tmp_path / "undisturbed", OPTIONS, 0)


@pytest.fixture
def quick_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """As patient, in a hundredth of the time."""
    monkeypatch.setattr(s3, "_RETRIES", s3._RETRIES.new(backoff_factor=0.002, backoff_jitter=0.01))
    monkeypatch.setattr(s3, "_FIRST_WAIT_S", 0.002)


@pytest.fixture
def busy(s3_server: Any, monkeypatch: pytest.MonkeyPatch, quick_waits: None) -> Iterator[FaultyBucket]:
    """The server behind a proxy that refuses every third request and breaks every seventh answer off."""
    with faulty_bucket(s3_server.endpoint, throttle=3, break_off=7) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
        yield proxy


def test_a_busy_bucket_costs_time_and_nothing_else(
    source: str, undisturbed: DatasetInfo, busy: FaultyBucket, s3_bucket: str, tmp_path: Path
) -> None:
    cache = f"s3://{s3_bucket}/cache"
    assert ingest(source, tmp_path / "set", OPTIONS, 0, cache) == undisturbed
    first = build_evidence(tmp_path / "set", tmp_path / "first", RECIPE, cache=cache)
    again = build_evidence(tmp_path / "set", tmp_path / "again", RECIPE, cache=cache)
    assert (first.reused, again.reused) == (0, again.maps)
    assert again.digest == first.digest
    assert busy.faults["throttled"] > 10
    assert busy.faults["broken"] > 3


def test_tasks_read_their_own_shards_from_the_bucket(
    source: str, undisturbed: DatasetInfo, busy: FaultyBucket, s3_bucket: str, tmp_path: Path
) -> None:
    options = DataOptions(shards_in="cache", shard_pictures=6)
    info = ingest(source, tmp_path / "set", options, 0, f"s3://{s3_bucket}/cache")
    assert info.digest == undisturbed.digest
    assert not list((tmp_path / "set").rglob("*.tar"))
    busy.read.clear()
    first = part_names(info, options.shard_mb, options.shard_pictures)[0]
    part = shards_of_part(info, first, options.shard_mb, options.shard_pictures)
    build_evidence(tmp_path / "set", tmp_path / "one", RECIPE, part=first, shard_mb=64, shard_pictures=6)
    assert {path.rsplit("/", 2)[1] for path in busy.read} == {"pictures"}
    mine = [row.pack for row in read_pictures(tmp_path / "set", shards=[shard.name for shard in part])]
    assert {path.rsplit("/", 1)[1].partition("?")[0] for path in busy.read} == set(mine)
    assert len(busy.read) < 2 * len(mine)
    whole = build_evidence(tmp_path / "set", tmp_path / "whole", RECIPE)
    assert whole.digest == build_evidence(tmp_path / "undisturbed", tmp_path / "other", RECIPE).digest


def test_training_reads_its_maps_from_the_bucket(
    source: str, undisturbed: DatasetInfo, busy: FaultyBucket, s3_bucket: str, s3_server: Any, tmp_path: Path
) -> None:
    cache = f"s3://{s3_bucket}/cache"
    build_evidence(tmp_path / "undisturbed", tmp_path / "files", RECIPE, cache=cache)
    build_evidence(tmp_path / "undisturbed", tmp_path / "packed", RECIPE, cache=cache, in_packs=True)
    assert not list((tmp_path / "packed").rglob("*.tar"))
    files, packed = (open_split(tmp_path / name, "train") for name in ("files", "packed"))
    busy.read.clear()
    content = {shard.content.name: shard.content.read() for shard in packed.shards}
    for one, other in zip(files.shards, packed.shards, strict=True):
        held, found = one.content.read(), content[one.content.name]
        for at, where in enumerate(one.offsets):
            begin, size = other.offsets[at], one.sizes[at]
            assert found[begin : begin + size] == held[where : where + size]
    assert len(set(busy.read)) == 1
    (pack,) = {path.split(f"{s3_bucket}/")[1] for path in busy.read}
    s3_server.client().remove_object(s3_bucket, pack)
    with pytest.raises(SourceError, match=f"pack {pack.rpartition('/')[2]} in {cache}/.* is missing"):
        packed.shards[0].content.read()


def test_a_bucket_that_only_ever_refuses_is_told_in_its_own_words(
    source: str, s3_server: Any, monkeypatch: pytest.MonkeyPatch, quick_waits: None, tmp_path: Path
) -> None:
    with faulty_bucket(s3_server.endpoint, throttle=1) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
        with pytest.raises(StorageError, match=r"SlowDown: Please reduce"):
            ingest(source, tmp_path / "set", OPTIONS, 0)
        assert proxy.requests > 5


def test_the_client_waits_longer_each_time() -> None:
    retries = s3._RETRIES.new(backoff_jitter=0)
    waits = []
    for _ in range(8):
        retries = retries.increment("GET", "/", response=HTTPResponse(status=503))
        waits.append(retries.get_backoff_time())
    assert waits == sorted(waits)
    assert waits[-1] > 20
    assert sum(waits) < 120


def test_a_killed_ingest_reads_only_what_it_had_not_read(
    source: str,
    undisturbed: DatasetInfo,
    s3_server: Any,
    s3_bucket: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    cache = f"s3://{s3_bucket}/cache"
    script = Path(__file__).with_name("ingest_and_die.py")
    done = subprocess.run(
        [sys.executable, str(script), source, str(tmp_path / "set"), cache, "3"], check=False, capture_output=True
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()[-2000:]
    assert not (tmp_path / "set").exists()
    with faulty_bucket(s3_server.endpoint) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
        assert ingest(source, tmp_path / "set", OPTIONS, 0, cache) == undisturbed
        read = [path for path in proxy.read if "/set/" in path]
        assert 0 < len(read) < PICTURES - 2
        proxy.read.clear()
        # All is kept now: nothing of the source is read again, rejects and all are the same.
        assert ingest(source, tmp_path / "again", OPTIONS, 0, cache) == undisturbed
        assert [path for path in proxy.read if "/set/" in path] == []
    assert (tmp_path / "again" / "rejects.jsonl").read_text() == (
        tmp_path / "undisturbed" / "rejects.jsonl"
    ).read_text()


def test_a_picture_that_was_replaced_is_read_anew(
    source: str, s3_server: Any, s3_bucket: str, tmp_path: Path, s3_environment: Any
) -> None:
    cache = f"s3://{s3_bucket}/cache"
    before = ingest(source, tmp_path / "before", OPTIONS, 0, cache)
    content = encoded(1000)
    s3_server.client().put_object(s3_bucket, "set/forged/03.jpg", io.BytesIO(content), len(content))
    after = ingest(source, tmp_path / "after", OPTIONS, 0, cache)
    assert after.digest != before.digest
    assert after == ingest(source, tmp_path / "fresh", OPTIONS, 0)


def test_a_kept_block_that_is_damaged_is_read_anew(
    source: str, undisturbed: DatasetInfo, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ingest(source, tmp_path / "first", OPTIONS, 0, f"file://{tmp_path}/cache")
    for path in (tmp_path / "cache" / "reads").rglob("*.jsonl"):
        path.write_bytes(path.read_bytes()[:-1] + b"?")
    assert ingest(source, tmp_path / "set", OPTIONS, 0, f"file://{tmp_path}/cache") == undisturbed
    assert "damaged" in caplog.text
