"""An InferenceService on one machine: a folder that the rollout writes and a supervisor watches.

spec.json         what is asked for: {"storageUri", "generation"}; replaced whole, under `lock`
revisions/        NNNNNN.json, one `Revision` each
status.json       what the supervisor made of it, replaced whole by the supervisor alone
supervisor.lock   held by the running supervisor
"""

import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, TypeVar

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from forgery.errors import DeployConflict, DeployFailed, ServiceUnavailable
from forgery.rollout.port import Revision, ServiceState
from forgery.rollout.revisions import forgettable, head, next_number

logger = logging.getLogger(__name__)

T = TypeVar("T")

POLL_S = 0.1
# A rollout holds the lock for a few milliseconds.
LOCK_TIMEOUT_S = 30


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, alias_generator=to_camel, validate_by_name=True)


class Spec(_Document):
    """What is asked for: `spec.json`."""

    storage_uri: str | None = None
    generation: int = 0


class Status(_Document):
    """What the supervisor last said: `status.json`.

    Attributes:
        generation: The spec's generation that it speaks of.
        storage_uri: The bundle of that generation.
        model_version: Digest of the bundle that answers requests now; an older one while the new one loads.
        state: `failed`: the newest bundle could not be served, `message` says why, and the old one still serves.
    """

    pid: int
    generation: int
    storage_uri: str | None = None
    model_version: str | None = None
    state: Literal["waiting", "loading", "serving", "failed"]
    message: str = ""


class LocalService:
    """The InferenceService in a state folder; see `InferenceServices` for what the methods promise."""

    def __init__(self, folder: Path) -> None:
        """Nothing is read or written until it is used."""
        self._folder = folder.absolute()

    def describe(self) -> str:
        """`local:` and the folder."""
        return f"local:{self._folder}"

    def read(self) -> ServiceState:
        """The state asked for; that of an empty folder has no bundle and generation 0."""
        spec = self._spec()
        return ServiceState(spec.storage_uri, spec.generation)

    def swap(self, expected: ServiceState, storage_uri: str | None) -> None:
        """Compare and swap under the folder's lock."""
        with self._locked():
            spec = self._spec()
            if spec.storage_uri == storage_uri:
                return
            if spec.storage_uri != expected.storage_uri:
                raise DeployConflict(self._who_won(spec))
            changed = Spec(storage_uri=storage_uri, generation=spec.generation + 1)
            _replace(self._folder / "spec.json", changed.model_dump_json(by_alias=True))
        logger.info("%s now asks for %s", self.describe(), storage_uri)

    def wait_served(self, storage_uri: str, model_version: str, timeout_s: float) -> str:
        """Wait for the supervisor's word; where none is running, say so at once."""
        deadline = time.monotonic() + timeout_s
        while True:
            spec = self._spec()
            if spec.storage_uri != storage_uri:
                raise DeployConflict(self._who_won(spec))
            status = self._status()
            if status is None or not self._supervised(status):
                return "the service is stopped; it will serve this bundle when it is started"
            if status.generation >= spec.generation:
                if status.state == "serving" and status.model_version == model_version:
                    return f"the service answers with {model_version}"
                if status.state == "failed":
                    raise DeployFailed(status.message or "the supervisor could not serve it")
            if time.monotonic() >= deadline:
                raise DeployFailed(f"not in service after {timeout_s:.0f} s: the supervisor is {status.state}")
            time.sleep(POLL_S)

    def history(self) -> list[Revision]:
        """All revisions kept, oldest first."""
        names = sorted((self._folder / "revisions").glob("[0-9]*.json"))
        kept = [_read(name, Revision.model_validate_json) for name in names]
        return [revision for revision in kept if revision is not None]

    def record(self, revision: Revision) -> Revision:
        """Append a revision under the next number."""
        with self._locked():
            numbered = revision.model_copy(update={"number": next_number(self.history())})
            _replace(self._revision_file(numbered), numbered.model_dump_json(indent=2))
        return numbered

    def prune(self, keep: int) -> list[Revision]:
        """Forget what `revisions.forgettable` says, under the folder's lock."""
        with self._locked():
            forgotten = forgettable(self.history(), self._spec().storage_uri, keep)
            for revision in forgotten:
                self._revision_file(revision).unlink(missing_ok=True)
        return forgotten

    def _revision_file(self, revision: Revision) -> Path:
        return self._folder / "revisions" / f"{revision.number:06d}.json"

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self._folder / "lock", timeout=LOCK_TIMEOUT_S)
            lock.acquire()
        except Timeout as error:
            raise ServiceUnavailable(f"{self.describe()} stayed locked for {LOCK_TIMEOUT_S} s: try again") from error
        except OSError as error:
            raise ServiceUnavailable(f"{self.describe()} cannot be written: {error.strerror}") from error
        try:
            yield
        finally:
            lock.release()

    def _spec(self) -> Spec:
        return _read(self._folder / "spec.json", Spec.model_validate_json) or Spec()

    def _status(self) -> Status | None:
        return _read(self._folder / "status.json", Status.model_validate_json)

    def _supervised(self, status: Status) -> bool:
        """Whether a supervisor runs: its process is there, and so is its hold on the lock (process ids are reused)."""
        try:
            os.kill(status.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass  # it is there, and somebody else's
        try:
            FileLock(self._folder / "supervisor.lock").acquire(timeout=0).lock.release()
        except Timeout:
            return True
        return False

    def _who_won(self, spec: Spec) -> str:
        newest = head(self.history())
        # An older revision of the same bundle is not what won; the winner may not be recorded yet.
        recorded = newest is not None and newest.storage_uri == spec.storage_uri
        by = f" (revision {newest.number}, run {newest.run_id or 'unknown'})" if newest and recorded else ""
        return f"{self.describe()} was changed meanwhile: it now asks for {spec.storage_uri or 'no model'}{by}"


def _read(path: Path, parse: Callable[[str], T]) -> T | None:
    try:
        return parse(path.read_text())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ServiceUnavailable(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ServiceUnavailable(f"{path} is damaged: put it right or remove it") from error


def _replace(path: Path, text: str) -> None:
    """Write beside, then rename; the caller holds the folder's lock, so the name beside is its own."""
    beside = path.with_name(f".{path.name}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with beside.open("w") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        raise ServiceUnavailable(f"{path} cannot be written: {error.strerror}") from error
