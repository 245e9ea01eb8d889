"""Reading the payload log back."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from forgery.monitoring.payloads import Payload, pack, segment_name
from forgery.monitoring.window import read_window

END = datetime(2026, 3, 1, 12, tzinfo=UTC)
MODEL, OTHER = "a" * 32, "b" * 32


def line(minutes: int, digest: str, model: str = MODEL, score: float = 0.5) -> Payload:
    return Payload(
        time=(END - timedelta(minutes=minutes)).isoformat(),
        digest=digest,
        size_bytes=1,
        recipe="r",
        probability_forged=score,
        label="forged",
        model_version=model,
        format="JPEG",
        jpeg_quality=90,
        ela_mean=1,
        ela_deviation=1,
        ela_p99=1,
    )


def put(folder: Path, minutes: int, *lines: Payload) -> Path:
    path = folder / segment_name(END - timedelta(minutes=minutes), f"pod-{minutes}")
    path.write_bytes(pack([each.model_dump_json().encode() + b"\n" for each in lines]))
    return path


def test_a_window_has_its_models_pictures_of_its_time_each_once(tmp_path: Path) -> None:
    put(tmp_path, 200, line(200, "old"), line(100, "x"))
    put(tmp_path, 50, line(50, "x", score=0.9), line(49, "y"), line(48, "z", OTHER))
    window = read_window(str(tmp_path), 2, MODEL, END)
    assert {each.digest: each.probability_forged for each in window.pictures} == {"x": 0.9, "y": 0.5}
    assert (window.requests, window.others, window.damaged) == (3, 1, 0)
    assert read_window(f"file://{tmp_path}", 2, MODEL, END) == window


def test_a_damaged_segment_is_counted_and_stops_nothing(tmp_path: Path) -> None:
    whole = put(tmp_path, 10, line(10, "x"))
    torn = put(tmp_path, 20, line(20, "y"))
    torn.write_bytes(torn.read_bytes()[:-12])
    put(tmp_path, 30).write_bytes(whole.read_bytes()[:20] + b"garbage" * 9)
    window = read_window(str(tmp_path), 2, MODEL, END)
    assert ([each.digest for each in window.pictures], window.damaged) == (["x"], 2)


def test_a_log_that_is_not_there_yet_is_empty(tmp_path: Path) -> None:
    assert read_window(str(tmp_path / "nowhere"), 2, MODEL, END).pictures == ()
