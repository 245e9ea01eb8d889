"""Publishing on the Hub: the real client and command against a Hub on this machine."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # the module beside this one

from hub_double import REGULAR_BYTES, TOKEN, Hub, running

from forgery.bundle import Bundle
from forgery.errors import InvalidConfig, ServiceUnavailable, StorageError
from forgery.exports.push import own_token, push
from serving.sockets import free_ports


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """With this process's client asking it, and nobody's token in reach."""
    with running() as hub:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub.url)
        # The Hub's newer way of uploading is a service of its own.
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "no-token"))
        monkeypatch.delenv("HF_TOKEN", raising=False)
        yield hub


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "out" / "bundle").mkdir(parents=True)
    (tmp_path / "out" / "README.md").write_text("---\npipeline_tag: image-classification\n---\n")
    (tmp_path / "out" / "bundle" / "model.tflite").write_bytes(os.urandom(2 * REGULAR_BYTES))
    (tmp_path / "out" / "forgery" / "__pycache__").mkdir(parents=True)
    (tmp_path / "out" / "forgery" / "__pycache__" / "x.pyc").write_bytes(b"left behind")
    return tmp_path / "out"


def files(folder: Path) -> dict[str, bytes]:
    found = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return {name: content for name, content in found.items() if "__pycache__" not in name}


def test_a_repository_becomes_what_the_folder_is(hub: Hub, folder: Path) -> None:
    assert push(folder, "me/detector", "model", TOKEN).startswith(f"{hub.url}/me/detector/commit/")
    repository = hub.repositories["model/me/detector"]
    assert repository.files == files(folder)
    assert len(repository.files) == 2
    (folder / "bundle" / "model.tflite").rename(folder / "bundle" / "model.keras")
    push(folder, "me/detector", "model", TOKEN)
    assert repository.files == files(folder)
    assert repository.commits == 2


def test_it_is_private_unless_asked_otherwise(hub: Hub, folder: Path) -> None:
    push(folder, "me/mine", "model", TOKEN)
    push(folder, "me/ours", "space", TOKEN, public=True)
    assert hub.repositories["model/me/mine"].made_with["visibility"] == "private"
    ours = hub.repositories["space/me/ours"].made_with
    assert (ours["visibility"], ours["sdk"]) == ("public", "docker")


def test_a_token_without_rights_is_refused_and_not_repeated(hub: Hub, folder: Path) -> None:
    with pytest.raises(StorageError, match="refuses the token for me/x: it must be yours") as refused:
        push(folder, "me/x", "model", "hf_stolen")
    assert "hf_stolen" not in str(refused.value)
    assert hub.repositories == {}


def test_a_name_that_cannot_be_is_refused(hub: Hub, folder: Path) -> None:
    with pytest.raises(InvalidConfig, match="is no name of a repository: write OWNER/NAME"):
        push(folder, "a b/c/d", "model", TOKEN)


def test_a_hub_that_does_not_answer_leaves_the_export(hub: Hub, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"http://127.0.0.1:{free_ports(1)[0]}"
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", url)
    with pytest.raises(ServiceUnavailable, match=f"does not answer at {url}; the export stays in"):
        push(folder, "me/x", "model", TOKEN)
    assert (folder / "README.md").is_file()


def test_the_token_is_the_users_own(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidConfig, match="--push sends with your own token, and there is none: set HF_TOKEN"):
        own_token()
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert own_token() == TOKEN


def export(bundle: Path, out: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cli", "model", "export", str(bundle), "--out", str(out), *arguments]
    variables = {name: value for name, value in os.environ.items() if name != "HF_TOKEN"}
    variables |= {"HF_HOME": str(out.with_name("hf")), "HF_HUB_DISABLE_XET": "1", **environment}
    return subprocess.run(command, capture_output=True, text=True, env=variables, check=False)


@pytest.mark.slow
def test_the_command_exports_proves_and_sends(hub: Hub, make_bundle: Callable[..., Bundle], tmp_path: Path) -> None:
    options = ("--to", "huggingface", "--push", "me/detector")
    done = export(make_bundle(seed=5).path, tmp_path / "out", *options, HF_ENDPOINT=hub.url, HF_TOKEN=TOKEN)
    assert done.returncode == 0, done.stderr
    assert f"sent: {hub.url}/me/detector/commit/" in done.stdout
    assert hub.repositories["model/me/detector"].files == files(tmp_path / "out")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("to", "token", "sentence"),
    [("huggingface", "", "there is none: set HF_TOKEN"), ("onnx", TOKEN, "--push goes with --to huggingface or")],
)
def test_the_command_refuses_before_it_writes(tmp_path: Path, to: str, token: str, sentence: str) -> None:
    environment = {"HF_TOKEN": token} if token else {}
    done = export(tmp_path / "no-bundle", tmp_path / "out", "--to", to, "--push", "me/x", **environment)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()
