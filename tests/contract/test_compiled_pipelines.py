"""Facts of the YAML that ships; what a person changes by accident fails here by name."""

import ast
import inspect

import pytest
import yaml

import components
from components.envelope import TRAIN_IMAGE
from forgery import __version__
from forgery.batch.config import BatchConfig
from forgery.config import RollbackConfig, RunConfig
from forgery.monitoring.config import MonitoringConfig
from pipelines.compile import COMPILED, PIPELINES, compile_pipelines

CONFIGS = {
    "training": RunConfig(),
    "rollback": RollbackConfig(),
    "monitoring": MonitoringConfig(),
    "batch": BatchConfig(),
}


def load(name):
    return list(yaml.safe_load_all((COMPILED / f"{name}.yaml").read_text()))


@pytest.fixture(params=sorted(PIPELINES))
def name(request):
    return request.param


def test_the_committed_yaml_is_what_the_wiring_compiles_to(tmp_path):
    for path in compile_pipelines(tmp_path):
        assert path.read_text() == (COMPILED / path.name).read_text(), "run `make compile`"


def test_parameters_and_defaults_are_those_of_the_configuration(name):
    parameters = load(name)[0]["root"]["inputDefinitions"]["parameters"]
    assert {key: value["defaultValue"] for key, value in parameters.items()} == CONFIGS[name].model_dump()
    assert len(parameters) <= 16


def test_every_parameter_is_described(name):
    parameters = load(name)[0]["root"]["inputDefinitions"]["parameters"]
    fields = type(CONFIGS[name]).model_fields
    assert {key: value["description"] for key, value in parameters.items()} == {
        key: field.description for key, field in fields.items()
    }


def test_training_is_these_steps_in_this_order():
    dag = load("training")[0]["root"]["dag"]["tasks"]
    waits = {task: sorted(spec.get("dependentTasks", [])) for task, spec in dag.items()}
    assert waits == {
        "list-source": [],
        "for-loop-1": ["list-source"],
        "ingest": ["for-loop-1", "list-source"],
        "find-champion": [],
        "validate": ["ingest"],
        "for-loop-2": ["ingest", "validate"],
        "train": ["find-champion", "for-loop-2"],
        "for-loop-3": ["find-champion", "ingest", "train"],
        "evaluate": ["find-champion", "for-loop-3", "ingest", "train"],
        "decide": ["evaluate"],
        "condition-4": ["decide", "evaluate", "find-champion"],
    }


def test_deploy_stands_under_the_gate_and_nothing_else_does():
    specification = load("training")[0]
    condition = specification["root"]["dag"]["tasks"]["condition-4"]
    assert (
        condition["triggerPolicy"]["condition"] == "inputs.parameter_values['pipelinechannel--decide-Output'] == true"
    )
    assert list(specification["components"]["comp-condition-4"]["dag"]["tasks"]) == ["deploy"]


def test_monitoring_trains_anew_only_after_a_shift():
    specification = load("monitoring")[0]
    dag = specification["root"]["dag"]["tasks"]
    assert {task: spec.get("dependentTasks", []) for task, spec in dag.items()} == {
        "find-champion": [],
        "check-drift": ["find-champion"],
        "condition-1": ["check-drift"],
    }
    assert list(specification["components"]["comp-condition-1"]["dag"]["tasks"]) == ["retrain"]
    condition = dag["condition-1"]["triggerPolicy"]["condition"]
    assert condition == "inputs.parameter_values['pipelinechannel--check-drift-Output'] == true"


def test_nothing_is_cached(name):
    specification = load(name)[0]
    dags = [specification["root"]["dag"], *(c["dag"] for c in specification["components"].values() if "dag" in c)]
    steps = {name for name, component in specification["components"].items() if "executorLabel" in component}
    tasks = {task: spec for dag in dags for task, spec in dag["tasks"].items() if spec["componentRef"]["name"] in steps}
    assert all(spec["cachingOptions"] == {} for spec in tasks.values())


def test_every_pod_is_bounded_and_unprivileged(name):
    specification, platform = load(name)
    executors = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    assert executors.keys() == specification["deploymentSpec"]["executors"].keys()
    for executor in executors.values():
        assert executor["securityContext"] == {"runAsUser": "10001", "runAsGroup": "10001", "runAsNonRoot": True}
        assert int(executor["activeDeadlineSeconds"]) > 0
        assert executor["emptyDirMounts"] == [{"mountPath": "/tmp", "volumeName": "tmp"}]


def test_every_step_asks_for_resources(name):
    for executor in load(name)[0]["deploymentSpec"]["executors"].values():
        assert {"resourceCpuRequest", "resourceMemoryRequest", "resourceMemoryLimit"} <= executor["container"][
            "resources"
        ].keys()


def test_a_batch_fans_out_over_its_shards():
    dag = load("batch")[0]["root"]["dag"]["tasks"]
    (loop,) = (task for task in dag.values() if "parameterIterator" in task)
    assert loop["iteratorPolicy"]["parallelismLimit"] == 16
    assert loop["dependentTasks"] == ["find-champion", "list-pictures"]


