"""What the training step asks of whoever runs its job."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

Document = dict[str, Any]
State = Literal["waiting", "running", "succeeded", "failed"]


@dataclass(frozen=True)
class JobStatus:
    """Where a job stands, and why in the words of who runs it."""

    state: State
    reason: str = ""


class TrainingJobs(Protocol):
    """Jobs by name. Every method raises ServiceUnavailable where there is no answer for minutes, or no right to ask."""

    def own_pod(self) -> Document:
        """The pod this process runs in, after which workers are made."""

    def create(self, job: Mapping[str, Any]) -> bool:
        """Create a job; False, and nothing is changed, where one of that name is there."""

    def status(self, name: str) -> JobStatus | None:
        """Where the job stands; None where there is none of that name."""

    def chief_log(self, name: str, since: str) -> list[str]:
        """Lines of the first worker that are newer than the timestamp at the start of `since`; each starts with one."""

    def delete(self, name: str) -> None:
        """Remove the job and its pods, if it is there."""
