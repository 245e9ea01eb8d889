import os
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from forgery.config import DataOptions
from forgery.dataset.sources import open_source
from forgery.errors import PictureRejected, SourceError

OPTIONS = DataOptions()


def zipped(path: Path, files: Mapping[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return path


def contents(source: str, options: DataOptions = OPTIONS) -> dict[str, bytes]:
    with open_source(source, options, 0) as opened:
        return {entry.name: opened.read(entry.name) for entry in opened.entries()}


FILES = {"a/1.jpg": b"one", "a/b/2.png": b"twotwo"}


def test_folder_file_uri_and_zip_hold_the_same(folder, tmp_path: Path) -> None:
    root = folder(FILES)
    archive = zipped(tmp_path / "pictures.bin", FILES)
    spaced = zipped(tmp_path / "my pictures.zip", FILES)
    assert contents(str(root)) == FILES
    assert contents(f"file://{root}") == FILES
    assert contents(str(archive)) == FILES
    assert contents(f"file://{tmp_path}/my%20pictures.zip") == contents(str(spaced)) == FILES


def test_sizes_are_told_without_reading(folder, tmp_path: Path) -> None:
    for source in (folder(FILES), zipped(tmp_path / "a.zip", FILES)):
        with open_source(str(source), OPTIONS, 0) as opened:
            assert {entry.name: entry.size for entry in opened.entries()} == {"a/1.jpg": 3, "a/b/2.png": 6}


@pytest.mark.parametrize("name", ["../evil.jpg", "a/../../evil.jpg", "/etc/passwd", "C:\\evil.jpg", "..\\evil.jpg"])
def test_a_zip_whose_names_escape_is_refused(name: str, tmp_path: Path) -> None:
    archive = zipped(tmp_path / "evil.zip", {"real/a.jpg": b"x", name: b"x"})
    with pytest.raises(SourceError, match="unsafe name"):
        contents(str(archive))


def test_a_zip_that_unpacks_to_too_much_is_refused_before_unpacking(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "bomb.zip", {"real/a.jpg": bytes(10_000_000)})
    assert archive.stat().st_size < 20_000
    with pytest.raises(SourceError, match="unpacks to 10000000 bytes, more than max_archive_bytes=1000000"):
        contents(str(archive), DataOptions(max_archive_bytes=1_000_000))


def test_a_zip_with_too_many_entries_is_refused(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "many.zip", {f"{i}.jpg": b"x" for i in range(11)})
    with pytest.raises(SourceError, match="11 entries, more than max_pictures=10"):
        contents(str(archive), DataOptions(max_pictures=10))


def test_a_damaged_entry_costs_that_entry_alone(tmp_path: Path) -> None:
    archive = tmp_path / "damaged.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as written:
        written.writestr("good.jpg", b"good bytes")
        written.writestr("bad.jpg", b"bad bytes!")
    archive.write_bytes(archive.read_bytes().replace(b"bad bytes!", b"bad bytes?", 1))
    with open_source(str(archive), OPTIONS, 0) as opened:
        assert opened.read("good.jpg") == b"good bytes"
        with pytest.raises(PictureRejected, match="CRC"):
            opened.read("bad.jpg")


def test_a_truncated_zip_is_one_sentence(tmp_path: Path) -> None:
    whole = zipped(tmp_path / "whole.zip", {"a.jpg": os.urandom(5000)}).read_bytes()
    cut = tmp_path / "cut.zip"
    cut.write_bytes(whole[:3000])
    with pytest.raises(SourceError, match="neither a folder nor a zip"):
        contents(str(cut))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("/no/such/folder", "no such file or directory; check the path"),
        ("", "of no known form"),
        ("ftp://host/pictures", r"of no known form; accepted are .*s3://BUCKET/PREFIX"),
        ("demo:many", "demo:N takes a number"),
        ("kaggle:", "needs a name, e.g. kaggle:owner/dataset"),
    ],
)
def test_a_source_that_is_none_is_refused_with_the_way_out(source: str, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        contents(source)


def test_a_file_that_is_no_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.zip").write_text("not a zip")
    with pytest.raises(SourceError, match="neither a folder nor a zip"):
        contents(str(tmp_path / "notes.zip"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_without_permission_is_refused(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0)
    with pytest.raises(SourceError, match="give read access"):
        contents(str(closed))


def test_a_walk_that_is_refused_half_way_is_an_error_not_an_omission(folder, monkeypatch: pytest.MonkeyPatch) -> None:
    root = folder(FILES)
    scandir = os.scandir

    def refusing(path: str) -> object:
        if str(path).endswith("/b"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    with pytest.raises(SourceError, match="Permission denied; give read access"):
        contents(str(root))


def test_a_missing_hub_client_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    with pytest.raises(SourceError, match=r"kagglehub; install it with pip install 'forgery\[hub\]'"):
        contents("kaggle:owner/dataset")


def test_a_hub_that_cannot_be_reached_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    class Offline:
        def snapshot_download(self, **_: object) -> str:
            raise ConnectionError("name resolution failed\nand more")

    monkeypatch.setitem(sys.modules, "huggingface_hub", Offline())
    with pytest.raises(SourceError, match=r"name resolution failed.*download it by hand") as caught:
        contents("hf:owner/dataset")
    assert "\n" not in str(caught.value)


def test_a_data_set_a_hub_delivers_is_read_like_a_folder(folder, monkeypatch: pytest.MonkeyPatch) -> None:
    root = folder(FILES)

    class Hub:
        def dataset_download(self, name: str) -> str:
            return str(root) if name == "owner/dataset" else "/wrong"

    monkeypatch.setitem(sys.modules, "kagglehub", Hub())
    assert contents("kaggle:owner/dataset") == FILES
