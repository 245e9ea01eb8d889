import contextlib
import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from forgery.errors import StorageError
from forgery.writing import whole_folder


def test_the_folder_appears_when_the_block_ends(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    with whole_folder(out, "done") as folder:
        (folder / "done").write_text("x")
        assert not out.exists()
    assert (out / "done").read_text() == "x"
    assert [path.name for path in out.parent.iterdir()] == ["out"]


@pytest.mark.parametrize("failure", [RuntimeError("broken"), KeyboardInterrupt()])
def test_a_failure_leaves_what_was_there(failure: BaseException, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "done").write_text("old")
    with contextlib.suppress(RuntimeError, KeyboardInterrupt), whole_folder(out, "done") as folder:
        (folder / "done").write_text("new")
        raise failure
    assert (out / "done").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_an_earlier_result_is_replaced_whole(tmp_path: Path) -> None:
    for content in ("old", "new"):
        with whole_folder(tmp_path / "out", "done") as folder:
            (folder / "done").write_text(content)
            (folder / content).touch()
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["done", "new"]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with whole_folder(tmp_path / "out", "done") as folder:
        (folder / "done").touch()
    assert (tmp_path / "out" / "done").exists()


@pytest.mark.parametrize("make", [lambda path: path.mkdir(), lambda path: path.write_text("x")])
def test_somebody_elses_folder_or_file_is_left_alone(make, tmp_path: Path) -> None:
    out = tmp_path / "out"
    make(out)
    if out.is_dir():
        (out / "precious").touch()
    with pytest.raises(StorageError, match="exists and holds no done"), whole_folder(out, "done"):
        pytest.fail("entered")
    assert out.exists()


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_says_where_and_how_much(code: int, tmp_path: Path) -> None:
    with (
        pytest.raises(StorageError, match=f"no space left on {tmp_path}, needs about 25 MB; free some"),
        whole_folder(tmp_path / "out", "done", needs_bytes=25_000_000),
    ):
        raise OSError(code, "full")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="cannot be written"), whole_folder(tmp_path / "file" / "out", "done"):
        pytest.fail("entered")


def test_other_errors_pass_unchanged(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="strange") as caught, whole_folder(tmp_path / "out", "done"):
        raise OSError(errno.EIO, "strange")
    assert caught.type is OSError


_WRITER = """
import sys, time
from pathlib import Path
from forgery.writing import whole_folder
with whole_folder(Path(sys.argv[1]), "done") as folder:
    (folder / "half").touch()
    print(folder, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def writer(tmp_path: Path):
    """A process that writes `out`, and its unfinished folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(tmp_path / "out")], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    yield process, Path(process.stdout.readline().strip())
    process.kill()
    process.wait()
    process.stdout.close()


def test_what_a_killed_process_left_is_removed_by_the_next(writer, tmp_path: Path) -> None:
    process, unfinished = writer
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert unfinished.is_dir()
    with whole_folder(tmp_path / "out", "done") as folder:
        assert not unfinished.exists()
        (folder / "done").touch()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_what_a_living_process_writes_is_left_alone(writer, tmp_path: Path) -> None:
    with whole_folder(tmp_path / "out", "done") as folder:
        (folder / "done").touch()
    assert (writer[1] / "half").exists()


def test_an_earlier_result_that_was_being_replaced_comes_back(tmp_path: Path) -> None:
    moved = tmp_path / ".out.replaced-abc" / "out"
    moved.mkdir(parents=True)
    (moved / "done").write_text("old")
    with contextlib.suppress(KeyboardInterrupt), whole_folder(tmp_path / "out", "done"):
        raise KeyboardInterrupt
    assert (tmp_path / "out" / "done").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.timeout(20)
def test_one_may_be_made_within_another(tmp_path: Path) -> None:
    with whole_folder(tmp_path / "out", "done") as outer:
        (outer / "done").write_text("x")
        with whole_folder(outer / "inner", "done") as inner:
            (inner / "done").write_text("y")
    assert (tmp_path / "out" / "inner" / "done").read_text() == "y"
    assert not list(tmp_path.rglob("*.partial-*"))
