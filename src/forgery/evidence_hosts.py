"""Which authentic picture what was forged in another is pasted into."""

import itertools
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from forgery.dataset.manifest import DatasetInfo, Picture, ShardInfo, read_pictures
from forgery.pasting import steps_to_host


@dataclass
class _Waiting:
    """A picture, and how many authentic ones are to follow until its host; none for one without."""

    picture: Picture
    steps: int
    host: Picture | None = None


def with_hosts(
    image_set: Path, info: DatasetInfo, pictures: Iterable[Picture], last: ShardInfo
) -> Iterator[tuple[Picture, Picture | None]]:
    """Each picture with its host, one of the few authentic ones that follow it in the order of digests, in a ring.

    So an added picture changes the hosts of its neighbours alone, and no table of all pictures is needed.

    Args:
        image_set: What ingest wrote.
        info: Of it.
        pictures: Of one split, neighbours in order of digest.
        last: The shard that ends them.

    Yields:
        In order; the host is None for authentic pictures and those without a mask, and where none is authentic.
    """
    waiting: deque[_Waiting] = deque()
    for picture in pictures:
        if picture.label == "authentic":
            _serve(waiting, picture)
        can_be_pasted = picture.label == "forged" and picture.mask_member is not None
        waiting.append(_Waiting(picture, steps_to_host(picture.digest) if can_be_pasted else 0))
        yield from _served(waiting)
    for host in _following(image_set, info, last) if waiting else ():
        _serve(waiting, host)
        yield from _served(waiting)
        if not waiting:
            return
    yield from ((each.picture, None) for each in waiting)


def _serve(waiting: Iterable[_Waiting], host: Picture) -> None:
    for each in waiting:
        each.steps -= 1
        if each.steps == 0:
            each.host = host


def _served(waiting: deque[_Waiting]) -> Iterator[tuple[Picture, Picture | None]]:
    while waiting and waiting[0].steps <= 0:
        first = waiting.popleft()
        yield first.picture, first.host


def _following(image_set: Path, info: DatasetInfo, last: ShardInfo) -> Iterator[Picture]:
    """Authentic pictures from behind a shard on, round and round; nothing where there are none."""
    names = [shard.name for shard in info.shards if shard.split == last.split]
    behind = names[names.index(last.name) + 1 :]
    for part in itertools.chain([behind], itertools.repeat(names)):
        found = False
        for picture in read_pictures(image_set, (last.split,), frozenset(part)):
            if picture.label == "authentic":
                found = True
                yield picture
        if part is names and not found:
            return
