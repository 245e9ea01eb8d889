"""A Space's folder: complete, started as its container starts it, and gone when it does not start."""

import re
import tomllib
from collections.abc import Callable
from pathlib import Path

import grimp
import pytest
import yaml

from cli import space
from forgery.bundle import Bundle, open_bundle
from forgery.errors import ExportFailed
from forgery.exports import export_bundle

ROOT = Path(__file__).parents[2]
FORMATS = {"space": space.write}
# What the Hub takes: https://huggingface.co/docs/hub/spaces-config-reference
COLOURS = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}
SHORT_DESCRIPTION_CHARACTERS = 60


@pytest.fixture(scope="module")
def folder(make_bundle: Callable[..., Bundle], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("space") / "out"
    receipt = export_bundle(make_bundle(seed=5), "space", out, "detector", FORMATS)
    assert receipt.proof.largest_difference["probability_forged"] < 1e-6
    return out


@pytest.mark.slow
def test_it_holds_all_it_needs_and_nothing_that_running_it_left(
    folder: Path, make_bundle: Callable[..., Bundle]
) -> None:
    (model,) = (folder / "models").iterdir()
    assert open_bundle(model).digest == model.name == make_bundle(seed=5).digest
    assert {path.name for path in folder.iterdir()} == {
        *("README.md", "Dockerfile", "app.py", "requirements.txt", "export.json"),
        *("models", "examples", "forgery", "serving", "ui"),
    }
    assert (folder / "examples" / "manifest.csv").is_file()
    assert not list(folder.rglob("*.pyc")) + list(folder.rglob("*.log"))


@pytest.mark.slow
def test_the_hub_takes_its_settings(folder: Path) -> None:
    head = (folder / "README.md").read_text().split("---\n")[1]
    settings = yaml.safe_load(head)
    assert (settings["title"], settings["sdk"]) == ("detector", "docker")
    assert {settings["colorFrom"], settings["colorTo"]} <= COLOURS
    assert len(settings["short_description"]) <= SHORT_DESCRIPTION_CHARACTERS
    dockerfile = (folder / "Dockerfile").read_text()
    assert f"EXPOSE {settings['app_port']}\n" in dockerfile
    assert f'"--port", type=int, default={settings["app_port"]}' in (folder / "app.py").read_text()
    # The Hub's user; files of another could not be read.
    assert re.search(r"useradd .*--uid 1000 user\n", dockerfile)
    assert "COPY --chown=user . .\nUSER user\n" in dockerfile


@pytest.mark.slow
def test_requirements_are_those_of_the_lock_with_all_they_need(folder: Path) -> None:
    locked = set(re.findall(r"^([a-z0-9._-]+==[^ ;\\]+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE))
    lines = (folder / "requirements.txt").read_text().splitlines()
    assert set(lines) <= locked
    names = {line.partition("==")[0] for line in lines}
    assert {"kserve", "streamlit", "uvicorn", "ai-edge-litert"} <= names
    assert not names & {"tensorflow", "mlflow", "kfp", "scikit-learn"}


@pytest.mark.slow
def test_a_space_that_does_not_start_is_not_kept(
    make_bundle: Callable[..., Bundle], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if a module that the servers need had been left out."""
    monkeypatch.setattr(space, "LIBRARY", tuple(name for name in space.LIBRARY if name != "lite"))
    with pytest.raises(ExportFailed, match="does not start"):
        export_bundle(make_bundle(seed=5), "space", tmp_path / "out", formats=FORMATS)
    assert list(tmp_path.iterdir()) == []


def test_it_takes_all_of_the_library_that_page_and_servers_import() -> None:
    roots = {"serving": ("serving.transformer", "serving.predictor"), "ui": ("ui.page",)}
    imported: set[str] = set()
    for package, modules in roots.items():
        graph = grimp.build_graph("forgery", package)
        found = {name for module in modules for name in graph.find_upstream_modules(module)}
        imported |= {name for name in found if name.startswith("forgery.") and not graph.find_children(name)}
    carried = {f"forgery.{name}" for name in space.LIBRARY} | {f"forgery.monitoring.{name}" for name in space.LOGGED}
    # The page makes examples only where it is given none; here they come with it.
    graph = grimp.build_graph("forgery", "ui")
    makes_examples = graph.find_upstream_modules("forgery.dataset.demo") | {"forgery.dataset.demo"}
    missing = {name for name in imported - carried if not name.startswith("forgery.recipes")}
    assert missing <= makes_examples, sorted(missing - makes_examples)


def test_its_requirements_are_those_of_the_extras_it_is_made_of() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    lines = [*project["dependencies"], *extras["transformer"], *extras["tracing"], *extras["ui"]]
    wanted = {re.split(r"[\[<>=~ ;]", line)[0] for line in lines} - {"forgery"}
    assert wanted == set(space.DISTRIBUTIONS)
