"""One file at a time from a source to a spool on disk: checked, told apart by content, nothing re-encoded."""

import hashlib
import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

import numpy as np
from PIL import Image
from pydantic import BaseModel

from forgery.dataset.groups import Groups
from forgery.dataset.labels import Labelled
from forgery.dataset.manifest import ClassLabel, Reject
from forgery.dataset.sources import Source
from forgery.errors import PictureRejected
from forgery.picture import Limits, decode, read_header

_LENGTHS: Final = struct.Struct(">III")


class Facts(BaseModel):
    """What is known of an accepted file, as it is spooled."""

    name: str
    format: str
    width: int
    height: int
    manipulation: str | None
    mask_digest: str | None


@dataclass(frozen=True)
class Examined:
    """An accepted file: its facts, digest and bytes; and why its mask was not accepted, where it was not."""

    labelled: Labelled
    digest: bytes
    facts: Facts
    encoded: bytes
    mask: bytes
    mask_reject: Reject | None


def examine(source: Source, labelled: Labelled, limits: Limits) -> Examined | Reject:
    """Read one file and decode it whole: what fails in training must fail here."""
    try:
        if labelled.size > limits.max_bytes:
            message = f"the file has {labelled.size} bytes, more than {limits.max_bytes}"
            raise PictureRejected("bytes", message, f"max_bytes={limits.max_bytes}")
        encoded = source.read(labelled.name)
        header = read_header(encoded, limits)
        decode(encoded, limits)
    except PictureRejected as error:
        return Reject(name=labelled.name, reason=error.reason, message=str(error))
    mask, mask_reject = _examine_mask(source, labelled, limits, (header.width, header.height))
    facts = Facts(
        name=labelled.name,
        format=header.format,
        width=header.width,
        height=header.height,
        manipulation=labelled.manipulation,
        mask_digest=hashlib.sha256(mask).hexdigest() if mask else None,
    )
    return Examined(labelled, hashlib.sha256(encoded).digest(), facts, encoded, mask, mask_reject)


def _examine_mask(
    source: Source, labelled: Labelled, limits: Limits, size: tuple[int, int]
) -> tuple[bytes, Reject | None]:
    if labelled.mask is None:
        return b"", None
    try:
        grey = decode(source.read(labelled.mask), limits).convert("L")
        if grey.size != size:
            found, wanted = ("x".join(map(str, each)) for each in (grey.size, size))
            raise PictureRejected("mask", f"the mask has {found} pixels, its picture {wanted}")
        levels = np.asarray(grey)
        if not levels.any():
            raise PictureRejected("mask", "the mask marks no pixel")
    except PictureRejected as error:
        return b"", Reject(name=labelled.mask, reason="mask", message=f"mask of {labelled.name}: {error}")
    marked = Image.fromarray(np.where(levels > levels.max() / 2, np.uint8(255), np.uint8(0)))
    png = io.BytesIO()
    marked.save(png, "PNG")
    return png.getvalue(), None


@dataclass(frozen=True, slots=True)
class Draft:
    """What stays in memory of an accepted file: a few hundred bytes, whatever the size of the picture."""

    label: ClassLabel
    group: str
    offset: int


class Intake:
    """Accepted files by digest, spooled to one file; duplicates and conflicts are found as they come."""

    def __init__(self, spool: IO[bytes]) -> None:
        """Append to an empty file opened for reading and writing."""
        self._spool = spool
        self._drafts: dict[bytes, Draft] = {}
        self._conflicts: set[bytes] = set()
        self._groups = Groups()
        self.rejects: list[Reject] = []

    def add(self, examined: Examined | Reject) -> None:
        """Take one file, or list it with the rejects."""
        if isinstance(examined, Reject):
            self.rejects.append(examined)
            return
        if examined.mask_reject is not None:
            self.rejects.append(examined.mask_reject)
        group = examined.labelled.group or f"picture-{examined.digest.hex()[:16]}"
        if (first := self._drafts.get(examined.digest)) is not None:
            self._repeated(first, examined)
            self._groups.join(first.group, group)
            return
        offset = self._spool.seek(0, io.SEEK_END)
        parts = examined.facts.model_dump_json().encode(), examined.encoded, examined.mask
        self._spool.write(_LENGTHS.pack(*map(len, parts)))
        self._spool.writelines(parts)
        self._drafts[examined.digest] = Draft(examined.labelled.label, group, offset)

    def _repeated(self, first: Draft, examined: Examined) -> None:
        name, label = self.read(first)[0].name, examined.labelled.label
        if label == first.label:
            reject = Reject(name=examined.facts.name, reason="duplicate", message=f"the same bytes as {name}")
        else:
            self._conflicts.add(examined.digest)
            message = f"the same bytes are labelled {first.label} as {name}, and {label} here"
            reject = Reject(name=examined.facts.name, reason="conflict", message=message)
        self.rejects.append(reject)

    def finish(self) -> list[tuple[bytes, Draft]]:
        """Digests and drafts in order of digest, each with its final group.

        A picture under both labels is in neither class: all its copies are rejects.
        """
        for digest in sorted(self._conflicts):
            draft = self._drafts.pop(digest)
            message = f"the same bytes are labelled {draft.label} here, and otherwise elsewhere"
            self.rejects.append(Reject(name=self.read(draft)[0].name, reason="conflict", message=message))
        self.rejects.sort(key=lambda each: (each.name, each.reason))
        return [
            (digest, Draft(draft.label, self._groups.find(draft.group), draft.offset))
            for digest, draft in sorted(self._drafts.items(), key=lambda each: each[0])
        ]

    def read(self, draft: Draft) -> tuple[Facts, bytes, bytes]:
        """Facts, picture and mask (empty where there is none) back from the spool."""
        self._spool.seek(draft.offset)
        facts, encoded, mask = (self._spool.read(length) for length in _LENGTHS.unpack(self._spool.read(12)))
        return Facts.model_validate_json(facts), encoded, mask


def open_spool(folder: Path) -> IO[bytes]:
    """A file without a name in `folder`: it is gone with the process, however that ends."""
    import tempfile

    return tempfile.TemporaryFile(dir=folder)


def rejected_reasons(rejects: list[Reject]) -> Iterator[tuple[str, int]]:
    """Reasons with their counts, the most frequent first."""
    from collections import Counter

    yield from Counter(reject.reason for reject in rejects).most_common()
