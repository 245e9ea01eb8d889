"""The maps of pictures one by one, on every core: what the ELA step computes."""

import hashlib
import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, partial
from typing import Final, NamedTuple

import numpy as np

from forgery.dataset.manifest import Picture
from forgery.errors import ForgeryError, StorageError
from forgery.evidence_set import StoredMap, decode_mask, encode_map, mask_cells, mask_channel
from forgery.histories import Save, resaved
from forgery.last_saves import LastSave
from forgery.parallel import in_order, processes
from forgery.pasting import last_save, paste
from forgery.picture import UNLIMITED, decode
from forgery.recipes import Evidence, Recipe, evidence, parse_recipe
from forgery.variants import ORIGINAL, PASTED, Copy, Pasted, Variant, Varied

# Few enough that no core waits long for the last ones, enough to make the way to a worker cheap.
_CHUNK_PICTURES: Final = 8
# Where most maps are known, so many pictures go by without a word to a worker.
_CHUNK_KNOWN: Final = 64
_NO_MASK: Final = hashlib.sha256(b"").hexdigest()


class KnownMap(NamedTuple):
    """A map that need not be computed: where it lies, and its PNG, empty where nobody asks for it."""

    stored: StoredMap
    png: bytes = b""


_UNREAD: Final = KnownMap(StoredMap("", 0, 0, ""))


@dataclass(frozen=True)
class Work:
    """One picture for a worker: its bytes, the copies to take maps of, and the history it gets first, if any.

    `known` are maps that need not be computed, by variant; they do not travel to workers. Where it has all of them, the
    picture's bytes and mask are not read. `host` is the picture that what was forged is pasted into, `host_save` the
    history it gets.
    """

    picture: Picture
    variants: tuple[Copy, ...]
    matched: bool = False
    first: Save | None = None
    host: Picture | None = None
    host_save: Save | None = None
    known: Mapping[str, KnownMap] = field(default_factory=dict)
    encoded: bytes = b""
    mask: bytes | None = None
    host_encoded: bytes = b""

    @property
    def names(self) -> list[str]:
        """Variants in the order of maps."""
        return [ORIGINAL, *(copy.name for copy in self.variants)]

    @property
    def missing(self) -> bool:
        """Whether a map is to be computed."""
        return len(self.known) <= len(self.variants)

    @property
    def read(self) -> list[Picture]:
        """The pictures whose bytes are needed."""
        hosts = [self.host] if self.host and PASTED not in self.known else []
        return [self.picture, *hosts] if self.missing else []

    def key(self, variant: str, dense: bool) -> str:
        """All that a map depends on besides the picture, the recipe and the code."""
        mask = self.picture.mask_digest or _NO_MASK
        save = self.host_save if variant == PASTED else self.first
        history = (save.tables, save.subsampling) if save else None
        pasted = (self.host.digest, mask) if self.host and variant == PASTED else ()
        parts = (variant, self.matched, history, (self.picture.label, mask) if dense else None, *pasted)
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def missing_maps(works: Iterator[Work], recipe: Recipe, workers: int) -> Iterator[tuple[Work, dict[str, bytes]]]:
    """Each picture with the maps that are not known, by variant, in the order of pictures.

    Args:
        works: Taken as results are asked for.
        recipe: Fixes every pixel.
        workers: Processes; 1 works in this one.

    Raises:
        StorageError: A picture cannot be decoded any more.
    """
    if workers == 1:
        for work in works:
            yield work, _maps(work, recipe)
        return
    chunks, again = itertools.tee(_chunks(works))
    sent = (
        [replace(work, known=dict.fromkeys(work.known, _UNREAD)) for work in chunk if work.missing] for chunk in again
    )
    with processes(workers) as pool:
        computed = in_order(pool, partial(_maps_of_chunk, recipe.name), sent, most=3 * workers)
        for chunk, (_, found) in zip(chunks, computed, strict=True):
            maps = iter(found)
            for work in chunk:
                yield work, next(maps) if work.missing else {}


def _chunks(works: Iterator[Work]) -> Iterator[list[Work]]:
    chunk: list[Work] = []
    missing = 0
    for work in works:
        chunk.append(work)
        missing += work.missing
        if missing == _CHUNK_PICTURES or len(chunk) == _CHUNK_KNOWN:
            yield chunk
            chunk, missing = [], 0
    if chunk:
        yield chunk


def _maps_of_chunk(recipe_name: str, chunk: list[Work]) -> list[dict[str, bytes]]:
    recipe = parse_recipe(recipe_name)
    return [_maps(work, recipe) for work in chunk]


def _maps(work: Work, recipe: Recipe) -> dict[str, bytes]:
    copies = dict(zip(work.names, (None, *work.variants), strict=True))
    wanted = {name: copy for name, copy in copies.items() if name not in work.known}
    if not wanted:
        return {}
    try:
        again = work.matched and any(not isinstance(copy, Varied | Pasted) for copy in wanted.values())
        encoded = resaved(work.encoded, work.first, UNLIMITED) if again else work.encoded
        # All copies that nothing was cut off have the same mask.
        mask = cache(partial(mask_channel, work.picture.label, work.encoded, work.mask, recipe))
        return {
            name: encode_map(
                _pasted_map(work, recipe) if isinstance(copy, Pasted) else _map(work, encoded, copy, recipe, mask)
            )
            for name, copy in wanted.items()
        }
    except ForgeryError as error:
        # Ingest decoded it, so it was changed since; a plain error also travels between processes.
        raise StorageError(f"picture {work.picture.digest} of the image set is damaged: {error}") from error


def _pasted_map(work: Work, recipe: Recipe) -> Evidence:
    """The map of what was forged in a picture, pasted into its host, with the mask where the recipe is dense."""
    digest = work.picture.digest
    picture, host = (decode(encoded, UNLIMITED, upright=True) for encoded in (work.encoded, work.host_encoded))
    made, marked = paste(digest, picture, decode_mask(work.mask or b"", work.encoded, upright=True), host)
    last = last_save(digest, made.size)
    found = evidence(last.file(work.host_save.apply(made) if work.host_save else made), recipe, UNLIMITED)
    return np.concatenate([found, mask_cells(marked, recipe, last.cut_px)], axis=2) if recipe.dense else found


def _map(
    work: Work,
    encoded: bytes,
    copy: Variant | Varied | None,
    recipe: Recipe,
    mask: Callable[[tuple[int, int]], Evidence],
) -> Evidence:
    """One map of a picture, with its mask where the recipe is dense; all but varied copies are made of `encoded`."""
    cut_px = (0, 0)
    if isinstance(copy, Varied):
        picture = decode(work.encoded, UNLIMITED, recipe.upright)
        last = LastSave.drawn(work.picture.digest, picture.size)
        file, cut_px = last.file(work.first.apply(picture) if work.first else picture), last.cut_px
    else:
        file = copy.copy(encoded, UNLIMITED, recipe.upright) if copy else encoded
    found = evidence(file, recipe, UNLIMITED)
    return np.concatenate([found, mask(cut_px)], axis=2) if recipe.dense else found
