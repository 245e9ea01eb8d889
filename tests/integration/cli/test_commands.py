"""The command line as a person and a script use it, against a local platform with two models."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from cli.home import Home

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def home(tmp_path_factory, make_bundle):
    """A state folder into which two models were deployed by hand, the second being in service."""
    home = Home(tmp_path_factory.mktemp("home"))
    for bias in (-4.0, 4.0):
        deployed = forgery(home, "rollout", "deploy", make_bundle(bias=bias).path)
        assert deployed.returncode == 0, deployed.stderr
    return home


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "picture.jpg"
    noise = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)
    Image.fromarray(noise).save(path, quality=80)
    return path


def forgery(home, *arguments):
    command = [sys.executable, "-m", "cli", *map(str, arguments)]
    environment = {**os.environ, "FORGERY_HOME": str(home.path)}
    return subprocess.run(command, capture_output=True, text=True, env=environment)


def test_predict_answers_with_the_model_in_service(home, picture, make_bundle):
    answer = forgery(home, "predict", picture, "--json")
    assert answer.returncode == 0, answer.stderr
    record = json.loads(answer.stdout)
    assert record.keys() >= {"file", "label", "probability_forged", "threshold", "model_version"}
    assert (record["label"], record["model_version"]) == ("forged", make_bundle(bias=4.0).digest)
    assert answer.stderr == ""


def test_a_file_that_is_no_picture_fails_alone(home, picture):
    bad = picture.with_name("notes.txt")
    bad.write_text("no picture")
    answer = forgery(home, "predict", bad, picture, "--json")
    assert answer.returncode == 1
    first, second = map(json.loads, answer.stdout.splitlines())
    assert "no picture" in first["error"]
    assert second["label"] == "forged"


def test_a_bundle_by_folder_needs_no_service(tmp_path, picture, make_bundle):
    answer = forgery(Home(tmp_path / "empty"), "predict", picture, "--json", "--bundle", make_bundle(bias=-4.0).path)
    assert json.loads(answer.stdout)["label"] == "authentic"


def test_a_name_that_is_nothing_is_one_clear_line(home):
    answer = forgery(home, "predict", "nowhere/*.jpg")
    assert answer.returncode == 1
    assert answer.stderr.splitlines() == [
        "forgery: nowhere/*.jpg: no such file, no folder with pictures, and no pattern that matches any"
    ]


def test_history_undo_and_status_agree(home, make_bundle):
    before = [json.loads(line) for line in forgery(home, "rollout", "history", "--json").stdout.splitlines()]
    undone = forgery(home, "rollout", "undo", "--to", "1")
    assert undone.returncode == 0, undone.stderr
    after = [json.loads(line) for line in forgery(home, "rollout", "history", "--json").stdout.splitlines()]
    assert after[:-1] == before
    assert (after[-1]["reason"], after[-1]["model_version"]) == ("rollback", make_bundle(bias=-4.0).digest)
    assert make_bundle(bias=-4.0).digest in forgery(home, "rollout", "status").stdout
    assert forgery(home, "rollout", "undo", "--to", "2").returncode == 0


def test_undo_to_a_revision_that_never_was(home):
    answer = forgery(home, "rollout", "undo", "--to", "99")
    assert answer.returncode == 2
    assert "there is no revision 99" in answer.stderr


def test_an_altered_bundle_is_named(tmp_path, make_bundle):
    import shutil

    folder = tmp_path / "altered"
    shutil.copytree(make_bundle(bias=4.0).path, folder)
    (folder / "model_card.md").write_text("better than it was")
    answer = forgery(Home(tmp_path / "empty"), "model", "verify", folder)
    assert answer.returncode == 1
    assert "model_card.md was altered" in answer.stderr


def test_verify_and_show_a_sealed_bundle(home):
    verified = forgery(home, "model", "verify")
    assert verified.returncode == 0, verified.stderr
    assert "as sealed" in verified.stdout
    assert "A model for tests" in forgery(home, "model", "show").stdout


def test_export_takes_the_model_in_service_and_says_what_proved_it(home, tmp_path, make_bundle):
    answer = forgery(home, "model", "export", "--to", "onnx", "--out", tmp_path / "out")
    assert answer.returncode == 0, answer.stderr
    assert make_bundle(bias=4.0).digest in answer.stdout
    assert "ONNX Runtime" in answer.stdout
    assert answer.stderr == ""
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"model.onnx", "export.json"}


def test_doctor_is_content(home):
    answer = forgery(home, "doctor", "--json")
    assert answer.returncode == 0, answer.stdout
    assert {json.loads(line)["name"] for line in answer.stdout.splitlines()} >= {"Python", "model in service"}


def test_ela_of_a_picture_keeps_its_size(home, picture):
    out = picture.with_name("ela.png")
    assert forgery(home, "ela", picture, "-o", out).returncode == 0
    assert Image.open(out).size == (64, 48)


def test_data_made_is_data_described(home, tmp_path):
    folder = tmp_path / "pictures"
    assert forgery(home, "data", "make", folder, "--pictures", 60).returncode == 0
    again = forgery(home, "data", "make", folder)
    assert (again.returncode, "exists already" in again.stderr) == (2, True)
    described = forgery(home, "data", "describe", folder, "--html", tmp_path / "report.html")
    assert described.returncode == 0, described.stderr + described.stdout
    assert "groups" in described.stdout
    assert "<html" in (tmp_path / "report.html").read_text()
