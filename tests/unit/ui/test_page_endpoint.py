"""The page's client of the endpoint, against answers of the contract."""

import base64
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from ui.endpoint import VERDICT, Endpoint, EndpointError, Model, refusal, wanted

ROW = {
    "label": "inconclusive",
    "probability_forged": 0.5,
    "threshold": 0.48,
    "confidence": 0.5,
    "model_version": "a" * 32,
    "band_low": 0.4,
    "band_high": 0.6,
    "ela": base64.b64encode(b"png").decode(),
    "image_info": json.dumps({"format": "JPEG"}),
}


def endpoint(handle: Callable[[httpx.Request], httpx.Response]) -> Endpoint:
    return Endpoint("http://endpoint.test/", transport=httpx.MockTransport(handle))


def answering(row: dict[str, Any]) -> Endpoint:
    body = {"outputs": [{"name": name, "data": [value]} for name, value in row.items()]}
    return endpoint(lambda _: httpx.Response(200, json=body))


def refusing(status: int, body: Any) -> Endpoint:
    return endpoint(lambda _: httpx.Response(status, json=body))


def test_the_bytes_sent_are_the_bytes_chosen() -> None:
    sent: list[httpx.Request] = []

    def keep(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(200, json={"outputs": [{"name": name, "data": [ROW[name]]} for name in VERDICT]})

    chosen = bytes(range(256)) * 3
    endpoint(keep).ask(chosen, VERDICT)
    body = json.loads(sent[0].content)
    assert base64.b64decode(body["inputs"][0]["data"][0]) == chosen
    assert [output["name"] for output in body["outputs"]] == list(VERDICT)
    assert sent[0].url == "http://endpoint.test/v2/models/forgery/infer"


def test_an_answer_is_read_with_everything_that_was_asked_for() -> None:
    answer = answering(ROW).ask(b"x", tuple(ROW))
    assert (answer.label, answer.threshold, answer.band) == ("inconclusive", 0.48, (0.4, 0.6))
    assert answer.pictures == {"ela": b"png"}
    assert answer.info == {"format": "JPEG"}


def test_an_endpoint_that_tells_no_band_is_served_too() -> None:
    answer = answering({name: ROW[name] for name in VERDICT}).ask(b"x", VERDICT)
    assert answer.band is None
    model = Model("forgery", (), frozenset(VERDICT))
    assert wanted(model, (*VERDICT, "band_low", "ela")) == VERDICT


@pytest.mark.parametrize(
    "row", [{}, {**ROW, "threshold": None}, {**ROW, "ela": "no base64!"}, {**ROW, "image_info": "{"}]
)
def test_what_is_no_verdict_is_told_and_never_shown(row: dict[str, Any]) -> None:
    with pytest.raises(EndpointError, match="no verdict"):
        answering(row).ask(b"x", VERDICT)


@pytest.mark.parametrize(
    ("status", "body", "sentence"),
    [
        (415, {"error": "image[0]: GIF is not accepted", "index": 0}, "GIF is not accepted."),
        (503, {"error": "no model is ready to answer"}, "No model is ready to answer."),
        (413, {"error": "the file has 9 bytes", "limit": "max_bytes=8"}, "The file has 9 bytes."),
        (502, None, "The endpoint answered with status 502 and no explanation; try again in a moment."),
        (500, {"error": 7}, "The endpoint answered with status 500 and no explanation; try again in a moment."),
    ],
)  # fmt: skip
def test_refusals_are_sentences(status: int, body: Any, sentence: str) -> None:
    assert refusal(status, body) == sentence
    with pytest.raises(EndpointError) as caught:
        refusing(status, body).ask(b"x", VERDICT)
    assert str(caught.value) == sentence


@pytest.mark.parametrize("error", [httpx.ConnectError("refused"), httpx.ReadTimeout("slow")])
def test_an_endpoint_that_is_away_is_told_without_its_address(error: Exception) -> None:
    def fail(_: httpx.Request) -> httpx.Response:
        raise error

    with pytest.raises(EndpointError, match="endpoint") as caught:
        endpoint(fail).model()
    assert "endpoint.test" not in str(caught.value)


def test_the_models_metadata_says_what_may_be_asked() -> None:
    body = {"name": "forgery", "versions": ["v1"], "outputs": [{"name": "label"}, {"name": "ela"}]}
    model = endpoint(lambda _: httpx.Response(200, json=body)).model()
    assert model == Model("forgery", ("v1",), frozenset({"label", "ela"}))


def test_another_service_at_the_address_is_told() -> None:
    with pytest.raises(EndpointError, match="not as a model"):
        endpoint(lambda _: httpx.Response(200, json={"hello": "world"})).model()
