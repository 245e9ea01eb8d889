"""From the folder that the transformer logs to, to the bucket: `python -m forgery.monitoring.shipping`, a sidecar.

It moves closed segments only, and opens none of them.
"""

import argparse
import logging
import signal
import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import minio

from forgery.errors import ForgeryError
from forgery.monitoring.payloads import PREFIX, SUFFIX, segment_start
from forgery.s3 import s3_client, s3_errors, split_uri
from forgery.steps.frame import configure_logging

logger = logging.getLogger(__name__)

_FORGET_EVERY: Final = timedelta(hours=1)


class Shipper:
    """Moves segments from a folder to `s3://bucket/prefix/`, and forgets the old ones there."""

    def __init__(self, folder: Path, target: str, keep: timedelta) -> None:
        """Nothing is sent yet. Raises InvalidConfig, StorageError."""
        self._folder, self._target, self._keep = folder, target, keep
        self._bucket, prefix = split_uri(target)
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._client: minio.Minio = s3_client()
        self._forget_at = datetime.min.replace(tzinfo=UTC)

    def ship(self) -> int:
        """Move what is there; a segment is removed here only when it is there. Raises StorageError."""
        moved = 0
        for path in sorted(self._folder.glob(f"{PREFIX}*{SUFFIX}")):
            with s3_errors(f"shipping to {self._target}"):
                self._client.fput_object(self._bucket, self._prefix + path.name, str(path))
            path.unlink(missing_ok=True)
            moved += 1
        return moved

    def forget(self) -> int:
        """Remove segments older than is kept, at most once an hour. Raises StorageError."""
        now = datetime.now(UTC)
        if now < self._forget_at:
            return 0
        self._forget_at = now + _FORGET_EVERY
        removed = 0
        with s3_errors(f"forgetting below {self._target}"):
            # Names begin with the time, so that the old ones come first.
            for found in self._client.list_objects(self._bucket, self._prefix + PREFIX):
                start = segment_start(str(found.object_name))
                if start is not None and start >= now - self._keep:
                    break
                if start is not None:
                    self._client.remove_object(self._bucket, str(found.object_name))
                    removed += 1
        return removed


def run(shipper: Shipper, every_s: float, stop: threading.Event) -> None:
    """Ship until `stop` is set, and once more then; what fails is tried again the next time."""
    while True:
        last = stop.wait(every_s)
        try:
            moved, removed = shipper.ship(), shipper.forget()
        except ForgeryError as error:
            logger.warning("%s", error)
        else:
            if moved or removed:
                logger.info("%d segments shipped, %d forgotten", moved, removed)
        if last:
            return


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the sidecar until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m forgery.monitoring.shipping", description=__doc__)
    parser.add_argument("folder", type=Path, help="That of the transformer's --payload_log.")
    parser.add_argument("target", help="s3://bucket/prefix; address and keys as AWS tools read them.")
    parser.add_argument("--keep_days", type=float, default=90, help="Older segments are removed there. Default: 90.")
    parser.add_argument("--every_s", type=float, default=20, help="Pause between rounds. Default: 20.")
    flags = parser.parse_args(arguments)
    configure_logging()
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    run(Shipper(flags.folder, flags.target, timedelta(days=flags.keep_days)), flags.every_s, stop)


if __name__ == "__main__":
    main()
