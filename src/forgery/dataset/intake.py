"""One file of a source: read, checked, decoded, told apart by content; nothing is re-encoded."""

import hashlib
import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

from forgery.dataset.labels import Labelled
from forgery.dataset.manifest import Reject
from forgery.dataset.sources import Source
from forgery.errors import PictureRejected
from forgery.picture import Limits, decode, read_header


@dataclass(frozen=True)
class Examined:
    """An accepted file: its bytes and what is known of them; and why its mask was not accepted, where it was not.

    Digests are SHA-256 in hexadecimal; `mask` is empty where there is none.
    """

    digest: str
    format: str
    width: int
    height: int
    encoded: bytes
    mask: bytes
    mask_message: str | None

    @property
    def mask_digest(self) -> str | None:
        """Of the mask as it is kept."""
        return hashlib.sha256(self.mask).hexdigest() if self.mask else None


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
    mask, mask_message = _examine_mask(source, labelled, limits, (header.width, header.height))
    digest = hashlib.sha256(encoded).hexdigest()
    return Examined(digest, header.format, header.width, header.height, encoded, mask, mask_message)


def _examine_mask(
    source: Source, labelled: Labelled, limits: Limits, size: tuple[int, int]
) -> tuple[bytes, str | None]:
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
        return b"", f"mask of {labelled.name}: {error}"
    marked = Image.fromarray(np.where(levels > levels.max() / 2, np.uint8(255), np.uint8(0)))
    png = io.BytesIO()
    marked.save(png, "PNG")
    return png.getvalue(), None
