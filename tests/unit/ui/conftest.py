"""Files and answers for the tests of the page."""

import io
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ui.cases import Case, Chosen
from ui.endpoint import Answer

MakeCase = Callable[..., Case]


@pytest.fixture(scope="session")
def picture() -> Image.Image:
    """Wider than high, its four quarters unlike each other."""
    pixels = np.zeros((240, 320, 3), np.uint8)
    pixels[:120, :160] = (200, 40, 40)
    pixels[120:, 160:] = (30, 30, 180)
    pixels += np.random.default_rng(0).integers(0, 40, pixels.shape, np.uint8)
    return Image.fromarray(pixels)


@pytest.fixture(scope="session")
def encode() -> Callable[..., bytes]:
    def encoded(image: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
        file = io.BytesIO()
        image.save(file, kind, **options)
        return file.getvalue()

    return encoded


@pytest.fixture
def answer(picture: Image.Image, encode: Callable[..., bytes]) -> Answer:
    return Answer(
        label="forged",
        probability_forged=0.934,
        threshold=0.47,
        confidence=0.934,
        band=(0.4, 0.55),
        model_version="c0ffee" * 5,
        pictures={
            "ela": encode(Image.new("RGB", (32, 32), "navy"), "PNG"),
            "heatmap": encode(picture, "PNG"),
            "self_matches": encode(picture, "PNG"),
            "spectrum": encode(Image.new("L", (64, 64)), "PNG"),
        },
        info={"format": "JPEG", "width": 320, "height": 240, "bytes": 1, "software": None, "jpeg_quality": 95},
        seconds=0.123,
    )


@pytest.fixture
def make_case(answer: Answer, picture: Image.Image, encode: Callable[..., bytes]) -> MakeCase:
    def make(name: str = "photo.jpg", error: str = "", **changes: Any) -> Case:
        chosen = Chosen(name, encode(picture, quality=95))
        found = None if error else replace(answer, **changes)
        return Case(chosen, chosen.sha256, datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC), found, error)

    return make
