"""The drift rule on real evidence of generated pictures: silent on the same stream, loud on shifted ones.

A logistic function of the mean error level stands in for the network: the rule sees scores, not where they come from.
`docs/drift.md` has the same with a trained one.
"""

from collections.abc import Sequence

import numpy as np
import pytest

from benchmarks.drift.rates import rate
from benchmarks.drift.streams import COPIES, SAME, Seen, fewer_forged, read_pictures, see
from forgery.dataset.demo import make_demo
from forgery.recipes import Evidence, parse_recipe

pytestmark = pytest.mark.slow

WINDOW, DRAWS = 200, 60
SHIFTED = ("saved again, JPEG 70", "half size, JPEG 85", "screenshots (PNG)")


def score(maps: Sequence[Evidence]) -> list[float]:
    return [float(1 / (1 + np.exp(-(each.mean() - 10) / 3))) for each in maps]


@pytest.fixture(scope="module")
def streams(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Seen]]:
    pictures = read_pictures(make_demo(tmp_path_factory.mktemp("drift") / "pictures", 480, seed=3))
    recipe = parse_recipe("ela1_q90_gain15_64_pooled")
    return {name: see(pictures, COPIES[name], recipe, score) for name in (SAME, *SHIFTED)}


def test_the_same_stream_is_silent(streams: dict[str, list[Seen]]) -> None:
    found = rate(streams[SAME], streams[SAME], WINDOW, DRAWS, seed=1)
    assert found.part <= 0.05, found


@pytest.mark.parametrize("name", SHIFTED)
def test_a_shifted_stream_is_told(name: str, streams: dict[str, list[Seen]]) -> None:
    found = rate(streams[SAME], streams[name], WINDOW, DRAWS, seed=1)
    assert found.part >= 0.95, found


def test_leaving_out_forged_pictures_leaves_their_share(streams: dict[str, list[Seen]]) -> None:
    few = fewer_forged(streams[SAME], 0.1, seed=0)
    assert sum(each.forged for each in few) / len(few) == pytest.approx(0.1, abs=0.01)
