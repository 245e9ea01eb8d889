import pytest

from forgery.errors import InvalidConfig
from pipelines.compile import COMPILED
from pipelines.graph import read_graph


def test_steps_come_after_those_they_wait_for():
    graph = read_graph(COMPILED / "training.yaml")
    seen: set[str] = set()
    for step in graph.steps:
        assert seen.issuperset(step.after)
        seen.add(step.task)


def test_deploy_alone_is_conditional():
    conditions = {step.task: step.condition for step in read_graph(COMPILED / "training.yaml").steps}
    assert {task for task, condition in conditions.items() if condition} == {"deploy"}


def test_what_comes_after_a_loop_waits_for_the_tasks_in_it():
    after = {step.task: (step.after, step.condition) for step in read_graph(COMPILED / "batch.yaml").steps}
    assert after["summarise-scores"] == (("find-champion", "score-shard"), None)
    assert after["score-shard"] == (("find-champion", "list-pictures"), None)


def test_mermaid_has_every_step():
    graph = read_graph(COMPILED / "training.yaml")
    assert all(f'{step.task}["{step.title}' in graph.mermaid() for step in graph.steps)


def test_an_unknown_pipeline_is_refused_with_those_there_are():
    with pytest.raises(InvalidConfig, match="rollback, training"):
        read_graph(COMPILED / "scoring.yaml")
