"""Servers for the tests of this folder."""

from collections.abc import Iterator

import httpx
import numpy as np
import pytest
from PIL import Image
from serving_harness import LIMITS, Loop, Pair, encode

from serving.limits import ServingLimits


@pytest.fixture(scope="session")
def serving_loop() -> Iterator[Loop]:
    loop = Loop()
    yield loop
    loop.close()


def _running(loop: Loop, limits: ServingLimits) -> Iterator[Pair]:
    pair = Pair(limits, loop)
    pair.predictor.start()
    pair.transformer.start()
    yield pair
    pair.transformer.stop()
    pair.predictor.stop()


@pytest.fixture(scope="session")
def pair(serving_loop: Loop) -> Iterator[Pair]:
    """Shared by tests that leave it as it is."""
    yield from _running(serving_loop, LIMITS)


@pytest.fixture
def own_pair(serving_loop: Loop) -> Iterator[Pair]:
    """For tests that stop or replace a server."""
    yield from _running(serving_loop, LIMITS)


@pytest.fixture(scope="session")
def client(pair: Pair) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=pair.transformer.url, timeout=30) as client:
        yield client


@pytest.fixture(scope="session")
def photo() -> Image.Image:
    rows, columns = np.mgrid[0:120, 0:160]
    noise = np.random.default_rng(0).normal(0, 20, (120, 160, 3))
    waves = 128 + 80 * np.sin(rows / 9)[..., None] * np.cos(columns / 13)[..., None]
    return Image.fromarray(np.clip(waves + noise, 0, 255).astype(np.uint8))


@pytest.fixture(scope="session")
def jpeg(photo: Image.Image) -> bytes:
    return encode(photo, quality=83)
