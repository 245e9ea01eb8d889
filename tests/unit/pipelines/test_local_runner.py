"""What a run on this machine leaves of the process it ran in."""

import builtins
import contextlib
import io
import logging
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from pipelines.local import Event, _Listener, as_before


@pytest.mark.parametrize("broken", [False, True])
def test_print_and_the_root_logger_are_as_before(broken: bool) -> None:
    root, printed = logging.getLogger(), builtins.print
    handlers, level = root.handlers[:], root.level
    try:
        with as_before():
            # As the runner leaves them where two tasks ran side by side.
            builtins.print = lambda *_, **__: None
            root.handlers[:] = [logging.StreamHandler(io.StringIO())]
            root.setLevel(logging.CRITICAL)
            if broken:
                raise RuntimeError
    except RuntimeError:
        assert broken
    assert builtins.print is printed
    assert (root.handlers, root.level) == (handlers, level)


def test_tasks_side_by_side_reach_the_log_and_the_watcher_alone_the_person() -> None:
    seen: list[Event] = []
    terminal, log = io.StringIO(), io.StringIO()

    def watch(event: Event) -> None:
        time.sleep(0.01)  # in which others print
        seen.append(event)
        print(f"<{event.kind}>")

    def task(number: int) -> None:
        print("Executing task 'score'")
        print(f"working {number}")
        print("Task 'score' finished with status SUCCESS")

    with contextlib.redirect_stdout(terminal):
        listener = _Listener(log, watch)
    with contextlib.redirect_stdout(listener), ThreadPoolExecutor(8) as pool:
        list(pool.map(task, range(24)))
    assert sorted(event.kind for event in seen) == ["finished"] * 24 + ["started"] * 24
    assert set(terminal.getvalue().split()) == {"<started>", "<finished>"}
    assert all(f"working {number}" in log.getvalue() for number in range(24))
