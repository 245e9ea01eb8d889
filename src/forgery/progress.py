"""Progress of long work: a bar on a terminal, a log line now and then in a pod."""

import logging
import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

logger = logging.getLogger(__name__)

Item = TypeVar("Item")

# Often enough for a person who watches, rare enough for a log that is kept.
_LOG_EVERY_S = 2.0


def track(items: Iterable[Item], total: int | None, what: str) -> Iterator[Item]:
    """Hand on `items` and say how many of `total` are done.

    Args:
        items: Anything to iterate over.
        total: How many there will be; None where that is not known.
        what: What is done to them, e.g. `computing evidence`.
    """
    if sys.stderr.isatty():
        yield from tqdm(items, total=total, desc=what, leave=False)
        return
    said = time.monotonic()
    for done, item in enumerate(items, start=1):
        yield item
        if time.monotonic() - said >= _LOG_EVERY_S:
            said = time.monotonic()
            share = f" of {total} ({100 * done // total} %)" if total else ""
            logger.info("%s: %s%s", what, done, share)
