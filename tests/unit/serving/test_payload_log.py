"""The payload log beside the requests: what it keeps, what it loses, and that nobody waits for it."""

import argparse
import fcntl
import io
import os
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from forgery.errors import InvalidConfig
from forgery.monitoring.payloads import Payload, pack, segment_name, unpack
from serving import metrics
from serving.payload_log import Answered, PayloadLog, add_flags, open_log
from serving.segments import Segments

RECIPE = "ela1_q90_gain15_16_box"


def jpeg(value: int) -> bytes:
    encoded = io.BytesIO()
    Image.new("RGB", (16, 16), (value, 0, 0)).save(encoded, "JPEG")
    return encoded.getvalue()


def answered(*pictures: bytes, at: datetime | None = None) -> Answered:
    count = len(pictures)
    columns = {
        "probability_forged": np.linspace(0, 1, count, dtype=np.float32),
        "label": ["authentic"] * count,
        "model_version": ["a" * 32] * count,
    }
    evidence = np.zeros((count, 16, 16, 3), np.uint8)
    return Answered(pictures, evidence, RECIPE, columns, **({"at": at} if at else {}))


def logged(folder: Path) -> list[Payload]:
    return [record for path in sorted(folder.glob("*.jsonl.gz")) for record in unpack(path.read_bytes())]


def counted(outcome: str) -> float:
    return metrics.PAYLOADS.labels(outcome)._value.get()


@pytest.fixture
def log(tmp_path: Path) -> Iterator[PayloadLog]:
    log = PayloadLog(tmp_path / "log", keep_days=30, keep_mb=10, segment_s=3600)
    yield log
    log.close()


def test_every_picture_gets_a_line_and_closing_writes_all_of_them(log: PayloadLog, tmp_path: Path) -> None:
    log.offer(answered(jpeg(1), jpeg(2)))
    log.offer(answered(jpeg(3)))
    log.close()
    records = logged(tmp_path / "log")
    assert [record.probability_forged for record in records] == [0, 1, 0]
    assert len({record.digest for record in records}) == 3
    assert [path.name for path in (tmp_path / "log").iterdir() if path.name.startswith(".")] == []


def test_offering_never_waits_and_what_is_too_much_is_counted(log: PayloadLog, monkeypatch: pytest.MonkeyPatch) -> None:
    release, before = threading.Event(), counted("dropped")
    monkeypatch.setattr(log, "_log", lambda _: release.wait(10))
    big = answered(bytes(30 * 2**20))
    started = time.perf_counter()
    for _ in range(20):
        log.offer(big)
    assert time.perf_counter() - started < 0.5
    assert counted("dropped") - before == 18  # two of them fit
    release.set()


def test_a_picture_that_cannot_be_measured_costs_its_lines_alone(log: PayloadLog, tmp_path: Path) -> None:
    before = counted("failed")
    log.offer(answered(b"no picture"))
    log.offer(answered(jpeg(1)))
    log.close()
    assert len(logged(tmp_path / "log")) == 1
    assert counted("failed") - before == 1


def test_after_closing_nothing_is_taken(log: PayloadLog, tmp_path: Path) -> None:
    log.close()
    before = counted("dropped")
    log.offer(answered(jpeg(1)))
    assert (counted("dropped") - before, logged(tmp_path / "log")) == (1, [])


def test_a_segment_is_closed_by_time_without_further_requests(tmp_path: Path) -> None:
    log = PayloadLog(tmp_path, keep_days=1, keep_mb=10, segment_s=0.05)
    log.offer(answered(jpeg(1)))
    deadline = time.monotonic() + 10
    while not logged(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(logged(tmp_path)) == 1
    log.close()


def segments(folder: Path, keep: timedelta = timedelta(days=1), keep_bytes: int = 10**6) -> Segments:
    return Segments(folder, keep, keep_bytes, timedelta(hours=1))


def test_what_a_killed_process_left_is_closed_and_its_torn_line_dropped(tmp_path: Path) -> None:
    whole = answered(jpeg(1)).payloads()[0].model_dump_json().encode() + b"\n"
    (tmp_path / ".payloads-20260101T000000Z-pod-1-0001.open").write_bytes(whole + whole[:40])
    segments(tmp_path, keep=timedelta(days=10**5))
    assert len(logged(tmp_path)) == 1


def test_what_a_living_process_writes_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / ".payloads-20260101T000000Z-other-1-0001.open"
    with path.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        segments(tmp_path)
        assert path.exists()


def test_old_segments_go_then_the_oldest_until_the_rest_fits(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    content = pack([os.urandom(1000)])
    for hours in (1, 2, 3, 50):
        (tmp_path / segment_name(now - timedelta(hours=hours), f"pod-{hours}")).write_bytes(content)
    segments(tmp_path, keep_bytes=2 * len(content) + 10).close()
    assert sorted(path.name.split("-pod-")[1][:1] for path in tmp_path.iterdir()) == ["1", "2"]


def test_a_folder_that_cannot_be_written_is_refused_at_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidConfig, match="payload_log"):
        segments(tmp_path / "file" / "log")


def read(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_flags(parser)
    return parser.parse_args(arguments)


def test_no_log_is_kept_unless_asked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("FORGERY_PAYLOAD_LOG", raising=False)
    assert open_log(read()) is None
    monkeypatch.setenv("FORGERY_PAYLOAD_LOG", str(tmp_path))
    log = open_log(read("--payload_log_keep_days", "7"))
    assert log is not None
    log.close()


@pytest.mark.parametrize("value", ["0", "-1", "inf", "soon"])
def test_a_retention_without_meaning_is_refused(value: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        read("--payload_log_keep_days", value)
    assert "payload_log_keep_days" in capsys.readouterr().err
