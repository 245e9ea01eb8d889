"""One lock, several images: what is trained on and what is served with agree."""

import re
import tomllib
from pathlib import Path

import pytest

import forgery
from forgery.recipes.content import PACKAGE

ROOT = Path(__file__).resolve().parents[2]
SUBSETS = ("train", "transformer", "predictor", "ui")
# What runs without TensorFlow, scikit-learn and the orchestrator.
FORBIDDEN = {
    "transformer": {"tensorflow", "tensorflow-cpu", "keras", "scikit-learn", "scipy", "mlflow", "kfp"},
    "predictor": {"scikit-learn", "scipy", "mlflow", "kfp"},
    "ui": {"tensorflow", "tensorflow-cpu", "keras", "scikit-learn", "mlflow", "kfp", "kserve"},
    "train": {"kserve", "typer", "pytest", "ruff", "mypy"},
}


def requirements(path: Path) -> dict[tuple[str, str], set[str]]:
    """(name and version, marker) of every requirement, with its hashes."""
    found: dict[tuple[str, str], set[str]] = {}
    for block in re.split(r"\n(?=[a-z0-9])", path.read_text()):
        if match := re.match(r"([a-z0-9-]+==\S+)(?: ; ([^\\\n]*))?", block):
            found[match[1], (match[2] or "").strip()] = set(re.findall(r"--hash=(sha256:\w+)", block))
    return found


@pytest.mark.parametrize("subset", SUBSETS)
def test_image_installs_exactly_the_versions_and_files_of_the_lock(subset: str) -> None:
    lock: dict[str, set[str]] = {pin: hashes for (pin, _), hashes in requirements(ROOT / "requirements.txt").items()}
    part = requirements(ROOT / "requirements" / f"{subset}.txt")
    assert len(part) > 30
    for (pin, _), hashes in part.items():
        assert lock.get(pin) == hashes, f"{pin} of requirements/{subset}.txt is not that of requirements.txt: make lock"


@pytest.mark.parametrize(
    "lock",
    ["requirements.txt", "requirements/uv.txt", "requirements/gpu.txt", *[f"requirements/{s}.txt" for s in SUBSETS]],
)
def test_every_requirement_has_hashes(lock: str) -> None:
    assert all(requirements(ROOT / lock).values())


def test_the_gpu_build_differs_in_tensorflow_and_cuda_alone() -> None:
    lock = {pin for pin, _ in requirements(ROOT / "requirements.txt")}
    others = {pin for pin, _ in requirements(ROOT / "requirements/gpu.txt")} - lock
    assert {pin.split("==")[0].split("-")[0] for pin in others} <= {"tensorflow", "nvidia"}


@pytest.mark.parametrize("subset", SUBSETS)
def test_image_has_nothing_that_it_must_not_have(subset: str) -> None:
    names = {pin.split("==")[0] for pin, _ in requirements(ROOT / "requirements" / f"{subset}.txt")}
    assert not names & FORBIDDEN[subset]


@pytest.mark.parametrize("subset", ["train", "transformer"])
def test_images_that_compute_evidence_bring_the_weights_of_its_recipes(subset: str) -> None:
    names = {pin.split("==")[0].replace("-", "_") for pin, _ in requirements(ROOT / "requirements" / f"{subset}.txt")}
    assert PACKAGE in names


def test_both_sides_of_a_request_decode_with_the_same_pillow_and_numpy() -> None:
    pins = [
        {pin for pin, _ in requirements(ROOT / "requirements" / f"{subset}.txt") if re.match("(pillow|numpy)=", pin)}
        for subset in SUBSETS
    ]
    assert len(pins[0]) == 2
    assert all(pin == pins[0] for pin in pins)


def test_direct_requirements_are_those_of_pyproject() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = {
        re.split(r"[\[<>=~ ;]", text)[0].lower()
        for extra in project["optional-dependencies"].values()
        for text in [*extra, *project["dependencies"]]
    } - {"forgery"}
    locked = {pin.split("==")[0] for pin, _ in requirements(ROOT / "requirements.txt")}
    assert wanted <= locked, "pyproject.toml names what requirements.txt does not: make lock"


def test_version_is_the_same_wherever_it_is_written() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert forgery.__version__ == version
    for file, pattern in {
        "Dockerfile.train": r"ARG VERSION=(\S+)",
        "Dockerfile.serve": r"ARG VERSION=(\S+)",
        "CITATION.cff": r"^version: (\S+)",
        "components/envelope.py": r"train-python:([\d.]+)",
    }.items():
        found = re.findall(pattern, (ROOT / file).read_text(), re.MULTILINE)
        assert found, f"{file} names no version"
        assert set(found) == {version}, file
