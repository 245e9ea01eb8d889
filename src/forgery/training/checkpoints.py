"""Where a training stands, kept in a folder or a bucket, so that another process goes on where one was killed.

<checkpoints>/training/<key>/<steps>.npz

A checkpoint is one file that appears whole; the one before it is removed after it is written, the last one when the
training has ended well. The key is a digest of everything that decides the weights, so a training never goes on with
another's. A place that cannot be read or written costs a warning, never the training.
"""

import hashlib
import io
import json
import logging
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from forgery.errors import StorageError
from forgery.evidence import INDEX_FILE, read_evidence_info
from forgery.places import Place, open_place

logger = logging.getLogger(__name__)

_SUFFIX: Final = ".npz"
_PROGRESS: Final = "progress"
_KEY_DIGITS: Final = 32
# What tells how an evidence set was made and where it lies, but not what is in it.
_UNIMPORTANT: Final = {"part", "reused", "place"}


class Checkpoint(BaseModel):
    """A state that was read back: arrays by name, and the text that was kept with them."""

    model_config = {"arbitrary_types_allowed": True, "frozen": True}

    arrays: dict[str, NDArray[np.generic]]
    progress: str


def training_key(evidence_set: Path, settings: Mapping[str, object]) -> str:
    """A digest of the evidence, of the order its maps lie in, and of `settings`, which must be plain values."""
    content = hashlib.sha256()
    info = read_evidence_info(evidence_set).model_dump(exclude=_UNIMPORTANT)
    content.update(json.dumps([info, dict(settings)], sort_keys=True).encode())
    with (evidence_set / INDEX_FILE).open("rb") as index:
        content.update(hashlib.file_digest(index, "sha256").digest())
    return content.hexdigest()[:_KEY_DIGITS]


class Checkpoints:
    """The checkpoints of one training."""

    def __init__(self, place: str, key: str, every_steps: int = 0, writes: bool = True) -> None:
        """Nothing is read yet.

        Args:
            place: `s3://bucket/prefix`, `file://PATH` or a path; empty for none.
            key: From `training_key`.
            every_steps: Steps between two checkpoints within an epoch; 0: at the end of each epoch alone.
            writes: False for workers that only read what the chief has written.

        Raises:
            InvalidConfig: `place` is of no known form.
        """
        self.every_steps = every_steps
        self._folder = f"training/{key}"
        self._writes = writes
        self._where = f"{place.rstrip('/')}/{self._folder}"
        self._place = self._opened(place) if place else None

    def _opened(self, place: str) -> Place | None:
        try:
            return open_place(place)
        except StorageError as error:
            logger.warning("no checkpoints are kept: %s", error)
            return None

    def latest(self) -> int:
        """The steps of the newest checkpoint; 0 where there is none."""
        return max(self._found(), default=0)

    def read(self, steps: int) -> Checkpoint | None:
        """The checkpoint after so many steps; None, with a warning, where it cannot be read."""
        name = f"{self._folder}/{steps:012d}{_SUFFIX}"
        try:
            content = self._place.read(name) if self._place else None
            if content is None:
                return None
            with np.load(io.BytesIO(content), allow_pickle=False) as archive:
                arrays = {key: archive[key] for key in archive.files}
        except (StorageError, OSError, ValueError, zipfile.BadZipFile) as error:
            logger.warning("checkpoint %s cannot be read, training starts anew: %s", name, error)
            return None
        progress = arrays.pop(_PROGRESS)
        logger.info("going on from %s", f"{self._where}/{steps:012d}{_SUFFIX}")
        return Checkpoint(arrays=arrays, progress=progress.tobytes().decode())

    def write(self, steps: int, arrays: Mapping[str, NDArray[np.generic]], progress: str) -> None:
        """Keep a state and remove older ones."""
        if self._place is None or not self._writes:
            return
        content = io.BytesIO()
        text = np.frombuffer(progress.encode(), np.uint8)
        np.savez(content, allow_pickle=False, **{_PROGRESS: text}, **arrays)
        try:
            self._place.write(f"{self._folder}/{steps:012d}{_SUFFIX}", content.getvalue())
            for other in self._found():
                if other != steps:
                    self._place.remove(f"{self._folder}/{other:012d}{_SUFFIX}")
        except StorageError as error:
            logger.warning("a checkpoint cannot be kept: %s", error)

    def clear(self) -> None:
        """Remove all of them: the training has ended, and what it came to is kept elsewhere."""
        if self._place is None or not self._writes:
            return
        try:
            self._place.remove(self._folder)
        except StorageError as error:
            logger.warning("old checkpoints are left at %s: %s", self._where, error)

    def _found(self) -> list[int]:
        try:
            names = self._place.names(self._folder) if self._place else []
        except StorageError as error:
            logger.warning("checkpoints at %s cannot be listed: %s", self._where, error)
            return []
        numbers = (name.rsplit("/", 1)[-1].removesuffix(_SUFFIX) for name in names if name.endswith(_SUFFIX))
        return [int(number) for number in numbers if number.isdigit()]
