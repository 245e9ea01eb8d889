"""Memory is shared out in order, is never overdrawn and never lost."""

import asyncio

import pytest

from serving.budget import Budget


async def test_what_fits_goes_together_and_the_next_waits_its_turn() -> None:
    budget, running, most, order = Budget(100), 0, 0, []

    async def work(name: str, need: int) -> None:
        nonlocal running, most
        async with budget.take(need):
            order.append(name)
            running += need
            most = max(most, running)
            await asyncio.sleep(0.01)
            running -= need

    await asyncio.gather(work("a", 40), work("b", 40), work("large", 90), work("small", 10))
    # The small one would fit beside the first two, and must not overtake the large one.
    assert order == ["a", "b", "large", "small"]
    assert most == 100


async def test_more_than_all_of_it_is_had_alone() -> None:
    budget = Budget(100)
    async with asyncio.timeout(1), budget.take(10_000):
        assert budget._taken == 100


@pytest.mark.parametrize("when", ["waiting", "just admitted"])
async def test_whoever_gives_up_leaves_nothing_taken(when: str) -> None:
    budget = Budget(100)
    first = budget.take(100)
    await first.__aenter__()

    async def wait() -> None:
        async with budget.take(60):
            await asyncio.sleep(10)

    second = asyncio.ensure_future(wait())
    await asyncio.sleep(0)
    if when == "just admitted":
        await first.__aexit__(None, None, None)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    if when == "waiting":
        await first.__aexit__(None, None, None)
    async with asyncio.timeout(1), budget.take(100):
        assert budget._taken == 100
