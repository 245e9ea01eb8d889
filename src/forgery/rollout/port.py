"""What the rollout needs of an InferenceService, wherever it runs; the adapters are `local` and `kserve`."""

from dataclasses import dataclass
from typing import Literal, Protocol

from pydantic import BaseModel, ConfigDict


@dataclass(frozen=True)
class ServiceState:
    """What the InferenceService asked for when it was read.

    Attributes:
        storage_uri: The bundle it is to serve; None before the first model.
        generation: Grows with every change of the spec; the token of compare-and-swap for the first model.
    """

    storage_uri: str | None
    generation: int


class Revision(BaseModel):
    """One entry of the service's history. Immutable, but for its outcome."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int
    storage_uri: str
    model_version: str
    f1: float | None
    run_id: str
    created_at: str  # UTC, ISO 8601
    reason: Literal["deploy", "rollback"]
    outcome: Literal["serving", "failed"]
    message: str = ""


class InferenceServices(Protocol):
    """One InferenceService and its history."""

    def describe(self) -> str:
        """Its name for people, e.g. `kserve:forgery/forgery`."""

    def read(self) -> ServiceState:
        """The state asked for now. Raises ServiceUnavailable."""

    def swap(self, expected: ServiceState, storage_uri: str | None) -> None:
        """Set `storageUri` (None: remove it) if it is still what `expected` says, atomically.

        Nothing is changed where it says `storage_uri` already, so that a swap can be asked for again when its answer
        was lost. Raises DeployConflict, naming what is there now, and ServiceUnavailable.
        """

    def wait_served(self, storage_uri: str, model_version: str, timeout_s: float) -> str:
        """Wait until the endpoint itself answers with `model_version`; returns one sentence on what was seen.

        Raises DeployFailed with the cause (a missing object, a crash, ...) as soon as it is known, or at the timeout;
        DeployConflict when somebody else sets another `storageUri` meanwhile; ServiceUnavailable.
        """

    def history(self) -> list[Revision]:
        """All revisions kept, oldest first."""

    def record(self, revision: Revision) -> Revision:
        """Append a revision; its number is chosen here (last + 1) and returned."""

    def prune(self, keep: int) -> list[Revision]:
        """Forget what `revisions.forgettable` says; returns those forgotten. Their bundles stay where they are."""
