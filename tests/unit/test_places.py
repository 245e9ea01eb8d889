"""Files by name in a folder, and places that work is kept in where that can be done."""

import errno
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from forgery.errors import StorageError
from forgery.places import FolderPlace, OptionalPlace


def test_names_are_of_all_files_below_and_of_no_other(tmp_path: Path) -> None:
    place = FolderPlace(tmp_path)
    for name in ("a/one", "a/b/two", "c/three"):
        place.write(name, b"x")
    (tmp_path / "a" / ".half").write_bytes(b"")
    assert place.names("a") == ["a/b/two", "a/one"]
    assert place.names("nothing") == []


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(StorageError, match="folder cannot be read"):
        FolderPlace(tmp_path).read("folder")
    assert FolderPlace(tmp_path).read("absent") is None


def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfileobj", full)
    with pytest.raises(StorageError, match="No space left"):
        FolderPlace(tmp_path).write("name", b"content")
    assert list(tmp_path.iterdir()) == []


def test_an_optional_place_that_fails_costs_one_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "folder").mkdir()
    place = OptionalPlace(f"file://{tmp_path}", "answers are")
    place.write("name", b"content")
    assert place.read("name") == b"content"
    assert place.read("folder") is None
    assert not place.used
    place.write("other", b"content")
    assert not (tmp_path / "other").exists()
    assert place.read("name") is None
    assert [record.getMessage().split(":")[0] for record in caplog.records] == [
        "answers are not kept for a run that goes on from here"
    ]


def test_steps_whose_places_are_folders_do_not_load_the_client_of_buckets() -> None:
    script = "import sys, forgery.steps.ela, forgery.steps.ingest; print('minio' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    assert told.strip() == "False"
