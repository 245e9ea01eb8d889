import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[3] / "tools" / "find_python.sh"


def write_python(folder: Path, name: str, script: str) -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def find(folder: Path, python: str = "") -> subprocess.CompletedProcess[str]:
    environment = {"PATH": f"{folder}:/usr/bin:/bin" if python else str(folder), "PYTHON": python}
    return subprocess.run(["/bin/sh", SCRIPT], capture_output=True, text=True, check=False, env=environment)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "basename").symlink_to("/usr/bin/basename")
    return tmp_path


def test_newest_python_that_runs_is_taken(folder: Path) -> None:
    write_python(folder, "python3.11", "echo 3.11.9")
    newest = write_python(folder, "python3.12", "echo 3.12.4")
    assert find(folder).stdout.strip() == str(newest)


def test_shim_that_refuses_to_start_is_passed_over(folder: Path) -> None:
    write_python(folder, "python3.12", "echo 'python3.12: command not found' >&2; exit 127")
    works = write_python(folder, "python3.11", "echo 3.11.9")
    assert find(folder).stdout.strip() == str(works)


def test_python_named_by_the_user_comes_before_all(folder: Path) -> None:
    write_python(folder, "python3.12", "echo 3.12.4")
    named = write_python(folder, "mine", "echo 3.11.9")
    assert find(folder, str(named)).stdout.strip() == str(named)


def test_real_interpreter_passes_the_probe(folder: Path) -> None:
    assert find(folder, sys.executable).stdout.strip() == sys.executable


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo 3.9.2; exit 3", "python3 is 3.9.2"),
        ("exit 127", "none starts here"),
        ("echo 3.11.2; exit 1", "apt install python3-venv"),
    ],
)
def test_unfit_python_gives_one_line_with_the_way_out(folder: Path, script: str, said: str) -> None:
    write_python(folder, "python3", script)
    done = find(folder)
    assert done.returncode == 1
    assert done.stdout == ""
    assert said in done.stderr
    assert "make setup PYTHON=" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(("version", "status"), [((3, 10, 1), 3), ((3, 13, 0), 3), ((3, 12, 9), 0)])
def test_probe_tells_versions_apart(version: tuple[int, int, int], status: int) -> None:
    probe = SCRIPT.read_text().split("probe='")[1].split("'\n")[0]
    told = f"import sys; sys.version_info = {(*version, 'final', 0)}\n{probe}"
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (status, ".".join(map(str, version)))
