"""Publishing and fetching bundles, in a folder and in a bucket of a real S3 server."""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from minio import Minio

from forgery.bundle import SUMS_FILE, Bundle, open_bundle
from forgery.errors import BundleError, InvalidConfig, StorageError
from forgery.stores import exists, fetch, publish

MakeLightBundle = Callable[[str], Bundle]


@dataclass
class Place:
    """A store and a back door to its files."""

    bundles: str
    read: Callable[[str, str], bytes]
    write: Callable[[str, str, bytes], None]
    remove: Callable[[str, str], None]


def folder_place(root: Path) -> Place:
    def write(digest: str, name: str, content: bytes) -> None:
        (root / digest / name).parent.mkdir(parents=True, exist_ok=True)
        (root / digest / name).write_bytes(content)

    return Place(
        f"file://{root}",
        lambda digest, name: (root / digest / name).read_bytes(),
        write,
        lambda digest, name: (root / digest / name).unlink(),
    )


def bucket_place(client: Minio, bucket: str, scratch: Path) -> Place:
    def write(digest: str, name: str, content: bytes) -> None:
        (scratch / "object").write_bytes(content)
        client.fput_object(bucket, f"some/prefix/{digest}/{name}", str(scratch / "object"))

    return Place(
        f"s3://{bucket}/some/prefix",
        lambda digest, name: client.get_object(bucket, f"some/prefix/{digest}/{name}").read(),
        write,
        lambda digest, name: client.remove_object(bucket, f"some/prefix/{digest}/{name}"),
    )


