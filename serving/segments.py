"""The payload log's files: lines are appended to an open one, and read from closed ones."""

import fcntl
import os
import socket
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Final

from forgery.errors import InvalidConfig
from forgery.monitoring.payloads import PREFIX, SUFFIX, Payload, pack, segment_name, segment_start

_SEGMENT_BYTES: Final = 16 * 2**20
_OPEN: Final = ".open"


class Segments:
    """The folder's files: one open segment of this process, and closed ones, compressed and never changed again.

    The open one is locked, so that what a killed process left open can be told from what a living one still writes.
    """

    def __init__(self, folder: Path, keep: timedelta, keep_bytes: int, longest: timedelta) -> None:
        """Close what ended processes left open."""
        self._folder, self._keep, self._keep_bytes, self._longest = folder.absolute(), keep, keep_bytes, longest
        self._writer = f"{socket.gethostname()}-{os.getpid()}"
        self._open: IO[bytes] | None = None
        self._due = datetime.max.replace(tzinfo=UTC)
        self._number = 0
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._recover()
            self._forget()
        except OSError as error:
            raise InvalidConfig(f"--payload_log {folder} cannot be written: {error.strerror}") from error

    def append(self, payloads: Sequence[Payload]) -> None:
        """Write lines; whole ones are there after a crash."""
        file = self._open or self._begin()
        file.write(b"".join(payload.model_dump_json().encode() + b"\n" for payload in payloads))
        file.flush()
        if file.tell() >= _SEGMENT_BYTES:
            self.close()
        else:
            self.close_if_due()

    def close_if_due(self) -> None:
        """Close the segment that is open for long enough."""
        if datetime.now(UTC) >= self._due:
            self.close()

    def close(self) -> None:
        """Compress the open segment and forget what is too old or too much."""
        file, self._open, self._due = self._open, None, datetime.max.replace(tzinfo=UTC)
        if file is not None:
            with file:
                _seal(Path(file.name))
        self._forget()

    def _begin(self) -> IO[bytes]:
        now = datetime.now(UTC)
        self._number += 1
        name = segment_name(now, f"{self._writer}-{self._number:04d}").removesuffix(SUFFIX)
        file = (self._folder / f".{name}{_OPEN}").open("ab")
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._open, self._due = file, now + self._longest
        return file

    def _recover(self) -> None:
        for path in self._folder.glob(f".{PREFIX}*{_OPEN}"):
            with path.open("rb") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue
                _seal(path)

    def _forget(self) -> None:
        closed = sorted(self._folder.glob(f"{PREFIX}*{SUFFIX}"), reverse=True)
        oldest, kept_bytes = datetime.now(UTC) - self._keep, 0
        for path in closed:
            try:
                kept_bytes += path.stat().st_size
                start = segment_start(path.name)
                if kept_bytes > self._keep_bytes or (start is not None and start < oldest):
                    path.unlink()
            except FileNotFoundError:  # another replica, or what ships segments to a bucket, was quicker
                continue


def _seal(path: Path) -> None:
    """Compress an open segment under its final name; done again after an interruption it gives the same file."""
    lines = [line for line in path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]
    if lines:
        beside = path.with_suffix(".tmp")
        beside.write_bytes(pack(lines))
        beside.replace(path.with_name(path.name.removeprefix(".").removesuffix(_OPEN) + SUFFIX))
    path.unlink()
