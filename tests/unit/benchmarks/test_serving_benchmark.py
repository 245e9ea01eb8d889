"""Callers, tables and hostile requests of the serving benchmark."""

import json
import time
from collections.abc import Callable
from itertools import count

import pytest

from benchmarks.page import with_tables
from benchmarks.rows import Row
from benchmarks.serving.corpus import hostile_request
from benchmarks.serving.load import at_rate, in_turn, per_second
from benchmarks.serving.pictures import photograph
from benchmarks.serving.profile import Profile
from benchmarks.serving.report import BEGIN, END, tables


def test_calls_in_turn_are_compared_by_their_medians() -> None:
    delays = {"a": iter([0.0, *[0.001] * 4, 0.2]), "b": iter([0.0, *[0.02] * 5])}
    found = in_turn({name: lambda each=each: time.sleep(next(each)) for name, each in delays.items()}, 5)
    assert found["a"] < found["b"]
    assert found["b"] >= 0.02


def test_slow_calls_are_made_five_times_at_least() -> None:
    calls = count()
    in_turn({"slow": lambda: next(calls)}, 1000, most_s=0)
    assert next(calls) == 1 + 5


def test_clients_add_up() -> None:
    made, calls, seconds = count(), count(), 0.3

    def make() -> Callable[[], object]:
        next(made)
        return lambda: (time.sleep(0.01), next(calls))

    found = per_second(make, 4, seconds)
    assert next(made) == 4
    # A machine that is busy makes fewer calls in more time, never more than four clients can.
    assert 0 < found <= (next(calls) - 4) / seconds <= 4 * (seconds / 0.01 + 1) / seconds


def test_a_late_answer_counts_from_when_it_was_due() -> None:
    waits = at_rate(lambda: lambda: time.sleep(0.05), rate=40, seconds=0.5, clients=1)
    assert len(waits) == 20
    # The one client needs a second for twenty; the last was due 25 ms before half a second had passed.
    assert waits[-1] >= 20 * 0.05 - 0.475


@pytest.mark.filterwarnings("ignore:::PIL")
def test_a_seed_gives_the_same_request_and_all_protocols_come_up() -> None:
    requests = [hostile_request(seed) for seed in range(60)]
    assert requests == [hostile_request(seed) for seed in range(60)]
    assert {request.path.split("?")[0] for request in requests} == {
        "/v1/detect",
        "/v1/models/forgery:predict",
        "/v2/models/forgery/infer",
    }


def test_the_photograph_is_what_the_page_says() -> None:
    import io

    from PIL import Image

    with Image.open(io.BytesIO(photograph())) as picture:
        assert (picture.format, picture.size) == ("JPEG", (1024, 1024))


def test_the_page_keeps_its_words_and_gets_the_tables() -> None:
    rows = [Row(name="ela: fast", ratio=1.2, goal="<= 1.25"), Row(name="ela: small", ratio=700, goal="<= 600")]
    made = tables(rows, {"ela": Profile(20.0, {"decode": 4.0})}, {"ela": {"bare_ms": 18.0}}, "a machine")
    page = with_tables(f"before\n{BEGIN}\nold\n{END}\nafter\n", made, BEGIN, END)
    assert page.startswith("before\n")
    assert page.endswith("\nafter\n")
    assert "old" not in page
    assert "| ela: fast | 1.20 | <= 1.25 | yes |" in page
    assert "| ela: small | 700.00 | <= 600 | no |" in page
    assert "| decode | 4.0 |" in page
    assert "| bare_ms | 18 |" in page
    with pytest.raises(ValueError, match="needs the lines"):
        with_tables("nothing", made, BEGIN, END)
    assert json.loads(rows[0].model_dump_json())["ratio"] == 1.2
