"""What a run's steps are doing, told from the nodes of its Argo workflow that the server lists.

The server's task details are the workflow's nodes, one flat list: for a step `train` the nodes `train-driver`,
`train` and `executor` (or `executor(0)`, `executor(1)`, ... where it is retried). They carry names and the ids of
their children, but neither their own id nor the name of their pod, and `error` is never set. Argo derives both ids and
pod names from a node's path (`<workflow>.root.train.executor`) by FNV-1a, so they are derived here in the same way and
trusted only if the derived id is among the children that the server named.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cli.kubeflow.compiled import Step

if TYPE_CHECKING:  # the client takes a third of a second to import
    from kfp_server_api import V2beta1PipelineTaskDetail, V2beta1Run

FINISHED = ("SUCCEEDED", "FAILED", "SKIPPED", "CANCELED")
# Templates of the pods, as the server's compiler names them (backend/src/v2/compiler/argocompiler).
_STEP_TEMPLATE = "system-container-impl"
_RETRIED_TEMPLATE = "retry-system-container-impl"
_DRIVER_TEMPLATES = ("system-container-driver", "system-dag-driver")


@dataclass(frozen=True)
class StepState:
    """A step of a run.

    Attributes:
        key: The task's name in the graph.
        title: The name people see.
        state: waiting, starting, running, succeeded, cached, skipped, failed, canceled, ...
        started_at: UTC; None before that.
        finished_at: UTC; None before that.
    """

    key: str
    title: str
    state: str
    started_at: datetime | None = None
    finished_at: datetime | None = None

    def duration_s(self, now: datetime) -> float | None:
        """Seconds it has run, until `now` if it still does; None if it has not begun."""
        if self.started_at is None:
            return None
        return max(0.0, ((self.finished_at or now) - self.started_at).total_seconds())


@dataclass(frozen=True)
class Pod:
    """Where a node ran: its pod's name, and its id, under which an archived log is kept."""

    name: str
    node_id: str


def moment(value: datetime | None) -> datetime | None:
    """A time of the API in UTC; None for the zeros that stand for "not yet"."""
    if value is None or value.year < 2000:
        return None
    return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)


def step_states(run: "V2beta1Run", steps: Iterable[Step] = ()) -> list[StepState]:
    """The state of every step of a run, in the order of `steps`; without them, those that have begun.

    A step under a condition that did not hold never gets a node: once the run is over it is told as skipped.
    """
    details = _details(run)
    steps = list(steps) or _begun(details)
    over = run.state in FINISHED
    return [_step_state(step, details, over) for step in steps]


def failed_pods(run: "V2beta1Run") -> dict[str, list[Pod]]:
    """Task to the pods whose log may say why it failed, the likeliest first; `root` stands for the run itself."""
    details = _details(run)
    ids = {child.pod_name for detail in details for child in detail.child_tasks or () if child.pod_name}
    if not ids:
        return {}
    workflow = next(iter(ids)).rpartition("-")[0]
    failed = {detail.display_name for detail in details if detail.state == "FAILED"}
    found: dict[str, list[Pod]] = {}
    # Backwards, executor(1) before executor(0): the last attempt says it best.
    for path in sorted(_paths(workflow, {detail.display_name for detail in details}, ids), reverse=True):
        *_, parent, last = path.split(".")
        if last.startswith("executor") and parent in failed:
            template = _RETRIED_TEMPLATE if "(" in last else _STEP_TEMPLATE
            found.setdefault(parent, []).append(_pod(workflow, path, template))
        elif last.endswith("-driver") and last in failed:
            pods = [_pod(workflow, path, template) for template in _DRIVER_TEMPLATES]
            found.setdefault(last.removesuffix("-driver"), []).extend(pods)
    return found


def node_id(workflow: str, path: str) -> str:
    """The id Argo gives the node at `path` (workflow/util: NodeID, 32-bit FNV-1a of the path)."""
    return f"{workflow}-{_fnv1a(path)}"


def _details(run: "V2beta1Run") -> "list[V2beta1PipelineTaskDetail]":
    return list((run.run_details and run.run_details.task_details) or ())


def _begun(details: "list[V2beta1PipelineTaskDetail]") -> list[Step]:
    names = {detail.display_name for detail in details}
    begun = [detail for detail in details if f"{detail.display_name}-driver" in names and detail.display_name != "root"]
    begun.sort(key=lambda detail: str(detail.start_time))
    return [Step(detail.display_name, detail.display_name) for detail in begun]


def _step_state(step: Step, details: "list[V2beta1PipelineTaskDetail]", over: bool) -> StepState:
    own = [detail for detail in details if detail.display_name == step.key]
    drivers = [detail for detail in details if detail.display_name == f"{step.key}-driver"]
    if own:
        node = max(own, key=lambda detail: str(detail.start_time))  # in a loop: the latest turn
        started, finished = moment(node.start_time), moment(node.end_time)
        finished = finished if node.state in FINISHED else None
        return StepState(step.key, step.title, _own_state(node.state, started, finished, details), started, finished)
    if drivers and drivers[-1].state in ("FAILED", "SKIPPED"):
        return StepState(step.key, step.title, drivers[-1].state.lower())
    if over:
        return StepState(step.key, step.title, "skipped")
    return StepState(step.key, step.title, "starting" if drivers else "waiting")


def _own_state(
    state: str, started: datetime | None, finished: datetime | None, details: "list[V2beta1PipelineTaskDetail]"
) -> str:
    # A cached step has a skipped executor, and the server does not say whose; but no pod starts within a second.
    skipped = any(detail.display_name == "executor" and detail.state == "SKIPPED" for detail in details)
    if state == "SUCCEEDED" and skipped and started is not None and started == finished:
        return "cached"
    return "starting" if state == "PENDING" else str(state).lower()


def _paths(workflow: str, names: set[str], ids: set[str]) -> set[str]:
    """The paths of all nodes below the workflow whose ids are in `ids`."""
    found: set[str] = set()
    unread = [workflow]
    while unread:
        parent = unread.pop()
        # An attempt's path is its retry node's with the number appended, not a path below it.
        candidates = [f"{parent}.{name}" for name in names] + [f"{parent}({n})" for n in range(10)]
        new = [path for path in candidates if path not in found and node_id(workflow, path) in ids]
        found.update(new)
        unread.extend(new)
    return found


def _pod(workflow: str, path: str, template: str) -> Pod:
    digits = _fnv1a(path)
    return Pod(f"{workflow}-{template}-{digits}", f"{workflow}-{digits}")


def _fnv1a(text: str) -> int:
    value = 0x811C9DC5
    for byte in text.encode():
        value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
    return value
