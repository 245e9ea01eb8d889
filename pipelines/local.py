"""Run a compiled pipeline on this machine: the YAML that ships, under `kfp.local`, each step a process of its own."""

import builtins
import contextlib
import io
import json
import logging
import os
import re
import shutil
import sys
import tempfile
import threading
import time
import warnings
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TextIO

from forgery.errors import ForgeryError
from forgery.steps.frame import FAILURE_FILE_VARIABLE
from forgery.steps.runner import RUNNER_VARIABLE

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_STARTED = re.compile(r"Executing task '(?P<task>[^']+)'")
_FINISHED = re.compile(r"Task '(?P<task>[^']+)' finished with status (?P<status>\w+)")


class RunFailed(ForgeryError):
    """A step failed; the message is its last clear line."""


@dataclass(frozen=True)
class Event:
    """What a watcher is told while a pipeline runs."""

    kind: Literal["started", "message", "finished"]
    task: str
    text: str = ""  # of a message; SUCCESS or FAILURE of a finished task
    seconds: float = 0.0


@dataclass(frozen=True)
class LocalRun:
    """Where a finished run left its artifacts: `<folder>/<task>/<artifact>`."""

    folder: Path
    log: Path

    def ran(self, task: str) -> bool:
        """Whether the task was executed, as opposed to skipped by a condition."""
        return (self.folder / task).is_dir()

    def artifact(self, task: str, name: str) -> Path:
        """Path of an output artifact."""
        return self.folder / task / name

    def page(self, task: str, name: str) -> Path:
        """A copy of an artifact of HTML beside the log, with the ending by which a browser knows it."""
        page = self.log.with_name(f"{task}-{name}.html")
        shutil.copyfile(self.artifact(task, name), page)
        return page


def run_locally(
    compiled: Path, parameters: Mapping[str, Any], root: Path, watch: Callable[[Event], None] = lambda _: None
) -> LocalRun:
    """Execute a compiled pipeline with its steps as processes of this Python.

    Args:
        compiled: The pipeline's YAML.
        parameters: Values for its parameters; the others keep the YAML's defaults.
        root: A new folder for this run: artifacts and `run.log`.
        watch: Called on this thread with every event.

    Raises:
        RunFailed: A step failed.
    """
    from kfp import components, local

    root.mkdir(parents=True)
    log, failure = root / "run.log", root / "failure.txt"
    # The runner and TensorFlow leave temporary files behind; not below `root`, since paths of sockets must be short.
    scratch = tempfile.TemporaryDirectory(prefix="forgery-run-", ignore_cleanup_errors=True)
    told = {FAILURE_FILE_VARIABLE: str(failure), RUNNER_VARIABLE: str(os.getpid()), "TMPDIR": scratch.name}
    with warnings.catch_warnings(), scratch, _environment(told), as_before(), log.open("w") as lines:
        warnings.simplefilter("ignore")  # resources and display names mean nothing to the local runner
        local.init(
            local.SubprocessRunner(use_venv=False), pipeline_root=str(root), workspace_root=str(root / "workspace")
        )
        pipeline = components.load_component_from_file(str(compiled))
        with contextlib.redirect_stdout(_Listener(lines, watch)):
            try:
                pipeline(**parameters)
            except RuntimeError as error:
                raise RunFailed(_cause(failure, log, error)) from None
    return LocalRun(next(path for path in root.iterdir() if path.is_dir() and path.name != "workspace"), log)


def _cause(failure: Path, log: Path, error: RuntimeError) -> str:
    line = failure.read_text().strip() if failure.exists() else _COLOUR.sub("", str(error))
    return f"{line} (log: {log})"


@contextlib.contextmanager
def as_before() -> Iterator[None]:
    """Put back `print` and the root logger as they were.

    The runner replaces both for each task; where tasks run side by side, the last to end leaves another one's behind.
    """
    root, printed = logging.getLogger(), builtins.print
    handlers, level = root.handlers[:], root.level
    try:
        yield
    finally:
        builtins.print = printed
        root.handlers[:] = handlers
        root.setLevel(level)


@contextlib.contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    # The steps' python3 must find the library; TensorFlow's banner says nothing to anybody.
    os.environ.update({"TF_CPP_MIN_LOG_LEVEL": "2", **values})
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})


class _Listener(io.TextIOBase):
    """Takes what the local runner prints: all of it goes to the log, events go to the watcher.

    What the watcher prints meanwhile, and that alone, is meant for the person: tasks of a loop print from threads of
    their own while it does.
    """

    def __init__(self, log: TextIO, watch: Callable[[Event], None]) -> None:
        self._log = log
        self._watch = watch
        self._terminal = sys.stdout
        self._rest = ""
        self._task = ""
        # Begins of tasks under way; those of a loop have one name, and go in about the order they came.
        self._begun: defaultdict[str, deque[float]] = defaultdict(deque)
        self._lock = threading.Lock()
        self._thread = threading.local()  # its attribute `watching`: whether the watcher runs in it

    @property
    def _for_person(self) -> bool:
        return getattr(self._thread, "watching", False)

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return self._for_person and self._terminal.isatty()

    def __getattr__(self, name: str) -> object:
        # A console that draws on the terminal asks for the stream behind the one it put there itself.
        if name.startswith("_") or not self._for_person:
            raise AttributeError(name)
        return getattr(self._terminal, name)

    def write(self, text: str) -> int:
        if self._for_person:
            return self._terminal.write(text)
        with self._lock:
            *lines, self._rest = (self._rest + text).split("\n")
        self._thread.watching = True
        try:
            for line in lines:
                self._take(_COLOUR.sub("", line))
        finally:
            self._thread.watching = False
        return len(text)

    def flush(self) -> None:
        (self._terminal if self._for_person else self._log).flush()

    def _take(self, line: str) -> None:
        self._log.write(line + "\n")
        self._log.flush()
        # Tasks of a loop run side by side, and what they print may share a line.
        started, finished = list(_STARTED.finditer(line)), list(_FINISHED.finditer(line))
        for match in started:
            self._task = match["task"]
            self._begun[self._task].append(time.monotonic())
            self._watch(Event("started", self._task))
        for match in finished:
            begun = self._begun[match["task"]]
            seconds = time.monotonic() - begun.popleft() if begun else 0.0
            self._watch(Event("finished", match["task"], match["status"], seconds))
        if not started and not finished and (message := _step_message(line)):
            self._watch(Event("message", self._task, message))


def _step_message(line: str) -> str | None:
    if not line.lstrip().startswith('{"time"'):
        return None
    with contextlib.suppress(ValueError, KeyError, TypeError):
        return str(json.loads(line)["message"])
    return None
