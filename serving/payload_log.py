"""The payload log, where somebody asked for one: a line a scored picture, written beside the requests, never in them.

A request hands over what it has anyway and goes on. Measuring, hashing and writing are a thread's; when that cannot
keep up, or the disk is full, lines are lost and counted, and no request notices.
"""

import argparse
import logging
import os
import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from forgery.monitoring.payloads import Payload
from serving import metrics
from serving.segments import Segments

logger = logging.getLogger(__name__)

# Of pictures and evidence that wait to be measured; what comes on top of it is not logged.
_HELD_BYTES: Final = 64 * 2**20
_POLL_S: Final = 0.5
_CLOSE_WITHIN_S: Final = 5.0


@dataclass(frozen=True)
class Answered:
    """One answered request: files, their evidence uint8 [n, H, W, C], and the columns of the answer, [n] each."""

    pictures: Sequence[bytes]
    evidence: NDArray[np.uint8]
    recipe: str
    columns: Mapping[str, Any]
    at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def held_bytes(self) -> int:
        """What it keeps in memory."""
        return sum(map(len, self.pictures)) + self.evidence.nbytes

    def payloads(self) -> list[Payload]:
        """One line a picture."""
        scores, labels, versions = (self.columns[name] for name in ("probability_forged", "label", "model_version"))
        rows = zip(self.pictures, self.evidence, scores, labels, versions, strict=True)
        return [
            Payload.of(
                picture,
                evidence,
                at=self.at,
                recipe=self.recipe,
                probability_forged=float(score),
                label=label,
                model_version=version,
            )
            for picture, evidence, score, label, version in rows
        ]


class PayloadLog:
    """Takes answered requests, never waits and never raises."""

    def __init__(self, folder: Path, keep_days: float, keep_mb: float, segment_s: float) -> None:
        """Start the thread that writes.

        Args:
            folder: Made if missing; replicas may share it.
            keep_days: Closed segments that began earlier are removed.
            keep_mb: Then the oldest, until the rest takes no more.
            segment_s: A segment is closed, and can be read by others, after so long.

        Raises:
            InvalidConfig: The folder cannot be written.
        """
        self._segments = Segments(folder, timedelta(days=keep_days), int(keep_mb * 1e6), timedelta(seconds=segment_s))
        self._waiting: queue.SimpleQueue[Answered | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._held_bytes = 0
        self._closed = False
        self._thread = threading.Thread(target=self._write, name="payload-log", daemon=True)
        self._thread.start()

    def offer(self, answered: Answered) -> None:
        """Log a request if there is room."""
        size = answered.held_bytes
        with self._lock:
            fits = not self._closed and self._held_bytes + size <= _HELD_BYTES
            self._held_bytes += size if fits else 0
        if fits:
            self._waiting.put(answered)
        else:
            metrics.PAYLOADS.labels("dropped").inc(len(answered.pictures))

    def close(self) -> None:
        """Write what waits, for a few seconds at most, and close the segment."""
        with self._lock:
            self._closed = True
        self._waiting.put(None)
        self._thread.join(_CLOSE_WITHIN_S)

    def _write(self) -> None:
        while True:
            try:
                answered = self._waiting.get(timeout=_POLL_S)
            except queue.Empty:
                self._tend(self._segments.close_if_due, 0)
                continue
            if answered is None:
                self._tend(self._segments.close, 0)
                return
            self._tend(partial(self._log, answered), len(answered.pictures))
            with self._lock:
                self._held_bytes -= answered.held_bytes

    def _log(self, answered: Answered) -> None:
        self._segments.append(answered.payloads())

    def _tend(self, work: Callable[[], None], pictures: int) -> None:
        try:
            work()
        except Exception as error:  # a full disk, a picture that its own header contradicts: the log loses, nobody else
            logger.warning("the payload log lost %d lines: %s: %s", pictures, type(error).__name__, error)
            metrics.PAYLOADS.labels("failed").inc(pictures)
        else:
            metrics.PAYLOADS.labels("logged").inc(pictures)


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The log's flags; each has an environment variable, `FORGERY_<NAME>`."""
    group = parser.add_argument_group("payload log")
    flags: tuple[tuple[str, Any, str, str], ...] = (
        ("payload_log", str, "", "Folder to log a line a scored picture to, never a picture. Default: none."),
        ("payload_log_keep_days", _positive, "30", "Segments older than this are removed. Default: 30."),
        ("payload_log_keep_mb", _positive, "256", "Then the oldest, until this is left. Default: 256."),
        ("payload_log_segment_s", _positive, "60", "Segments are closed after this. Default: 60."),
    )
    for name, kind, default, text in flags:
        group.add_argument(
            f"--{name}", type=kind, default=os.environ.get(f"FORGERY_{name.upper()}") or default, help=text
        )


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError("it must be more than 0")
    return value


def open_log(flags: argparse.Namespace) -> PayloadLog | None:
    """The log that the flags ask for. Raises InvalidConfig."""
    if not flags.payload_log:
        return None
    keep_days, keep_mb, segment_s = (
        getattr(flags, f"payload_log_{name}") for name in ("keep_days", "keep_mb", "segment_s")
    )
    return PayloadLog(Path(flags.payload_log), keep_days, keep_mb, segment_s)
