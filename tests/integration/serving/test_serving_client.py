"""The command line's client against the servers."""

from pathlib import Path

import pytest
from serving_harness import HOST, Pair

from cli.endpoint import open_endpoint, predict, score
from forgery.errors import InvalidConfig, PictureRejected, ServiceUnavailable
from serving.sockets import free_ports


def urls(pair: Pair) -> tuple[str, str, str]:
    return pair.transformer.url, f"{pair.transformer.url}/forgery", f"grpc://{pair.transformer.grpc}"


def test_rest_and_grpc_give_the_same_records(pair: Pair, jpeg: bytes, tmp_path: Path) -> None:
    files = [tmp_path / f"{index}.jpg" for index in range(5)]
    for file in files:
        file.write_bytes(jpeg)
    files[2].write_bytes(b"no picture")
    found = [list(predict(url, files)) for url in urls(pair)]
    assert found[0] == found[1] == found[2]
    assert [record["file"] for record in found[0]] == [str(file) for file in files]
    assert list(found[0][0]) == ["file", "label", "probability_forged", "threshold", "model_version"]
    assert found[0][2] == {"file": str(files[2]), "error": found[0][2]["error"]}
    assert "accepted are" in found[0][2]["error"]


def test_a_missing_file_is_a_record_of_its_own(pair: Pair, jpeg: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(jpeg)
    missing, scored = predict(pair.transformer.url, [tmp_path / "none.jpg", tmp_path / "a.jpg"])
    assert "No such file" in missing["error"]
    assert scored["label"] == "authentic"


def test_one_picture_is_scored_or_refused(pair: Pair, jpeg: bytes) -> None:
    for url in urls(pair):
        assert score(url, "a.jpg", jpeg)["model_version"] == "a" * 32
        with pytest.raises(PictureRejected, match=r"image\[0\]"):
            score(url, "a.jpg", b"no picture")


@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_nobody_there_is_told_with_the_address(scheme: str, jpeg: bytes) -> None:
    url = f"{scheme}://{HOST}:{free_ports(1)[0]}"
    with pytest.raises(ServiceUnavailable, match=url):
        score(url, "a.jpg", jpeg)


def test_a_service_without_a_model_is_told(own_pair: Pair, jpeg: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.endpoint._BUSY_TRIES", 1)
    own_pair.predictor.stop()
    for url in urls(own_pair):
        with pytest.raises(ServiceUnavailable, match="no model is ready"):
            score(url, "a.jpg", jpeg)


@pytest.mark.parametrize("url", ["localhost:8080", "ftp://a", "http://", "http://a/b/c", "grpc:/a", ""])
def test_another_url_is_refused_with_the_accepted_forms(url: str) -> None:
    with pytest.raises(InvalidConfig, match="grpc://HOST:PORT"):
        open_endpoint(url)
