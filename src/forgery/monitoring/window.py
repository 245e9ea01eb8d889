"""A window of the payload log, from a folder or a bucket."""

import logging
import zlib
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from forgery.config import DataOptions
from forgery.dataset.sources import open_source
from forgery.errors import PictureRejected
from forgery.monitoring.payloads import Payload, segment_start, unpack

logger = logging.getLogger(__name__)

# A segment holds what came in some time after the moment in its name: a writer's longest segment, with room.
_SEGMENT: Final = timedelta(hours=2)


@dataclass(frozen=True)
class Window:
    """What was scored in some time.

    Attributes:
        start, end: UTC.
        pictures: Scored by the model asked for, each once however often it was sent: the last answer.
        requests: Lines of that model, repetitions included.
        others: Lines of other models in the same time.
        damaged: Segments that could not be read.
    """

    start: datetime
    end: datetime
    pictures: tuple[Payload, ...]
    requests: int
    others: int
    damaged: int


def read_window(payloads: str, hours: float, model_version: str, end: datetime | None = None) -> Window:
    """The last `hours` of the log that one model answered.

    Args:
        payloads: A folder, file://PATH or s3://bucket/prefix; one that is not there yet has no lines.
        hours: Length of the window.
        model_version: Digest of the bundle.
        end: UTC; now unless told.

    Raises:
        StorageError: The bucket refused.
        InvalidConfig: The S3 address is none.
    """
    end = end or datetime.now(UTC)
    start = end - timedelta(hours=hours)
    lines, damaged = _read(payloads, start, end)
    own = [line for line in lines if line.model_version == model_version]
    last = {line.digest: line for line in sorted(own, key=lambda line: line.time)}
    others = Counter(line.model_version == model_version for line in lines)[False]
    return Window(start, end, tuple(last.values()), len(own), others, damaged)


def _read(payloads: str, start: datetime, end: datetime) -> tuple[list[Payload], int]:
    if not payloads.startswith("s3://") and not Path(payloads.removeprefix("file://")).is_dir():
        return [], 0
    found: list[Payload] = []
    damaged = 0
    with open_source(payloads, DataOptions(), seed=0) as source:
        for entry in source.entries():
            begun = segment_start(entry.name)
            if begun is None or not start - _SEGMENT <= begun <= end:
                continue
            try:
                lines = list(unpack(source.read(entry.name)))
            except (PictureRejected, ValueError, OSError, EOFError, zlib.error) as error:
                logger.warning("segment %s cannot be read: %s", entry.name, error)
                damaged += 1
                continue
            found += [line for line in lines if start <= datetime.fromisoformat(line.time) <= end]
    return found, damaged
