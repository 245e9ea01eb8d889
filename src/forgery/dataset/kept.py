"""What an ingest read from a bucket before it was killed, kept block by block, so that the next one goes on from there.

A block is some neighbouring files of the listing, known by their names and versions. Where one block ends and the next
begins depends on the names around it alone: files that are added change the blocks they fall into, and no other.
"""

import hashlib
import io
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import IO, Final

import PIL

from forgery.dataset.intake import Examined, Facts
from forgery.dataset.labels import Labelled
from forgery.dataset.manifest import Reject
from forgery.dataset.shards import MEGABYTE
from forgery.picture import Limits
from forgery.places import OptionalPlace

# A block ends after one file in so many, by a checksum of its name, or with the file that makes it this large.
_FILES: Final = 256
_MAX_BYTES: Final = 32 * MEGABYTE
_VERSION: Final = 1  # of the format below and of what `examine` finds
_LENGTHS: Final = struct.Struct(">IIIII")

Result = Examined | Reject


class KeptReads:
    """Blocks in a folder or a bucket; one that cannot be had costs a warning and the time to read its files again."""

    def __init__(self, where: str, source: str, limits: Limits, versions: Mapping[str, str]) -> None:
        """Keep below `where`, s3://bucket/prefix or file://PATH.

        Args:
            where: Empty keeps nothing.
            source: What the files are of.
            limits: What they were examined with.
            versions: Of every file by name: equal versions mean equal bytes.
        """
        self._scope = repr((_VERSION, PIL.__version__, source, limits))
        self._versions = versions
        self._place = OptionalPlace(where, "what is read is")

    def read(
        self, pictures: Iterable[Labelled], examine: Callable[[Iterable[Labelled]], Iterator[Result]]
    ) -> Iterator[Result]:
        """Results in the order of pictures: those that are kept, and the others as `examine` finds them."""
        if not self._place.used:
            yield from examine(pictures)
            return
        for block in _blocks(pictures):
            name = f"reads/{self._key(block)}"
            known = self._load(name, block)
            if known is None:
                known = list(examine(block))
                self._keep(name, known)
            yield from known

    def _key(self, block: Sequence[Labelled]) -> str:
        content = hashlib.sha256(self._scope.encode())
        for each in block:
            names = [name for name in (each.name, each.mask) if name is not None]
            content.update(repr((each.manipulation, [(name, self._versions[name]) for name in names])).encode())
        return content.hexdigest()

    def _load(self, name: str, block: Sequence[Labelled]) -> list[Result] | None:
        content = self._place.read(name)
        try:
            return None if content is None else list(_unpacked(content, block))
        except (ValueError, struct.error) as error:
            self._place.give_up(error)
            return None

    def _keep(self, name: str, results: Sequence[Result]) -> None:
        if self._place.used:
            self._place.write(name, _packed(results))


def _blocks(pictures: Iterable[Labelled]) -> Iterator[list[Labelled]]:
    block: list[Labelled] = []
    size = 0
    for each in pictures:
        block.append(each)
        size += each.size
        if not zlib.crc32(each.name.encode()) % _FILES or size >= _MAX_BYTES:
            yield block
            block, size = [], 0
    if block:
        yield block


def _packed(results: Sequence[Result]) -> bytes:
    """Lengths and parts of each, then a checksum of it all."""
    content = io.BytesIO()
    for each in results:
        if isinstance(each, Reject):
            parts = each.model_dump_json().encode(), b"", b"", b"", b""
        else:
            reject = each.mask_reject.model_dump_json().encode() if each.mask_reject else b""
            parts = b"", each.facts.model_dump_json().encode(), each.encoded, each.mask, reject
        content.write(_LENGTHS.pack(*map(len, parts)))
        content.writelines(parts)
    packed = content.getvalue()
    return hashlib.sha256(packed).digest() + packed


def _unpacked(content: bytes, block: Sequence[Labelled]) -> Iterator[Result]:
    checksum, packed = content[:32], memoryview(content)[32:]
    if hashlib.sha256(packed).digest() != checksum:
        raise ValueError("a block is damaged")
    file = io.BytesIO(packed)
    for labelled in block:
        yield _unpacked_one(file, labelled)


def _unpacked_one(file: IO[bytes], labelled: Labelled) -> Result:
    lengths = _LENGTHS.unpack(file.read(_LENGTHS.size))
    reject, facts, encoded, mask, mask_reject = (file.read(length) for length in lengths)
    if reject:
        return Reject.model_validate_json(reject)
    return Examined(
        labelled,
        hashlib.sha256(encoded).digest(),
        Facts.model_validate_json(facts),
        encoded,
        mask,
        Reject.model_validate_json(mask_reject) if mask_reject else None,
    )
