"""Shards of pictures in a folder or a bucket that runs share: equal shards are one object, whichever run wrote them."""

import hashlib
import logging
from pathlib import Path

from forgery.config import DataOptions
from forgery.errors import InvalidConfig
from forgery.places import open_place

logger = logging.getLogger(__name__)

_FOLDER = "pictures"


class StoredShards:
    """Takes shards as they are finished, under the SHA-256 of their content; what is there already is not sent."""

    def __init__(self, where: str) -> None:
        """Store below `where`, s3://bucket/prefix or file://PATH; StorageError where that cannot be read."""
        self._place = open_place(where)
        self._known = set(self._place.names(_FOLDER))
        self.objects: dict[str, str] = {}

    def take(self, shard: Path) -> None:
        """Store a shard and remove the file; StorageError where it cannot be written."""
        with shard.open("rb") as file:
            name = f"{_FOLDER}/{hashlib.file_digest(file, 'sha256').hexdigest()}.tar"
        if name in self._known:
            logger.info("%s is stored already", shard.name)
        else:
            self._place.put(name, shard)
        self.objects[shard.name] = name
        shard.unlink()


def open_stored(options: DataOptions, cache: str) -> StoredShards | None:
    """Where shards go besides the image set's folder; None for nowhere.

    Raises:
        InvalidConfig: They are to lie in a cache, and there is none.
    """
    if options.shards_in == "artifact":
        return None
    if not cache:
        raise InvalidConfig(
            "data.shards_in=cache needs a place; name one with cache, s3://bucket/prefix or file://PATH"
        )
    return StoredShards(cache)
