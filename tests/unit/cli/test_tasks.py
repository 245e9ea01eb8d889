"""Steps and pods of a run, told from the nodes of its workflow."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from kfp_server_api import (
    PipelineTaskDetailChildTask,
    V2beta1PipelineTaskDetail,
    V2beta1Run,
    V2beta1RunDetails,
)

from cli.kubeflow.compiled import Step
from cli.kubeflow.tasks import failed_pods, node_id, step_states

BEGIN = datetime(2026, 3, 4, 3, 0, tzinfo=UTC)
NEVER = datetime(1, 1, 1, tzinfo=UTC)
WORKFLOW = "metrics-visualization-pipeline-nph6c"


def detail(name: str, state: str, *children: str, start: int = 0, length: int | None = 30) -> Any:
    begin = BEGIN + timedelta(seconds=start)
    return V2beta1PipelineTaskDetail(
        display_name=name,
        state=state,
        start_time=begin,
        end_time=NEVER if length is None else begin + timedelta(seconds=length),
        child_tasks=[PipelineTaskDetailChildTask(pod_name=child) for child in children],
    )


def run(state: str, *details: Any) -> Any:
    return V2beta1Run(state=state, run_details=V2beta1RunDetails(task_details=list(details)))


def ids(*paths: str) -> list[str]:
    return [node_id(WORKFLOW, f"{WORKFLOW}.{path}") for path in paths]


# As a real server listed them, workflow and children.
@pytest.mark.parametrize(
    ("path", "known"),
    [
        ("root-driver", 2835557459),
        ("root", 3334176150),
        ("root.wine-classification-driver", 191905569),
        ("root.wine-classification", 983875308),
        ("root.wine-classification.executor", 4162124047),
        ("root.iris-sgdclassifier.executor", 1228799420),
    ],
)
def test_node_ids_are_those_argo_gives(path: str, known: int) -> None:
    assert node_id(WORKFLOW, f"{WORKFLOW}.{path}") == f"{WORKFLOW}-{known}"


def test_steps_pass_through_their_states_in_the_order_of_the_pipeline() -> None:
    steps = [Step(key, key.title()) for key in ("ingest", "ela", "train", "deploy")]
    states = step_states(
        run(
            "RUNNING",
            detail("ela-driver", "SUCCEEDED"),
            detail("ela", "RUNNING", start=40, length=None),
            detail("ingest-driver", "SUCCEEDED"),
            detail("ingest", "SUCCEEDED", start=10),
            detail("train-driver", "RUNNING", length=None),
        ),
        steps,
    )
    assert [(state.title, state.state) for state in states] == [
        ("Ingest", "succeeded"), ("Ela", "running"), ("Train", "starting"), ("Deploy", "waiting"),
    ]  # fmt: skip
    now = BEGIN + timedelta(seconds=100)
    assert [state.duration_s(now) for state in states] == [30, 60, None, None]


def test_step_whose_condition_did_not_hold_is_skipped_once_the_run_is_over() -> None:
    done = run("SUCCEEDED", detail("decide-driver", "SUCCEEDED"), detail("decide", "SUCCEEDED"))
    assert [s.state for s in step_states(done, [Step("decide", "Decide"), Step("deploy", "Deploy")])] == [
        "succeeded",
        "skipped",
    ]


def test_cached_step_is_told_from_one_that_ran() -> None:
    cached = run(
        "SUCCEEDED",
        detail("a-driver", "SUCCEEDED"),
        detail("a", "SUCCEEDED", length=0),
        detail("executor", "SKIPPED", length=0),
        detail("b-driver", "SUCCEEDED"),
        detail("b", "SUCCEEDED", length=12),
        detail("executor", "SUCCEEDED", length=12),
    )
    assert [s.state for s in step_states(cached, [Step("a", "A"), Step("b", "B")])] == ["cached", "succeeded"]


def test_without_the_pipeline_the_steps_that_began_are_listed() -> None:
    begun = run(
        "RUNNING",
        detail("root-driver", "SUCCEEDED"),
        detail("root", "RUNNING"),
        detail("b-driver", "SUCCEEDED"),
        detail("b", "RUNNING", start=50),
        detail("a-driver", "SUCCEEDED"),
        detail("a", "SUCCEEDED", start=20),
    )
    assert [(s.title, s.state) for s in step_states(begun)] == [("a", "succeeded"), ("b", "running")]


def test_run_without_any_detail_has_waiting_steps() -> None:
    assert [s.state for s in step_states(V2beta1Run(state="PENDING"), [Step("a", "A")])] == ["waiting"]


def test_pod_of_a_failed_step_is_named_as_argo_names_it() -> None:
    failed = run(
        "FAILED",
        detail("root", "FAILED", *ids("root.train-driver", "root.look-driver")),
        detail("train-driver", "SUCCEEDED", *ids("root.train")),
        detail("train", "FAILED", *ids("root.train.executor")),
        detail("executor", "FAILED"),
        detail("look-driver", "SUCCEEDED", *ids("root.look")),
        detail("look", "SUCCEEDED", *ids("root.look.executor")),
        detail(WORKFLOW, "FAILED", *ids("root-driver")),
        detail("root-driver", "SUCCEEDED", *ids("root")),
    )
    (task,) = (pods := failed_pods(failed))
    digits = node_id(WORKFLOW, f"{WORKFLOW}.root.train.executor").rpartition("-")[2]
    assert task == "train"
    assert [(pod.name, pod.node_id) for pod in pods["train"]] == [
        (f"{WORKFLOW}-system-container-impl-{digits}", f"{WORKFLOW}-{digits}")
    ]


def test_pod_under_a_condition_is_found() -> None:
    failed = run(
        "FAILED",
        detail(WORKFLOW, "FAILED", *ids("root")),
        detail("root", "FAILED", *ids("root.condition-1")),
        detail("condition-1", "FAILED", *ids("root.condition-1.deploy")),
        detail("deploy", "FAILED", *ids("root.condition-1.deploy.executor")),
        detail("executor", "FAILED"),
    )
    digits = node_id(WORKFLOW, f"{WORKFLOW}.root.condition-1.deploy.executor").rpartition("-")[2]
    assert [pod.name for pod in failed_pods(failed)["deploy"]] == [f"{WORKFLOW}-system-container-impl-{digits}"]


def test_of_a_retried_step_the_last_attempt_comes_first() -> None:
    executor = "root.train.executor"
    failed = run(
        "FAILED",
        detail(WORKFLOW, "FAILED", *ids("root")),
        detail("root", "FAILED", *ids("root.train")),
        detail("train", "FAILED", *ids(executor)),
        detail("executor", "FAILED", *ids(f"{executor}(0)", f"{executor}(1)")),
        detail("executor(0)", "FAILED"),
        detail("executor(1)", "FAILED"),
    )
    last = node_id(WORKFLOW, f"{WORKFLOW}.{executor}(1)").rpartition("-")[2]
    assert failed_pods(failed)["train"][0].name == f"{WORKFLOW}-retry-system-container-impl-{last}"


def test_step_that_never_got_a_pod_is_told_by_its_driver() -> None:
    failed = run(
        "FAILED",
        detail(WORKFLOW, "FAILED", *ids("root")),
        detail("root", "FAILED", *ids("root.train-driver")),
        detail("train-driver", "FAILED"),
    )
    digits = node_id(WORKFLOW, f"{WORKFLOW}.root.train-driver").rpartition("-")[2]
    assert f"{WORKFLOW}-system-container-driver-{digits}" in [pod.name for pod in failed_pods(failed)["train"]]


def test_children_of_an_unknown_kind_name_no_pod() -> None:
    assert failed_pods(run("FAILED", detail("train", "FAILED", "something-else-17"))) == {}
    assert failed_pods(V2beta1Run(state="FAILED")) == {}
