"""What a run on this machine leaves of the process it ran in."""

import builtins
import io
import logging

import pytest

from pipelines.local import as_before


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
