"""One file at a time from a source to a spool on disk: checked, told apart by content, nothing re-encoded."""

import hashlib
import io
import struct
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

import numpy as np
from PIL import Image
from pydantic import BaseModel

from forgery.dataset.groups import Groups
from forgery.dataset.labels import Labelled
from forgery.dataset.manifest import ROW_CONFIG, ClassLabel, Reject
from forgery.dataset.sources import Source
from forgery.errors import PictureRejected
from forgery.picture import Limits, decode, read_header

_LENGTHS: Final = struct.Struct(">III")


class Facts(BaseModel):
    """What is known of an accepted file, as it is spooled."""

    model_config = ROW_CONFIG

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
    """What stays in memory of an accepted file, whatever its size; `group` is None for a picture that is its own."""

    label: ClassLabel
    group: str | None
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
        group = examined.labelled.group
        if (first := self._drafts.get(examined.digest)) is not None:
            self._repeated(first, examined)
            if first.group is None:
                self._drafts[examined.digest] = Draft(first.label, group, first.offset)
            elif group is not None:
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

    def finish(self) -> list[bytes]:
        """Digests of the accepted files, in order.

        A picture under both labels is in neither class: all its copies are rejects.
        """
        for digest in sorted(self._conflicts):
            draft = self._drafts.pop(digest)
            message = f"the same bytes are labelled {draft.label} here, and otherwise elsewhere"
            self.rejects.append(Reject(name=self.read(draft)[0].name, reason="conflict", message=message))
        self.rejects.sort(key=lambda each: (each.name, each.reason))
        return sorted(self._drafts)

    def draft(self, digest: bytes) -> Draft:
        """What is in memory of an accepted file; its group is final once all files were added."""
        draft = self._drafts[digest]
        return draft if draft.group is None else Draft(draft.label, self._groups.find(draft.group), draft.offset)

    def read(self, draft: Draft) -> tuple[Facts, bytes, bytes]:
        """Facts, picture and mask (empty where there is none) back from the spool."""
        self._spool.seek(draft.offset)
        facts, encoded, mask = (self._spool.read(length) for length in _LENGTHS.unpack(self._spool.read(_LENGTHS.size)))
        return Facts.model_validate_json(facts), encoded, mask


def open_spool(folder: Path) -> IO[bytes]:
    """A file without a name in `folder`: it is gone with the process, however that ends."""
    return tempfile.TemporaryFile(dir=folder)
