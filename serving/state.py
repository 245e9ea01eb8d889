"""The state folder as the supervisor sees it: it reads the spec that a rollout writes, and writes the status."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from forgery.errors import InvalidConfig
from forgery.rollout.local import Spec, Status

# `LocalService` takes the lock for a moment to see whether a supervisor holds it.
_LOCK_TIMEOUT_S = 1.0


class PublishedStatus(Status):
    """The status with what clients need to find the service."""

    http_port: int
    grpc_port: int
    updated_at: str = ""


class StateFolder:
    """One local InferenceService's folder."""

    def __init__(self, path: Path) -> None:
        """Nothing is touched until it is used."""
        self.path = path.absolute()
        self._spec = Spec()
        self._published: PublishedStatus | None = None

    @contextmanager
    def held(self) -> Iterator[None]:
        """Be the one supervisor of this folder.

        Raises:
            InvalidConfig: Another one is, or the folder cannot be written.
        """
        lock = FileLock(self.path / "supervisor.lock", timeout=_LOCK_TIMEOUT_S)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except Timeout as error:
            raise InvalidConfig(f"{self.path} is being served already; stop that server or choose another") from error
        except OSError as error:
            raise InvalidConfig(f"{self.path} cannot be written: {error.strerror}; choose another folder") from error
        try:
            yield
        finally:
            lock.release()

    def spec(self) -> Spec:
        """What is asked for now; what was asked for last while the file cannot be read."""
        try:
            self._spec = Spec.model_validate_json((self.path / "spec.json").read_bytes())
        except (OSError, ValueError):
            return self._spec
        return self._spec

    def publish(self, status: PublishedStatus) -> None:
        """Replace the status if it changed."""
        if status == self._published:
            return
        stamped = status.model_copy(update={"updated_at": datetime.now(UTC).isoformat(timespec="milliseconds")})
        beside = self.path / f".status.{os.getpid()}.tmp"
        beside.write_text(stamped.model_dump_json(by_alias=True) + "\n")
        beside.replace(self.path / "status.json")
        self._published = status
