"""Parameters of a run on a cluster, checked before anything is sent."""

from pathlib import Path

import pytest

from cli.kubeflow.compiled import CompiledPipeline
from cli.kubeflow.parameters import run_parameters
from forgery.config import RollbackConfig, RunConfig
from forgery.errors import InvalidConfig

ROLLBACK = CompiledPipeline(
    """
pipelineInfo: {name: tiny}
components: {comp-undo: {executorLabel: exec-undo}}
deploymentSpec: {executors: {exec-undo: {container: {image: "a/b:1"}}}}
root:
  dag: {tasks: {undo: {componentRef: {name: comp-undo}}}}
  inputDefinitions:
    parameters:
      service: {parameterType: STRING}
      to: {parameterType: NUMBER_INTEGER, defaultValue: 0}
      force: {parameterType: BOOLEAN, defaultValue: false}
"""
)


@pytest.fixture(scope="module")
def training() -> CompiledPipeline:
    import pipelines

    return CompiledPipeline.read(Path(pipelines.__file__).parent / "compiled" / "training.yaml")


def test_every_parameter_of_training_is_given_so_that_runs_can_be_compared(training: CompiledPipeline) -> None:
    values = run_parameters(training, None, ["training.epochs=3", "source=s3://pictures/casia.zip"])
    assert set(values) == set(training.parameters)
    assert values["training"] == {**RunConfig().training.model_dump(), "epochs": 3}


def test_set_wins_over_the_file(training: CompiledPipeline, tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text("seed: 1\nbackbone: xception\n")
    values = run_parameters(training, file, ["seed=2"])
    assert (values["seed"], values["backbone"]) == (2, "xception")


@pytest.mark.parametrize(
    ("assignment", "said"),
    [
        ("epochs=3", "unknown parameter 'epochs'; forgery-training has: backbone"),
        ("training.epochs=0", "training.epochs"),
        ("backbone=resnet", "backbone"),
        ("service=local:/tmp/x", "pods cannot reach; use kserve:NAMESPACE/NAME"),
        ("bundles=file:///tmp/models", "use s3://BUCKET/PREFIX"),
        ("tracking=sqlite:///mlflow.db", "use http://HOST:PORT"),
        ("source=pictures/", "copy it to a bucket and give s3://BUCKET/PREFIX"),
    ],
)
def test_wrong_parameter_is_refused(training: CompiledPipeline, assignment: str, said: str) -> None:
    with pytest.raises(InvalidConfig) as refused:
        run_parameters(training, None, [assignment])
    assert said in str(refused.value)


def test_rollback_has_its_defaults_too() -> None:
    import pipelines

    rollback = CompiledPipeline.read(Path(pipelines.__file__).parent / "compiled" / "rollback.yaml")
    assert run_parameters(rollback, None, ["to=3"]) == {**RollbackConfig().model_dump(), "to": 3}
    with pytest.raises(InvalidConfig, match="to: input should be greater than or equal to 0"):
        run_parameters(rollback, None, ["to=-1"])


def test_pipeline_with_parameters_of_its_own_takes_those() -> None:
    assert run_parameters(ROLLBACK, None, ["service=kserve:a/b", "to=3"]) == {"service": "kserve:a/b", "to": 3}


@pytest.mark.parametrize(
    ("assignments", "said"),
    [
        (["to=3"], "service has no default"),
        (["service=kserve:a/b", "to=three"], "to: 'three' is no number integer"),
        (["service=kserve:a/b", "to=true"], "to: True is no number integer"),
        (["service=kserve:a/b", "force=1"], "force: 1 is no boolean"),
        (["service=kserve:a/b", "seed=1"], "unknown parameter 'seed'; tiny has: service, to, force"),
    ],
)
def test_wrong_parameter_of_another_pipeline_is_refused(assignments: list[str], said: str) -> None:
    with pytest.raises(InvalidConfig) as refused:
        run_parameters(ROLLBACK, None, assignments)
    assert said in str(refused.value)
