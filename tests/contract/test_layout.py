"""Facts about the checkout that no other check holds."""

import subprocess
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LARGEST_FILE_BYTES = 1_000_000


@pytest.fixture(scope="module")
def tracked() -> list[Path]:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def test_test_files_have_names_of_their_own() -> None:
    # Test folders are no packages: two modules of one name cannot be collected in one run.
    names = Counter(path.name for path in (ROOT / "tests").rglob("test_*.py"))
    assert [name for name, count in names.items() if count > 1] == []


def test_no_picture_set_network_or_other_large_file_is_committed(tracked: list[Path]) -> None:
    assert [path.name for path in tracked if path.stat().st_size > LARGEST_FILE_BYTES] == []
    binary = {".jpg", ".jpeg", ".tif", ".tiff", ".npz", ".keras", ".h5", ".pb", ".onnx", ".zip", ".tar", ".db"}
    assert [path.name for path in tracked if path.suffix in binary] == []


def test_every_make_target_has_help() -> None:
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    makefile = (ROOT / "Makefile").read_text().splitlines()
    phony = " ".join(makefile).split(".PHONY:")[1].split("  ")[0].replace("\\", "").replace("\t", " ").split()
    targets = {line.split(":")[0] for line in makefile if line[:1].islower() and ":" in line.split(" ")[0]}
    assert {line.split()[0] for line in shown.splitlines()} == targets
    assert targets == set(phony)
