"""A picture that would end the server is refused before it is opened, by what the model's evidence needs."""

from pathlib import Path

import pytest

from forgery.recipes.blocks import BlocksRecipe
from forgery.recipes.ela import ElaRecipe
from serving import decoding
from serving.decoding import Decoders
from serving.limits import ServingLimits
from serving.refusal import Reason, Refusal


def test_what_needs_too_much_memory_is_too_large_and_says_how_large_it_may_be() -> None:
    decoders = Decoders(ServingLimits(picture_memory_mb=640))
    assert decoders.needs(ElaRecipe(), [1_000_000, 40_000_000]) == [16_000_000, 640_000_000]
    with pytest.raises(Refusal) as caught:
        decoders.needs(BlocksRecipe(), [1_000_000, 20_000_001])
    assert (caught.value.reason, caught.value.limit, caught.value.index) == (Reason.TOO_LARGE, "max_pixels=20000000", 1)


@pytest.mark.parametrize(("limit", "most"), [("2147483648\n", 2**30), ("max\n", 0), (None, 0)])
def test_the_containers_memory_decides_unless_told(
    limit: str | None, most: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "memory.max"
    if limit is not None:
        file.write_text(limit)
    monkeypatch.setattr(decoding, "_CGROUP_LIMIT", file)
    decoders = Decoders(ServingLimits())
    assert decoders._most_for_one == most
    if not most:
        assert decoders.needs(BlocksRecipe(), [50_000_000]) == [1_600_000_000]


async def test_the_first_failure_in_order_is_told() -> None:
    def fail(text: str) -> int:
        return int(text)

    with pytest.raises(ValueError, match="'x'"):
        await Decoders(ServingLimits()).for_each(fail, ["1", "x", "y"], [1, 1, 1])
