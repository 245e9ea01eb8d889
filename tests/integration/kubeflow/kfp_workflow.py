"""The nodes of an Argo workflow as the server lists them in a run's task details, for steps in given states."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import kfp_server_api as models

WORKFLOW = "forgery-training-x7k2p"
BEGIN = datetime(2026, 3, 4, 3, 0, 0, tzinfo=UTC)
NEVER = datetime(1, 1, 1, tzinfo=UTC)  # how the server writes "not yet"


def node_id(path: str) -> str:
    value = 2166136261
    for byte in path.encode():
        value = (value ^ byte) * 16777619 % 2**32
    return f"{WORKFLOW}-{value}"


def pod_name(path: str, template: str) -> str:
    return f"{WORKFLOW}-{template}-{node_id(path).rpartition('-')[2]}"


def apply(run: Any, state: str, steps: Mapping[str, str], within: Mapping[str, str] | None = None) -> None:
    """Set the run's state and task details.

    Args:
        run: The server's run.
        state: Of the run.
        steps: Task to SUCCEEDED, RUNNING, FAILED, CACHED, or DRIVER_FAILED; those not begun are left out.
        within: Task to the sub-DAG it stands in, e.g. {"deploy": "condition-1"}.
    """
    run.state = state
    run.finished_at = BEGIN + timedelta(minutes=9) if state in ("SUCCEEDED", "FAILED") else NEVER
    root = f"{WORKFLOW}.root"
    details = [
        _detail(WORKFLOW, "RUNNING", 0, [f"{WORKFLOW}.root-driver"]),
        _detail("root-driver", "SUCCEEDED", 0, [root]),
        _detail("root", "RUNNING", 10, [f"{root}.{task}-driver" for task in steps if task not in (within or {})]),
    ]
    for number, (task, step_state) in enumerate(steps.items()):
        parent = f"{root}.{(within or {})[task]}" if task in (within or {}) else root
        if parent != root:
            details.append(_detail((within or {})[task], "RUNNING", 10, [f"{parent}.{task}-driver"]))
            details.append(_detail(f"{(within or {})[task]}-driver", "SUCCEEDED", 10, [parent]))
            details[2].child_tasks.append(_child(f"{parent}-driver"))
        details.extend(_step(f"{parent}.{task}", task, step_state, 20 + 60 * number))
    run.run_details = models.V2beta1RunDetails(task_details=details)


def _step(path: str, task: str, state: str, second: int) -> list[Any]:
    if state == "DRIVER_FAILED":
        return [_detail(f"{task}-driver", "FAILED", second, [])]
    driver = _detail(f"{task}-driver", "SUCCEEDED", second, [path])
    if state == "CACHED":
        node = _detail(task, "SUCCEEDED", second + 10, [f"{path}.executor"], length_s=0)
        return [driver, node, _detail("executor", "SKIPPED", second + 10, [], length_s=0)]
    node = _detail(task, state, second + 10, [f"{path}.executor"])
    return [driver, node, _detail("executor", state, second + 10, [])]


def _detail(name: str, state: str, second: int, children: list[str], length_s: int = 45) -> Any:
    start = BEGIN + timedelta(seconds=second)
    return models.V2beta1PipelineTaskDetail(
        run_id="",
        task_id=f"id-{name}-{second}",
        display_name=name,
        create_time=BEGIN,
        start_time=start,
        end_time=NEVER if state == "RUNNING" else start + timedelta(seconds=length_s),
        state=state,
        child_tasks=[_child(path) for path in children],
    )


def _child(path: str) -> Any:
    return models.PipelineTaskDetailChildTask(pod_name=node_id(path))
