"""The line of a step's log that a person needs."""

import pytest

from cli.kubeflow.logs import last_clear_line

LAUNCHER = """I1121 03:00:01.123456       1 launcher_v2.go:190] publish success.
F1121 03:00:02.000000       1 main.go:57] failed to execute component: exit status 1
time="2026-03-04T03:00:03.1Z" level=info msg="sub-process exited" argo=true error="<nil>"
Error: exit status 1
"""


@pytest.mark.parametrize(
    ("log", "line"),
    [
        ('{"time": "x", "message": "train started"}\ntrain failed: no GPU in the pod\n' + LAUNCHER,
         "train failed: no GPU in the pod"),
        ("train failed: first attempt\nsomething later\n", "train failed: first attempt"),
        ("compute_ela failed: shard 3 is damaged\nKilled\n", "compute_ela failed: shard 3 is damaged"),
        ("loading\nKilled\n" + LAUNCHER, "Killed"),
        (LAUNCHER, "failed to execute component: exit status 1"),
        ("I1121 03:00:01.1       1 driver.go:1] x\nF1121 03:00:02.0       1 main.go:76] driver: secret is missing\n",
         "driver: secret is missing"),
        ('Traceback (most recent call last):\n  File "x.py", line 1\nValueError: bad\n', "ValueError: bad"),
        ('{"time": "x", "message": "only this"}\n', '{"time": "x", "message": "only this"}'),
        ("", None),
        (" \n\n", None),
    ],
)  # fmt: skip
def test_last_clear_line_is_the_steps_own_word(log: str, line: str | None) -> None:
    assert last_clear_line(log) == line


def test_endless_line_is_cut() -> None:
    assert len(last_clear_line("train failed: " + "x" * 5000) or "") == 500