@pytest.mark.parametrize(
    ("loop", "parts", "collector", "artifact"),
    [
        ("for-loop-1", "list-source", "ingest", "parts"),
        ("for-loop-2", "ingest", "train", "evidence_sets"),
        ("for-loop-3", "ingest", "evaluate", "answers"),
    ],
)
def test_reading_evidence_and_scoring_fan_out_over_parts_and_are_collected(loop, parts, collector, artifact):
    specification = load("training")[0]
    task = specification["root"]["dag"]["tasks"][loop]
    assert task["iteratorPolicy"]["parallelismLimit"] == 16
    assert task["parameterIterator"]["items"] == {"inputParameter": f"pipelinechannel--{parts}-Output"}
    (inside,) = specification["components"][task["componentRef"]["name"]]["dag"]["tasks"].values()
    assert inside["retryPolicy"]["maxRetryCount"] == 2
    inputs = specification["components"][f"comp-{collector}"]["inputDefinitions"]["artifacts"]
    assert inputs[artifact]["isArtifactList"]


def test_gpus_of_the_training_step_are_a_parameter():
    specification, platform = load("training")
    asked = {
        name: executor["container"]["resources"]["accelerator"]
        for name, executor in specification["deploymentSpec"]["executors"].items()
        if "accelerator" in executor["container"]["resources"]
    }
    assert asked.keys() == {"exec-train"}
    assert asked["exec-train"]["resourceCount"] == "{{$.inputs.parameters['pipelinechannel--gpus']}}"
    # The backend reads a parameter in a pod's resources as text, and takes a number for nothing.
    assert specification["root"]["inputDefinitions"]["parameters"]["gpus"]["parameterType"] == "STRING"
    executors = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    assert executors["exec-train"]["tolerations"] == [
        {"effect": "NoSchedule", "key": "nvidia.com/gpu", "operator": "Exists"}
    ]


def test_keys_come_from_secrets_and_only_where_the_bucket_is_used():
    executors = load("training")[1]["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    assert {name for name, executor in executors.items() if "secretAsEnv" in executor} == {
        "exec-list-source",
        "exec-read-part",
        "exec-ingest",
        "exec-validate",
        "exec-compute-ela",
        "exec-find-champion",
        "exec-train",
        "exec-score",
        "exec-evaluate",
        "exec-deploy",
    }


def test_one_image_with_an_immutable_tag(name):
    images = {e["container"]["image"] for e in load(name)[0]["deploymentSpec"]["executors"].values()}
    assert images == {TRAIN_IMAGE}
    assert TRAIN_IMAGE.endswith(f":{__version__}")


def test_nothing_is_installed_at_run_time(name):
    assert "pip install" not in (COMPILED / f"{name}.yaml").read_text()


@pytest.mark.parametrize("component", [getattr(components, name) for name in components.__all__])
def test_a_component_is_an_envelope(component):
    function = ast.parse(inspect.getsource(component.python_func)).body[0]
    body = function.body[1:]  # without the docstring
    assert body[-1].end_lineno - body[0].lineno + 1 <= 15
    assert all(isinstance(statement, ast.ImportFrom | ast.With) for statement in body)


def test_a_component_explains_each_input_and_output(name):
    specification = load(name)[0]
    ports = {
        f"{key}.{side}.{port}": described
        for key, component in specification["components"].items()
        if "executorLabel" in component
        for side in ("inputDefinitions", "outputDefinitions")
        for kind in component.get(side, {}).values()
        for port, described in kind.items()
    }
    assert any(".outputDefinitions." in port for port in ports)
    assert [port for port, described in ports.items() if not described.get("description")] == []


def test_a_run_is_named_and_told_of(name):
    """What the run's page shows before anything is opened: the pipeline, its purpose, each step in words."""
    specification = load(name)[0]
    assert specification["pipelineInfo"]["displayName"].startswith("Forgery detector: ")
    assert specification["pipelineInfo"]["description"].endswith(".")
    dags = [specification["root"]["dag"], *(c["dag"] for c in specification["components"].values() if "dag" in c)]
    titles = {task: body["taskInfo"]["name"] for dag in dags for task, body in dag["tasks"].items()}
    steps = {task: title for task, title in titles.items() if not task.startswith(("condition-", "for-loop-"))}
    assert [title for task, title in steps.items() if title == task or not title[0].isupper()] == []


def test_a_run_shows_challenger_and_champion_side_by_side():
    """The compare view takes figures from metrics artifacts alone; the report's page shows both models too."""
    specification = load("training")[0]
    outputs = specification["components"]["comp-evaluate"]["outputDefinitions"]["artifacts"]
    kinds = {name: each["artifactType"]["schemaTitle"] for name, each in outputs.items()}
    assert kinds["metrics"] == "system.Metrics"
    assert kinds["classification"] == kinds["champion_classification"] == "system.ClassificationMetrics"
    assert kinds["report"] == "system.HTML"
    assert "champion" in outputs["metrics"]["description"]
    shown = {
        f"{key}.{port}": each["artifactType"]["schemaTitle"]
        for key, component in specification["components"].items()
        for port, each in component.get("outputDefinitions", {}).get("artifacts", {}).items()
        if each["artifactType"]["schemaTitle"] in ("system.HTML", "system.Markdown")
    }
    assert shown == {
        "comp-validate.report": "system.HTML",
        "comp-train.curves": "system.HTML",
        "comp-evaluate.report": "system.HTML",
        "comp-decide.verdict": "system.Markdown",
        "comp-deploy.revision": "system.Markdown",
    }
