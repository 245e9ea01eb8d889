"""Sources in a bucket, against a real S3 server."""

import io
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from minio import Minio
from PIL import Image

from forgery.config import DataOptions
from forgery.dataset.ingest import ingest
from forgery.dataset.objects import RangedObject
from forgery.dataset.sources import open_source
from forgery.errors import SourceError, StorageError
from forgery.s3 import s3_client

OPTIONS = DataOptions()


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    random = np.random.default_rng(0)
    found = {}
    for label in ("authentic", "forged"):
        for number in range(6):
            encoded = io.BytesIO()
            Image.fromarray(random.integers(0, 256, (6, 8, 3), dtype=np.uint8)).resize((48, 32)).save(encoded, "JPEG")
            found[f"{label}/picture {number}+ü.jpg"] = encoded.getvalue()
    return found


def put(client: Minio, bucket: str, key: str, data: bytes) -> None:
    client.put_object(bucket, key, io.BytesIO(data), len(data))


def zipped(files: dict[str, bytes]) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return data.getvalue()


def contents(source: str) -> dict[str, bytes]:
    with open_source(source, OPTIONS, 0) as opened:
        return {entry.name: opened.read(entry.name) for entry in opened.entries()}


@pytest.fixture
def filled(s3_server: Any, s3_bucket: str, files: dict[str, bytes]) -> str:
    """A bucket with the pictures below `set/` and in `set.zip`, and a neighbour with a similar name."""
    client = s3_server.client()
    for name, data in files.items():
        put(client, s3_bucket, f"set/{name}", data)
    put(client, s3_bucket, "set-other/forged/no.jpg", b"not ours")
    put(client, s3_bucket, "set.zip", zipped(files))
    return s3_bucket


@pytest.mark.parametrize("key", ["set", "set/", "set.zip"])
def test_a_prefix_and_a_zip_hold_the_same(key: str, filled: str, files: dict[str, bytes]) -> None:
    assert contents(f"s3://{filled}/{key}") == files


def test_a_bucket_gives_the_same_data_set_as_a_folder(filled: str, files: dict[str, bytes], tmp_path: Path) -> None:
    for name, data in files.items():
        (tmp_path / "source" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "source" / name).write_bytes(data)
    sources = [str(tmp_path / "source"), f"s3://{filled}/set", f"s3://{filled}/set.zip"]
    digests = {ingest(source, tmp_path / str(i), OPTIONS, 0).digest for i, source in enumerate(sources)}
    assert len(digests) == 1


def test_a_zip_is_read_by_ranges(s3_server: Any, s3_bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    big = {"real/wanted.jpg": b"wanted"} | {
        f"real/{i}.bin": np.random.default_rng(i).bytes(3_000_000) for i in range(4)
    }
    put(s3_server.client(), s3_bucket, "big.zip", zipped(big))
    transferred = []
    readinto = RangedObject.readinto

    def counted(self: RangedObject, buffer: memoryview) -> int:
        transferred.append(readinto(self, buffer))
        return transferred[-1]

    monkeypatch.setattr(RangedObject, "readinto", counted)
    with open_source(f"s3://{s3_bucket}/big.zip", OPTIONS, 0) as opened:
        assert opened.read("real/wanted.jpg") == b"wanted"
    assert sum(transferred) < 6_000_000


def test_a_prefix_without_objects_is_refused(filled: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=f"source s3://{filled}/nothing holds no files"):
        ingest(f"s3://{filled}/nothing", tmp_path / "out", OPTIONS, 0)


def test_an_object_that_is_no_zip_is_refused(s3_server: Any, s3_bucket: str) -> None:
    put(s3_server.client(), s3_bucket, "notes.zip", b"just text")
    with pytest.raises(SourceError, match="is no zip archive"):
        contents(f"s3://{s3_bucket}/notes.zip")


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("AWS_ACCESS_KEY_ID", "stranger", "the access key stranger in AWS_ACCESS_KEY_ID is not known"),
        ("AWS_SECRET_ACCESS_KEY", "wrong", "the secret in AWS_SECRET_ACCESS_KEY does not belong to access key"),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:1", r"no S3 answer at http://127\.0\.0\.1:1"),
        ("AWS_ACCESS_KEY_ID", "", "AWS_ACCESS_KEY_ID is not set"),
    ],
)
@pytest.mark.parametrize("key", ["set", "set.zip"])
def test_a_wrong_setting_is_one_clear_line(
    variable: str, value: str, message: str, key: str, filled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    begin = time.monotonic()
    with pytest.raises(StorageError, match=message) as caught:
        ingest(f"s3://{filled}/{key}", tmp_path / "results" / "out", OPTIONS, 0)
    assert "\n" not in str(caught.value)
    assert time.monotonic() - begin < 15
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize("key", ["set", "set.zip"])
def test_a_missing_bucket_is_named(key: str, s3_environment: Any, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="there is no bucket 'no-such-bucket'; create it or name another"):
        ingest(f"s3://no-such-bucket/{key}", tmp_path / "out", OPTIONS, 0)


def test_a_missing_zip_is_told(s3_bucket: str) -> None:
    with pytest.raises(SourceError, match=r"gone\.zip: there is no object of that name"):
        contents(f"s3://{s3_bucket}/gone.zip")


def test_a_server_that_stops_half_way_ends_ingest_and_leaves_nothing(
    filled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    get = Minio.get_object
    served = []

    def stops(self: Minio, *arguments: Any, **options: Any) -> Any:
        served.append(arguments)
        if len(served) > 3:
            raise ConnectionResetError("the server went away")
        return get(self, *arguments, **options)

    monkeypatch.setattr(Minio, "get_object", stops)
    with pytest.raises(StorageError, match="no S3 answer"):
        ingest(f"s3://{filled}/set", tmp_path / "results" / "out", OPTIONS, 0)
    assert not list((tmp_path / "results").iterdir())


def test_the_client_reads_what_it_wrote(s3_bucket: str) -> None:
    client = s3_client()
    put(client, s3_bucket, "a/b", b"content")
    assert client.get_object(s3_bucket, "a/b").read() == b"content"
