"""Segments on their way to a bucket."""

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from forgery.errors import StorageError
from forgery.monitoring.payloads import pack, segment_name
from forgery.monitoring.shipping import Shipper, run
from forgery.s3 import s3_client

NOW = datetime.now(UTC)


def put_segment(folder: Path, age: timedelta) -> str:
    name = segment_name(NOW - age, "pod-1-0001")
    (folder / name).write_bytes(pack([b"{}\n"]))
    return name


def kept(bucket: str) -> list[str]:
    return sorted(str(each.object_name) for each in s3_client().list_objects(bucket, recursive=True))


def test_closed_segments_move_and_open_ones_stay(s3_bucket: str, tmp_path: Path) -> None:
    name = put_segment(tmp_path, timedelta(hours=1))
    (tmp_path / ".payloads-20260101T000000Z-pod-1-0002.open").write_text("{}\n")
    assert Shipper(tmp_path, f"s3://{s3_bucket}/log", timedelta(days=1)).ship() == 1
    assert kept(s3_bucket) == [f"log/{name}"]
    assert [path.suffix for path in tmp_path.iterdir()] == [".open"]


def test_old_segments_are_forgotten_in_the_bucket_and_nothing_else(s3_bucket: str, tmp_path: Path) -> None:
    put_segment(tmp_path, timedelta(days=3))
    young = put_segment(tmp_path, timedelta(hours=3))
    s3_client().fput_object(s3_bucket, "log/notes.txt", __file__)
    shipper = Shipper(tmp_path, f"s3://{s3_bucket}/log/", timedelta(days=1))
    shipper.ship()
    assert shipper.forget() == 1
    assert kept(s3_bucket) == ["log/notes.txt", f"log/{young}"]


def test_a_bucket_that_refuses_loses_nothing(s3_bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_segment(tmp_path, timedelta(hours=1))
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    shipper = Shipper(tmp_path, f"s3://{s3_bucket}/log", timedelta(days=1))
    with pytest.raises(StorageError, match="AWS_SECRET_ACCESS_KEY"):
        shipper.ship()
    stop = threading.Event()
    stop.set()
    run(shipper, 0, stop)
    assert len(list(tmp_path.iterdir())) == 1