@pytest.fixture(params=["folder", "bucket"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "folder":
        return folder_place(tmp_path / "store")
    bucket = request.getfixturevalue("s3_bucket")
    return bucket_place(request.getfixturevalue("s3_environment").client(), bucket, tmp_path)


@pytest.fixture
def bundle(make_light_bundle: MakeLightBundle) -> Bundle:
    return make_light_bundle("a")


MODEL = "saved_model/saved_model.pb"


def test_what_is_fetched_is_what_was_published(place: Place, bundle: Bundle, tmp_path: Path) -> None:
    uri = publish(bundle, place.bundles)
    assert uri == f"{place.bundles}/{bundle.digest}"
    assert exists(uri)
    fetched = fetch(uri, tmp_path / "cache")
    assert fetched.path == tmp_path / "cache" / bundle.digest
    assert (fetched.digest, fetched.info) == (bundle.digest, bundle.info)
    assert open_bundle(fetched.path).digest == bundle.digest


def test_fetching_leaves_the_published_bundle_where_it_is(place: Place, bundle: Bundle, tmp_path: Path) -> None:
    uri = publish(bundle, place.bundles)
    shutil.rmtree(fetch(uri, tmp_path / "cache").path)
    assert exists(uri)


def test_publishing_twice_changes_nothing(place: Place, bundle: Bundle) -> None:
    assert publish(bundle, place.bundles) == publish(bundle, place.bundles)


def test_a_trailing_slash_is_no_other_place(place: Place, bundle: Bundle) -> None:
    assert publish(bundle, place.bundles + "/") == publish(bundle, place.bundles)


def test_a_published_bundle_that_was_altered_is_not_overwritten(
    place: Place, bundle: Bundle, make_light_bundle: MakeLightBundle
) -> None:
    publish(bundle, place.bundles)
    place.write(bundle.digest, MODEL, b"something else")
    with pytest.raises(BundleError, match=r"altered"):
        publish(bundle, place.bundles)
    other = make_light_bundle("b")
    place.write(bundle.digest, SUMS_FILE, (other.path / SUMS_FILE).read_bytes())
    with pytest.raises(BundleError):
        publish(bundle, place.bundles)
    assert place.read(bundle.digest, MODEL) == b"something else"


def test_a_bundle_altered_in_its_store_is_not_fetched(place: Place, bundle: Bundle, tmp_path: Path) -> None:
    uri = publish(bundle, place.bundles)
    place.write(bundle.digest, MODEL, b"b")
    with pytest.raises(BundleError, match="altered"):
        fetch(uri, tmp_path / "cache")
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [".lock"]


def test_another_bundle_under_a_digest_is_not_fetched(
    place: Place, bundle: Bundle, make_light_bundle: MakeLightBundle, tmp_path: Path
) -> None:
    uri = publish(bundle, place.bundles)
    other = make_light_bundle("b")
    for path in other.path.rglob("*"):
        if path.is_file():
            place.write(bundle.digest, path.relative_to(other.path).as_posix(), path.read_bytes())
    with pytest.raises(BundleError, match=other.digest):
        fetch(uri, tmp_path / "cache")


def test_a_missing_file_is_named(place: Place, bundle: Bundle, tmp_path: Path) -> None:
    uri = publish(bundle, place.bundles)
    place.remove(bundle.digest, MODEL)
    with pytest.raises((BundleError, StorageError), match=r"saved_model|no object"):
        fetch(uri, tmp_path / "cache")


def test_a_bundle_that_was_never_published_is_told(place: Place, bundle: Bundle, tmp_path: Path) -> None:
    uri = f"{place.bundles}/{bundle.digest}"
    assert not exists(uri)
    with pytest.raises(BundleError, match=f"no .*bundle at {uri}"):
        fetch(uri, tmp_path / "cache")


def test_a_damaged_cache_is_mended(place: Place, bundle: Bundle, tmp_path: Path) -> None:
    uri = publish(bundle, place.bundles)
    cached = fetch(uri, tmp_path / "cache").path / MODEL
    cached.write_text("damaged")
    fetch(uri, tmp_path / "cache")
    assert cached.read_text() == "a"


def test_a_cached_bundle_needs_no_store(place: Place, bundle: Bundle, tmp_path: Path) -> None:
    uri = publish(bundle, place.bundles)
    fetch(uri, tmp_path / "cache")
    place.remove(bundle.digest, SUMS_FILE)
    assert fetch(uri, tmp_path / "cache").digest == bundle.digest


def test_a_bundle_altered_after_it_was_opened_is_not_published(place: Place, bundle: Bundle) -> None:
    (bundle.path / MODEL).write_text("altered")
    with pytest.raises(BundleError, match="altered"):
        publish(bundle, place.bundles)
    assert not exists(f"{place.bundles}/{bundle.digest}")


def test_an_interrupted_upload_is_no_bundle_and_is_completed(
    s3_bucket: str, s3_environment: object, bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uploaded: list[str] = []
    put = Minio.fput_object

    def interrupted(client: Minio, bucket: str, name: str, *args: object, **options: object) -> object:
        if len(uploaded) == 1:
            raise ConnectionError("the wire was cut")
        uploaded.append(name)
        return put(client, bucket, name, *args, **options)

    monkeypatch.setattr(Minio, "fput_object", interrupted)
    with pytest.raises(StorageError, match="no S3 answer"):
        publish(bundle, f"s3://{s3_bucket}")
    assert not exists(f"s3://{s3_bucket}/{bundle.digest}")

    again: list[str] = []
    monkeypatch.setattr(Minio, "fput_object", lambda *args, **options: again.append(args[2]) or put(*args, **options))
    uri = publish(bundle, f"s3://{s3_bucket}")
    assert not set(again) & set(uploaded), "what was there is not sent again"
    assert again[-1].endswith(SUMS_FILE)
    assert fetch(uri, tmp_path / "cache").digest == bundle.digest


def test_what_a_killed_publisher_left_is_cleared(tmp_path: Path, bundle: Bundle) -> None:
    leftover = tmp_path / "store" / f".{bundle.digest}.partial"
    leftover.mkdir(parents=True)
    (leftover / "half").write_text("half")
    uri = publish(bundle, f"file://{tmp_path}/store")
    assert exists(uri)
    assert not leftover.exists()


def test_relative_folders_give_absolute_uris(tmp_path: Path, bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert publish(bundle, "file://models") == f"file://{tmp_path}/models/{bundle.digest}"


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes anywhere")
def test_a_folder_that_cannot_be_written_is_one_clear_line(tmp_path: Path, bundle: Bundle) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(StorageError, match="Permission denied"):
        publish(bundle, f"file://{tmp_path}/locked/store")


def test_a_file_in_the_stores_place_is_one_clear_line(tmp_path: Path, bundle: Bundle) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="publishing to"):
        publish(bundle, f"file://{tmp_path}/file")


def test_a_full_disk_is_one_clear_line_and_leaves_nothing(
    tmp_path: Path, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copytree", full)
    with pytest.raises(StorageError, match="No space left on device; free some space"):
        publish(bundle, f"file://{tmp_path}/store")
    assert [path.name for path in (tmp_path / "store").iterdir()] == [".lock"]


def test_a_wrong_bucket_is_one_clear_line(s3_environment: object, bundle: Bundle) -> None:
    with pytest.raises(StorageError, match="no bucket 'not-there'"):
        publish(bundle, "s3://not-there/models")


def test_a_wrong_secret_is_one_clear_line(s3_bucket: str, bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(StorageError, match="AWS_SECRET_ACCESS_KEY"):
        publish(bundle, f"s3://{s3_bucket}")


@pytest.mark.parametrize("bundles", ["models", "/models", "http://x/y", "file://", "s3://"])
def test_a_place_of_no_known_form_is_refused(bundle: Bundle, bundles: str) -> None:
    with pytest.raises(InvalidConfig, match=r"s3://"):
        publish(bundle, bundles)


@pytest.mark.parametrize("uri", ["file:///models/latest", "s3://models", "", "s3://models/../../etc"])
def test_a_uri_without_a_digest_is_refused(uri: str, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="names no bundle"):
        fetch(uri, tmp_path)
