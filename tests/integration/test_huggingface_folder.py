"""A folder for the Hugging Face Hub, used as a stranger uses it: in processes that know nothing of this checkout."""

import base64
import importlib.util
import json
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from huggingface_hub import ModelCard

from forgery.bundle import Bundle, Headline, seal
from forgery.errors import ExportFailed
from forgery.exports import export_bundle
from forgery.exports.travelling import REQUIREMENTS
from forgery.golden import read_golden

ROOT = Path(__file__).parents[2]
HEADLINE = Headline(
    metric="f1",
    value=0.8125,
    low=0.75,
    high=0.875,
    confidence=0.95,
    split="test",
    views=("raw", "harmonised"),
    pictures=120,
)


@pytest.fixture(scope="module")
def bundle(make_bundle: Callable[..., Bundle], tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    import shutil

    sealed = make_bundle(seed=5)
    folder = tmp_path_factory.mktemp("evaluated") / "bundle"
    shutil.copytree(sealed.path, folder)
    (folder / "model_card.md").write_text("# Model card\n\n## Limits\n\nIt can be wrong.\n")
    return seal(folder, sealed.info.model_copy(update={"headline": HEADLINE}))


@pytest.fixture(scope="module")
def folder(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("hub") / "out"
    receipt = export_bundle(bundle, "huggingface", out, "detector")
    assert receipt.proof.largest_difference["probability_forged"] < 1e-6
    return out


def score(folder: Path, *pictures: Path) -> subprocess.CompletedProcess[str]:
    """From another working directory, without the environment's variables."""
    command = [sys.executable, "-B", str(folder / "score.py"), *map(str, pictures)]
    return subprocess.run(command, cwd="/", env={}, capture_output=True, text=True, check=False)


def test_a_picture_is_scored_from_its_bytes(bundle: Bundle, folder: Path, tmp_path: Path) -> None:
    golden = read_golden(bundle)
    (tmp_path / "a picture.jpg").write_bytes(golden.picture)
    (tmp_path / "notes.jpg").write_text("no picture")
    done = score(folder, tmp_path / "a picture.jpg", tmp_path / "notes.jpg")
    first, second = map(json.loads, done.stdout.splitlines())
    assert first["probability_forged"] == pytest.approx(golden.expected.probability_forged, abs=1e-6)
    assert first["label"] == bundle.info.decision.label(golden.expected.probability_forged)
    assert first["model_version"] == bundle.digest
    assert "no picture" in second["error"]
    assert done.returncode == 1


def test_its_own_code_is_used_and_nothing_else_of_the_library(folder: Path) -> None:
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); from score import Detector; Detector(); "
        "print('\\n'.join(m.__file__ for n, m in sys.modules.items() if n.split('.')[0] == 'forgery'))"
    )
    done = subprocess.run(
        [sys.executable, "-B", "-c", program, str(folder)], cwd="/", env={}, capture_output=True, text=True, check=True
    )
    files = done.stdout.splitlines()
    assert len(files) > 10
    assert all(Path(file).is_relative_to(folder) for file in files)


def test_an_altered_model_is_refused(bundle: Bundle, folder: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(folder, tmp_path / "altered")
    weights = tmp_path / "altered" / "bundle" / "model.tflite"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    done = score(tmp_path / "altered", folder / "bundle" / "golden" / "picture.jpg")
    assert done.returncode != 0
    assert "model.tflite was altered" in done.stderr


def test_the_endpoints_handler_takes_files_and_refuses_pixels(
    bundle: Bundle, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Loaded as the platform does: by its path."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    golden = read_golden(bundle)
    handler = loaded(folder / "handler.py").EndpointHandler(str(folder))
    text = base64.b64encode(golden.picture).decode()
    answer = handler({"inputs": text})
    assert answer["probability_forged"] == pytest.approx(golden.expected.probability_forged, abs=1e-6)
    assert handler({"inputs": [text, golden.picture]}) == [answer, answer]
    with pytest.raises(ValueError, match="arrives here decoded"):
        handler({"inputs": object()})
    with pytest.raises(ValueError, match="base64"):
        handler({"inputs": "not base64!"})


def loaded(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("handler", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_hub_reads_the_cards_metadata(bundle: Bundle, folder: Path) -> None:
    card = ModelCard.load(folder / "README.md")
    assert card.data.pipeline_tag == "image-classification"
    assert card.data.model_name == "detector"
    assert card.data.license is None
    (result,) = card.data.eval_results
    assert (result.metric_type, result.metric_value, result.dataset_split) == ("f1", 0.8125, "test")
    assert "\n### Limits\n\nIt can be wrong.\n" in card.text
    assert card.text.count("\n# ") == 1
    assert bundle.digest in card.text


def test_a_card_without_figures_claims_none(make_bundle: Callable[..., Bundle], tmp_path: Path) -> None:
    export_bundle(make_bundle(seed=5), "huggingface", tmp_path / "out")
    assert ModelCard.load(tmp_path / "out" / "README.md").data.eval_results is None


def test_requirements_are_what_the_library_needs_at_the_versions_installed(folder: Path) -> None:
    dependencies = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    assert {name.partition("==")[0].partition(">=")[0] for name in dependencies} == set(REQUIREMENTS)
    lines = (folder / "requirements.txt").read_text().splitlines()
    assert [line.partition("==")[0] for line in lines] == [*REQUIREMENTS, "ai-edge-litert"]
    locked = (ROOT / "requirements.txt").read_text()
    assert all(f"\n{line} " in locked for line in lines)


def test_code_that_cannot_score_is_not_kept(bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if a module that scoring needs had been left out."""
    kept = ("__init__", "bundle", "cores", "decision", "engine", "errors", "jpeg", "muted")
    monkeypatch.setattr("forgery.exports.travelling.copy_library.__defaults__", (kept, ("recipes",)))
    with pytest.raises(ExportFailed, match=r"score\.py cannot score .*No module named"):
        export_bundle(bundle, "huggingface", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
