import pytest
from minio.error import S3Error

from forgery.errors import InvalidConfig, StorageError
from forgery.s3 import s3_client, s3_errors, split_uri


@pytest.fixture(autouse=True)
def _no_aws_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("uri", "parts"),
    [("s3://bucket/a/b", ("bucket", "a/b")), ("s3://bucket", ("bucket", "")), ("s3://bucket/", ("bucket", ""))],
)
def test_a_uri_splits_into_bucket_and_key(uri: str, parts: tuple[str, str]) -> None:
    assert split_uri(uri) == parts


@pytest.mark.parametrize("uri", ["bucket/a", "s3:/bucket", "s3://", "file://bucket/a", ""])
def test_what_is_no_s3_uri_is_refused_with_the_accepted_form(uri: str) -> None:
    with pytest.raises(InvalidConfig, match="s3://bucket/prefix"):
        split_uri(uri)


@pytest.mark.parametrize("missing", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
def test_a_missing_variable_is_named(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} - {missing}:
        monkeypatch.setenv(name, "x")
    with pytest.raises(StorageError, match=f"^{missing} is not set"):
        s3_client()


@pytest.mark.parametrize("endpoint", ["127.0.0.1:9000", "ftp://host", "http://", "http://host:9/bucket"])
def test_an_endpoint_that_is_none_is_refused(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    with pytest.raises(StorageError, match="http://host:port"):
        s3_client()


def test_nobody_answering_is_told_with_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "y")
    with pytest.raises(StorageError, match=r"no S3 answer at http://127\.0\.0\.1:1"), s3_errors("s3://a/b"):
        s3_client().bucket_exists("some-bucket")


def test_an_unknown_code_keeps_what_the_server_said() -> None:
    with pytest.raises(StorageError, match="SlowDown: wait"), s3_errors("s3://a/b"):
        raise S3Error(None, "SlowDown", "wait", "b", "", "", "a")  # type: ignore[arg-type]


def test_a_bucket_name_the_client_refuses_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "y")
    with pytest.raises(StorageError, match="Not_A_Bucket"), s3_errors("s3://Not_A_Bucket"):
        s3_client().bucket_exists("Not_A_Bucket")
