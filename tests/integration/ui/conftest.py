"""A real transformer and predictor, with a stand-in for the network, and the page's script before them."""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from serving_harness import LIMITS, Loop, Pair
from streamlit.testing.v1 import AppTest

import ui

PAGE = Path(ui.__file__).with_name("page.py")
# The page draws its table with libraries that take seconds to import on a busy machine.
TIMEOUT_S = 60


@pytest.fixture(scope="session")
def endpoint() -> Iterator[Pair]:
    loop = Loop()
    pair = Pair(LIMITS, loop)
    pair.predictor.start()
    pair.transformer.start()
    yield pair
    pair.transformer.stop()
    pair.predictor.stop()
    loop.close()


@pytest.fixture
def page(endpoint: Pair, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setenv("FORGERY_URL", endpoint.transformer.url)
    monkeypatch.delenv("FORGERY_EXAMPLES", raising=False)
    monkeypatch.delenv("FORGERY_FEEDBACK", raising=False)
    return AppTest.from_file(PAGE, default_timeout=TIMEOUT_S)


@pytest.fixture(scope="session")
def jpegs() -> dict[str, bytes]:
    """Three pictures that differ, and a file that is none."""
    files = {}
    for seed in range(3):
        pixels = np.random.default_rng(seed).integers(0, 60 + 90 * seed, (90, 120, 3), np.uint8)
        encoded = io.BytesIO()
        Image.fromarray(pixels).save(encoded, "JPEG", quality=90)
        files[f"picture-{seed}.jpg"] = encoded.getvalue()
    return {**files, "notes.txt": b"no picture"}
