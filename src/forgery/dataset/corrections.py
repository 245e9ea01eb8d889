"""Corrected verdicts as a source of pictures: `feedback:PLACE`, see `forgery.feedback` for what lies there."""

import hashlib
import logging
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import PurePosixPath

from pydantic import ValidationError

from forgery.dataset.labels import Labelled
from forgery.dataset.layouts import Listing
from forgery.dataset.manifest import Reject
from forgery.dataset.sources import Entry, Source
from forgery.errors import PictureRejected
from forgery.feedback import CORRECTIONS, PICTURES, Correction

logger = logging.getLogger(__name__)


class CorrectedSource:
    """A source whose pictures are what their names say: bytes with another digest are refused."""

    def __init__(self, source: Source) -> None:
        """Read from `source`."""
        self._source = source

    def entries(self) -> Iterable[Entry]:
        """Every file, the corrections included."""
        return self._source.entries()

    def read(self, name: str) -> bytes:
        """The bytes of one file. Raises PictureRejected."""
        content = self._source.read(name)
        path = PurePosixPath(name)
        if path.parent.name == PICTURES and hashlib.sha256(content).hexdigest() != path.stem:
            raise PictureRejected("digest", f"{name} is not the picture whose verdict was corrected")
        return content


def read_corrections(source: Source, entries: Collection[Entry]) -> Listing:
    """Label the pictures that came with corrections.

    Returns:
        A picture each on whose class all corrections agree; a reject for every other, with the reason.
    """
    sizes = {entry.name: entry.size for entry in entries}
    by_digest: dict[str, list[Correction]] = defaultdict(list)
    rejects: list[Reject] = []
    for name in sorted(name for name in sizes if name.startswith(f"{CORRECTIONS}/") and name.endswith(".json")):
        try:
            correction = Correction.model_validate_json(source.read(name))
        except (ValidationError, PictureRejected) as error:
            rejects.append(Reject(name=name, reason="unreadable", message=f"no correction: {type(error).__name__}"))
            continue
        by_digest[correction.digest].append(correction)
    pictures: list[Labelled] = []
    for digest, corrections in sorted(by_digest.items()):
        judged = _judge(digest, corrections, sizes)
        if isinstance(judged, Reject):
            rejects.append(judged)
        else:
            pictures.append(judged)
    logger.info("feedback: %d pictures to learn from, %d corrections left out", len(pictures), len(rejects))
    return Listing("feedback", pictures, rejects)


def _judge(digest: str, corrections: Sequence[Correction], sizes: dict[str, int]) -> Labelled | Reject:
    labels = {correction.label for correction in corrections}
    said = ", ".join(sorted({f"{each.by}: {each.label}" for each in corrections}))
    if len(labels) > 1:
        return Reject(name=digest, reason="conflict", message=f"people disagree about this picture ({said})")
    kept = [name for name in _kept(corrections) if name in sizes]
    if not kept:
        return Reject(name=digest, reason="kept", message=f"the picture itself was not handed over ({said})")
    return Labelled(kept[0], sizes[kept[0]], labels.pop(), manipulation="corrected verdict")


def _kept(corrections: Sequence[Correction]) -> Iterator[str]:
    for correction in corrections:
        # Somebody else may write there: a name that is not the digest's own is no name.
        if correction.picture and PurePosixPath(correction.picture).stem == correction.digest:
            yield f"{PICTURES}/{PurePosixPath(correction.picture).name}"
