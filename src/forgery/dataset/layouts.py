"""How a source tells labels, source groups and masks: by CASIA file names, class folders or a manifest."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from forgery.config import DataOptions
from forgery.dataset import casia, manifest_file
from forgery.dataset.labels import ClassNames, Labelled
from forgery.dataset.manifest import Reject
from forgery.dataset.sources import Entry, Source
from forgery.errors import SourceError

logger = logging.getLogger(__name__)

_MASK_FOLDERS: Final = frozenset({"mask", "masks", "gt", "groundtruth", "ground_truth", "ground-truth"})
_MASK_ENDINGS: Final = ("_gt", "_mask", "-mask", ".mask")


@dataclass(frozen=True)
class Listing:
    """A source's files, labelled.

    Attributes:
        layout: `casia`, `folders` or `manifest`.
        pictures: In order of name.
        rejects: Files that no rule labels; masks and label files are neither.
    """

    layout: str
    pictures: Sequence[Labelled]
    rejects: Sequence[Reject] = field(default=())


def read_layout(source: Source, entries: Sequence[Entry], options: DataOptions) -> Listing:
    """Label every file of a source, by the layout asked for or the first that fits.

    Args:
        source: Read only where labels stand in a file.
        entries: Every file of the source.
        options: `layout` and `classes`.

    Returns:
        The labelled files in order of name.

    Raises:
        SourceError: No picture can be labelled; the message shows what is accepted.
    """
    names = ClassNames(options.classes)
    readers: Mapping[str, Callable[[], Listing | None]] = {
        "manifest": lambda: _by_manifest(source, entries, names),
        "casia": lambda: _by_casia_names(source, entries),
        "folders": lambda: _by_folders(entries, names),
    }
    wanted = tuple(readers) if options.layout == "auto" else (options.layout,)
    for layout in wanted:
        if (listing := readers[layout]()) is not None:
            logger.info("layout %s: %d labelled files of %d", layout, len(listing.pictures), len(entries))
            return listing
    example = min(entry.name for entry in entries)
    raise SourceError(
        f"none of {len(entries)} files can be labelled (layout {options.layout}; e.g. {example!r}); "
        f"a {manifest_file.ACCEPTED}, CASIA file names (Au_*, Sp_*, Tp_*), or class folders ({ClassNames.accepted()}); "
        "state others with data.classes"
    )


def _by_manifest(source: Source, entries: Sequence[Entry], names: ClassNames) -> Listing | None:
    name = manifest_file.find(entries)
    if name is None:
        return None
    pictures, rejects = manifest_file.read(source.read(name), name, entries, names)
    if not pictures:
        raise SourceError(f"{name} names no file that is there; its file column is relative to its own folder")
    return Listing("manifest", pictures, rejects)


def _by_casia_names(source: Source, entries: Sequence[Entry]) -> Listing | None:
    pictures = casia.label(source, entries)
    if not pictures or len(pictures) * 2 < sum(not is_mask(entry.name) for entry in entries):
        return None
    return Listing("casia", pictures, _unlabelled(entries, pictures, extra=(casia.MASK_PAIRS,)))


def _by_folders(entries: Sequence[Entry], names: ClassNames) -> Listing | None:
    masks = {_stem(entry.name): entry.name for entry in entries if is_mask(entry.name)}
    pictures = []
    for entry in sorted(entries, key=lambda each: each.name):
        # The folder nearest to the file decides: train/fake/real_estate/1.jpg would else be read twice.
        labels = [label for part in entry.name.split("/")[:-1] if (label := names.label(part))]
        if labels and not is_mask(entry.name):
            mask = masks.get(_stem(entry.name)) if labels[-1] == "forged" else None
            pictures.append(Labelled(entry.name, entry.size, labels[-1], mask=mask))
    return Listing("folders", pictures, _unlabelled(entries, pictures)) if pictures else None


def _unlabelled(entries: Sequence[Entry], pictures: Sequence[Labelled], extra: Sequence[str] = ()) -> list[Reject]:
    known = {each.name for each in pictures}
    return [
        Reject(name=entry.name, reason="unlabelled", message="no rule of the layout labels this file")
        for entry in sorted(entries, key=lambda each: each.name)
        if entry.name not in known and not is_mask(entry.name) and not entry.name.endswith(tuple(extra) or "\0")
    ]


def _stem(name: str) -> str:
    stem = name.rsplit("/", 1)[-1].rsplit(".", 1)[0]
    return next((stem.removesuffix(ending) for ending in _MASK_ENDINGS if stem.endswith(ending)), stem)


def is_mask(name: str) -> bool:
    """Whether a file is a mask by its name or a folder's: `x_gt.png`, `masks/x.png`, and the like."""
    *folders, file = name.split("/")
    return file.rsplit(".", 1)[0].endswith(_MASK_ENDINGS) or any(part.casefold() in _MASK_FOLDERS for part in folders)
