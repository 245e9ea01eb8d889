"""One line of the payload log: what is known of a scored picture, without the picture.

The log is a folder (or the objects below a bucket's prefix) of closed segments, `payloads-<UTC start>-*.jsonl.gz`.
"""

import gzip
import hashlib
import io
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final, Self

import numpy as np
from PIL import Image
from pydantic import BaseModel, ConfigDict

from forgery.jpeg import jpeg_quality
from forgery.picture import UNLIMITED, read_header
from forgery.recipes import Evidence

PREFIX: Final = "payloads-"
SUFFIX: Final = ".jsonl.gz"
STAMP: Final = "%Y%m%dT%H%M%SZ"


class PictureFacts(BaseModel):
    """What is measured of one picture: its file, and its evidence map (uint8 levels, all channels together).

    Attributes:
        format: By content, as Pillow spells it.
        jpeg_quality: Nearest libjpeg quality, 1-100; None for other formats.
        ela_mean: Mean level, 0-255.
        ela_deviation: Standard deviation of the levels.
        ela_p99: Level that 99 % do not exceed.
    """

    # Rows are read by the hundred thousand: caching their texts would only fill memory.
    model_config = ConfigDict(frozen=True, extra="ignore", cache_strings="keys")

    format: str
    jpeg_quality: int | None
    ela_mean: float
    ela_deviation: float
    ela_p99: int

    @classmethod
    def measure(cls, encoded: bytes, evidence: Evidence) -> Self:
        """Measure an accepted picture; nothing is decoded, the evidence is there already."""
        levels = np.bincount(evidence.reshape(-1), minlength=256)
        pixels, grey = levels.sum(), np.arange(256)
        mean = float(levels @ grey / pixels)
        return cls(
            format=read_header(encoded, UNLIMITED).format,
            jpeg_quality=_quality(encoded),
            ela_mean=round(mean, 4),
            ela_deviation=round(float(np.sqrt(levels @ (grey - mean) ** 2 / pixels)), 4),
            ela_p99=int(np.searchsorted(np.cumsum(levels), 0.99 * pixels)),
        )


def _quality(encoded: bytes) -> int | None:
    with Image.open(io.BytesIO(encoded)) as image:
        return jpeg_quality(getattr(image, "quantization", None))


class Scored(PictureFacts):
    """Facts of a picture with its score, which is calibrated."""

    probability_forged: float


class Payload(Scored):
    """One scored picture as the service logs it.

    Attributes:
        time: UTC, ISO 8601, of the answer.
        digest: SHA-256 of the file's bytes.
        size_bytes: Of the file.
        recipe: What the evidence was made with.
        label: The verdict.
        model_version: Digest of the bundle that answered.
    """

    time: str
    digest: str
    size_bytes: int
    recipe: str
    label: str
    model_version: str

    @classmethod
    def of(
        cls,
        encoded: bytes,
        evidence: Evidence,
        *,
        at: datetime,
        recipe: str,
        probability_forged: float,
        label: str,
        model_version: str,
    ) -> Self:
        """Describe one answer about the file `encoded`."""
        return cls(
            time=at.astimezone(UTC).isoformat(timespec="milliseconds"),
            digest=hashlib.sha256(encoded).hexdigest(),
            size_bytes=len(encoded),
            recipe=recipe,
            probability_forged=round(probability_forged, 6),
            label=label,
            model_version=model_version,
            **PictureFacts.measure(encoded, evidence).model_dump(),
        )


def segment_name(start: datetime, writer: str) -> str:
    """Name of a closed segment; segments sort by time."""
    return f"{PREFIX}{start.astimezone(UTC):{STAMP}}-{writer}{SUFFIX}"


def segment_start(name: str) -> datetime | None:
    """When a segment was begun, by its name; None for files that are none."""
    file = name.rsplit("/", 1)[-1]
    if not (file.startswith(PREFIX) and file.endswith(SUFFIX)):
        return None
    try:
        return datetime.strptime(file[len(PREFIX) :].split("-", 1)[0], STAMP).replace(tzinfo=UTC)
    except ValueError:
        return None


def pack(lines: Sequence[bytes]) -> bytes:
    """The bytes of a segment; the same lines give the same bytes."""
    return gzip.compress(b"".join(lines), compresslevel=6, mtime=0)


def unpack(segment: bytes) -> Iterator[Payload]:
    """The records of a segment.

    Raises:
        ValueError, OSError, EOFError: The segment is damaged.
    """
    for line in gzip.decompress(segment).splitlines():
        yield Payload.model_validate_json(line)
