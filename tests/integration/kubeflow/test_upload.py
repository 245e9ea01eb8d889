"""`forgery upload` against a server that checks what it is sent."""

import copy
import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from kfp_backend import Backend, Fault
from kfp_invocation import Forgery

from cli.kubeflow.compiled import CompiledPipeline
from cli.kubeflow.connection import Address, connect
from cli.kubeflow.upload import upload

DIGEST = "sha256:" + "a" * 64


def test_new_pipeline_gets_a_version_named_after_its_content(forgery: Forgery, backend: Backend) -> None:
    result = forgery("upload")
    assert result.code == 0
    (pipeline,), (version,) = backend.pipelines.values(), backend.versions.values()
    assert pipeline.display_name == "forgery-training"
    assert re.fullmatch(r"\d+\.\d+\.\d+-[0-9a-f]{12}", version.display_name)
    assert f"{version.display_name} uploaded" in result.out
    assert (
        f"{backend.url}/#/pipelines/details/{pipeline.pipeline_id}/version/{version.pipeline_version_id}" in result.out
    )
    assert "must be loaded on the cluster's nodes; --image names another" in result.err


def test_same_content_again_changes_nothing(forgery: Forgery, backend: Backend) -> None:
    first = json.loads(forgery("upload", "--json").out)
    second = json.loads(forgery("upload", "--json").out)
    assert (first["new"], second["new"]) == (True, False)
    assert first["version_id"] == second["version_id"]
    assert len(backend.versions) == 1
    assert "is already there" in forgery("upload").out


def test_other_content_becomes_another_version_of_the_same_pipeline(
    forgery: Forgery, backend: Backend, tiny_yaml: Path, tmp_path: Path
) -> None:
    changed = tmp_path / "changed.yaml"
    changed.write_text(tiny_yaml.read_text().replace("Look up", "Look"))
    assert forgery("upload", "--pipeline", tiny_yaml).code == 0
    assert forgery("upload", "--pipeline", changed).code == 0
    assert (len(backend.pipelines), len(backend.versions)) == (1, 2)


def test_version_is_found_among_hundreds(forgery: Forgery, backend: Backend, tiny_yaml: Path) -> None:
    forgery("upload", "--pipeline", tiny_yaml)
    (first,) = backend.versions.values()
    for number in range(250):
        other = copy.copy(first)
        other.display_name = first.display_name.upper() if number % 2 else first.display_name + "x"
        other.pipeline_version_id = str(number)
        backend.versions[str(number)] = other
    backend.versions["last"] = backend.versions.pop(first.pipeline_version_id)
    again = json.loads(forgery("upload", "--pipeline", tiny_yaml, "--json").out)
    assert (again["new"], again["version_id"]) == (False, first.pipeline_version_id)


def test_platform_part_of_the_yaml_arrives_with_it(forgery: Forgery, backend: Backend) -> None:
    forgery("upload")
    (version,) = backend.versions.values()
    executors = version.pipeline_spec["platform_spec"]["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    assert executors["exec-train"]["securityContext"]["runAsNonRoot"] is True


def test_image_is_put_into_every_step(forgery: Forgery, backend: Backend) -> None:
    image = f"registry.example:5000/team/train-python@{DIGEST}"
    result = forgery("upload", "--image", image)
    assert result.code == 0
    assert "must be loaded" not in result.err
    (version,) = backend.versions.values()
    executors = version.pipeline_spec["pipeline_spec"]["deploymentSpec"]["executors"].values()
    assert {executor["container"]["image"] for executor in executors} == {image}


@pytest.mark.parametrize(
    "image", ["registry.example/train:latest", "registry.example/train", "localhost:5000/train", "train:Latest tag"]
)
def test_image_that_can_change_is_refused_before_anything_is_sent(
    forgery: Forgery, backend: Backend, image: str
) -> None:
    result = forgery("upload", "--image", image)
    assert result.code == 2
    assert "sha256:<64 hex digits>" in result.err
    assert backend.calls == []


def test_two_uploads_at_once_end_in_one_pipeline_and_one_version(backend: Backend, tiny_yaml: Path) -> None:
    pipeline = CompiledPipeline.read(tiny_yaml)

    def put(_: int) -> str:
        return upload(connect(Address(host=backend.url)), pipeline).version_id

    with ThreadPoolExecutor(4) as pool:
        ids = set(pool.map(put, range(4)))
    assert len(ids) == 1
    assert (len(backend.pipelines), len(backend.versions)) == (1, 1)


@pytest.mark.parametrize("operation", ["pipeline_service_create_pipeline", "upload_pipeline_version"])
@pytest.mark.parametrize(
    "fault",
    [{"status": 500, "times": 2}, {"status": 503}, {"cut": "before"}, {"cut": "after"}],
    ids=["500-twice", "503", "reset-before", "reset-after"],
)
def test_upload_survives_a_failing_server_without_doubles(
    forgery: Forgery, backend: Backend, tiny_yaml: Path, operation: str, fault: dict[str, int]
) -> None:
    backend.faults.append(Fault(operation, **fault))
    assert forgery("upload", "--pipeline", tiny_yaml).code == 0
    assert (len(backend.pipelines), len(backend.versions)) == (1, 1)


@pytest.mark.parametrize(
    ("text", "said"),
    [("", "is no compiled pipeline"), ("a: [", "is no compiled pipeline"), ("kind: Pod", "is no compiled pipeline")],
)
def test_file_that_is_no_pipeline_is_refused(forgery: Forgery, tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "x.yaml"
    file.write_text(text)
    result = forgery("upload", "--pipeline", file)
    assert result.code == 2
    assert said in result.err
    assert "forgery compile" in result.err


def test_unknown_pipeline_is_refused_with_those_that_exist(forgery: Forgery) -> None:
    result = forgery("upload", "--pipeline", "trainng")
    assert result.code == 2
    assert "training" in result.err
