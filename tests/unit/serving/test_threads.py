"""Work that waits for a thread is counted while it waits, however it ends."""

import asyncio
import threading

import pytest
from prometheus_client import REGISTRY

from serving.threads import Threads


def waiting() -> float:
    return REGISTRY.get_sample_value("forgery_pictures_waiting") or 0.0


async def test_what_waits_is_counted_until_it_begins_or_is_given_up() -> None:
    threads, release = Threads(1, "test"), threading.Event()
    before = waiting()
    first = asyncio.ensure_future(threads.run(release.wait, 10))
    second = asyncio.ensure_future(threads.run(int, "2"))
    third = asyncio.ensure_future(threads.run(int, "3"))
    while waiting() != before + 2:
        await asyncio.sleep(0.01)
    third.cancel()
    with pytest.raises(asyncio.CancelledError):
        await third
    assert waiting() == before + 1
    release.set()
    assert (await first, await second) == (True, 2)
    assert waiting() == before


async def test_an_error_comes_back_to_who_asked() -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        await Threads(1, "test").run(int, "x")
