"""What a line of the payload log says of a picture."""

import io
from datetime import UTC, datetime

import numpy as np
import pytest
from PIL import Image

from forgery.monitoring.payloads import Payload, PictureFacts, pack, segment_name, segment_start, unpack

AT = datetime(2026, 3, 1, 12, 30, 15, 250_000, tzinfo=UTC)


def picture(format_name: str = "JPEG", **options: int) -> bytes:
    encoded = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 255, (24, 32, 3), np.uint8)
    Image.fromarray(pixels).save(encoded, format_name, **options)
    return encoded.getvalue()


def payload(encoded: bytes, evidence: np.ndarray) -> Payload:
    return Payload.of(
        encoded,
        evidence,
        at=AT,
        recipe="ela1_q90_gain15_16_box",
        probability_forged=0.1234567,
        label="forged",
        model_version="a" * 32,
    )


def test_statistics_are_those_of_the_levels() -> None:
    evidence = np.random.default_rng(1).integers(0, 256, (16, 16, 3), np.uint8)
    facts = PictureFacts.measure(picture(quality=77), evidence)
    assert facts.ela_mean == pytest.approx(evidence.mean(), abs=1e-3)
    assert facts.ela_deviation == pytest.approx(evidence.std(), abs=1e-3)
    assert facts.ela_p99 == np.percentile(evidence, 99, method="inverted_cdf")
    assert (facts.format, facts.jpeg_quality) == ("JPEG", 77)


def test_a_flat_map_has_no_deviation() -> None:
    facts = PictureFacts.measure(picture("PNG"), np.full((16, 16, 1), 7, np.uint8))
    assert (facts.ela_mean, facts.ela_deviation, facts.ela_p99) == (7, 0, 7)
    assert (facts.format, facts.jpeg_quality) == ("PNG", None)


def test_a_line_holds_no_pixel() -> None:
    encoded = picture(quality=90)
    line = payload(encoded, np.zeros((16, 16, 3), np.uint8)).model_dump_json()
    assert len(line) < 500 < len(encoded)
    assert '"time":"2026-03-01T12:30:15.250+00:00"' in line


def test_segments_come_back_as_they_were_and_pack_to_the_same_bytes() -> None:
    records = [payload(picture(quality=quality), np.full((16, 16, 1), quality, np.uint8)) for quality in (50, 60)]
    lines = [record.model_dump_json().encode() + b"\n" for record in records]
    assert list(unpack(pack(lines))) == records
    assert pack(lines) == pack(lines)


def test_a_field_of_a_newer_version_is_no_obstacle() -> None:
    record = payload(picture(), np.zeros((16, 16, 3), np.uint8))
    assert Payload.model_validate({**record.model_dump(), "later": 1}) == record


def test_a_segment_is_known_by_its_name() -> None:
    assert segment_start(f"2026/{segment_name(AT, 'pod-1-0001')}") == AT.replace(microsecond=0)
    assert [segment_start(name) for name in ("notes.txt", "payloads-soon.jsonl.gz", ".payloads-x.open")] == [None] * 3
