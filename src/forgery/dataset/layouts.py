"""How a source tells labels, source groups and masks: by CASIA file names, class folders or a manifest."""

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Final, Generic, TypeVar

from forgery.config import DataOptions
from forgery.dataset import casia, manifest_file
from forgery.dataset.labels import ClassNames, Labelled
from forgery.dataset.manifest import ClassLabel, Reject
from forgery.dataset.sources import Entry, Source
from forgery.errors import SourceError

logger = logging.getLogger(__name__)

Item = TypeVar("Item")

_MASK_FOLDERS: Final = frozenset({"mask", "masks", "gt", "groundtruth", "ground_truth", "ground-truth"})
_MASK_ENDINGS: Final = ("_gt", "_mask", "-mask", ".mask")


@dataclass(frozen=True)
class Listing:
    """A source's files, labelled.

    Attributes:
        layout: `casia`, `folders` or `manifest`.
        pictures: In order of name; they can be gone through again.
        rejects: Files that no rule labels; masks and label files are neither.
    """

    layout: str
    pictures: Iterable[Labelled]
    rejects: Iterable[Reject] = field(default=())


@dataclass(frozen=True)
class _Again(Generic[Item]):
    """What a function gives, made anew each time it is gone through: a listing of millions takes no memory."""

    make: Callable[[], Iterator[Item]]

    def __iter__(self) -> Iterator[Item]:
        return self.make()


def read_layout(source: Source, entries: Collection[Entry], options: DataOptions) -> Listing:
    """Label every file of a source, by the layout asked for or the first that fits.

    Args:
        source: Read only where labels stand in a file.
        entries: Every file of the source, in order of name.
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
            logger.info("layout %s: %d files", layout, len(entries))
            return listing
    example = min(entry.name for entry in entries)
    raise SourceError(
        f"none of {len(entries)} files can be labelled (layout {options.layout}; e.g. {example!r}); "
        f"a {manifest_file.ACCEPTED}, CASIA file names (Au_*, Sp_*, Tp_*), or class folders ({ClassNames.accepted()}); "
        "state others with data.classes"
    )


def _by_manifest(source: Source, entries: Collection[Entry], names: ClassNames) -> Listing | None:
    name = manifest_file.find(entries)
    if name is None:
        return None
    pictures, rejects = manifest_file.read(source.read(name), name, entries, names)
    if not pictures:
        raise SourceError(f"{name} names no file that is there; its file column is relative to its own folder")
    return Listing("manifest", pictures, rejects)


def _by_casia_names(source: Source, entries: Collection[Entry]) -> Listing | None:
    pictures = casia.label(source, entries)
    if not pictures or len(pictures) * 2 < sum(not is_mask(entry.name) for entry in entries):
        return None
    known = {each.name for each in pictures}
    return Listing("casia", pictures, list(_unlabelled(entries, known.__contains__, casia.MASK_PAIRS)))


def _by_folders(entries: Collection[Entry], names: ClassNames) -> Listing | None:
    masks = {_stem(entry.name): entry.name for entry in entries if is_mask(entry.name)}

    @cache
    def label(folder: str) -> ClassLabel | None:
        # The folder nearest to the file decides: train/fake/real_estate/1.jpg would else be read twice.
        return next((found for part in reversed(folder.split("/")) if (found := names.label(part))), None)

    def labelled() -> Iterator[Labelled]:
        for entry in entries:
            if (found := label(entry.name.rpartition("/")[0])) and not is_mask(entry.name):
                mask = masks.get(_stem(entry.name)) if found == "forged" else None
                yield Labelled(entry.name, entry.size, found, mask=mask)

    pictures = _Again(labelled)
    rejects = _Again(lambda: _unlabelled(entries, lambda name: label(name.rpartition("/")[0]) is not None))
    return Listing("folders", pictures, rejects) if next(iter(pictures), None) else None


def _unlabelled(entries: Iterable[Entry], known: Callable[[str], bool], extra: str = "\0") -> Iterator[Reject]:
    for entry in entries:
        if not known(entry.name) and not is_mask(entry.name) and not entry.name.endswith(extra):
            yield Reject(name=entry.name, reason="unlabelled", message="no rule of the layout labels this file")


def _stem(name: str) -> str:
    stem = name.rsplit("/", 1)[-1].rsplit(".", 1)[0]
    return next((stem.removesuffix(ending) for ending in _MASK_ENDINGS if stem.endswith(ending)), stem)


def is_mask(name: str) -> bool:
    """Whether a file is a mask by its name or a folder's: `x_gt.png`, `masks/x.png`, and the like."""
    *folders, file = name.split("/")
    return file.rsplit(".", 1)[0].endswith(_MASK_ENDINGS) or any(part.casefold() in _MASK_FOLDERS for part in folders)
