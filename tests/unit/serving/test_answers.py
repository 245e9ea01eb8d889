"""Refusals, outputs, confidence, log lines: the parts of an answer."""

import json
import logging
import subprocess
import sys

import numpy as np
import pytest
from grpc import StatusCode

from forgery.errors import PictureRejected
from serving.journal import JsonFormatter, note, request
from serving.outputs import PREDICTOR_OUTPUTS, TRANSFORMER_OUTPUTS, choose, names
from serving.predictor import confidence
from serving.refusal import Reason, Refusal, of_error, of_picture
from serving.sdk import InvalidInput, ModelNotFound, ModelNotReady


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (InvalidInput("x"), 400, StatusCode.INVALID_ARGUMENT),
        (ModelNotFound("x"), 404, StatusCode.NOT_FOUND),
        (ModelNotReady("x"), 503, StatusCode.UNAVAILABLE),
        (NotImplementedError(), 501, StatusCode.UNIMPLEMENTED),
        (TimeoutError(), 504, StatusCode.DEADLINE_EXCEEDED),
        (Refusal(Reason.BUSY, "x"), 429, StatusCode.RESOURCE_EXHAUSTED),
    ],
)
def test_every_error_has_one_status_and_one_code(error: Exception, status: int, code: StatusCode) -> None:
    refusal = of_error(error)
    assert (refusal.reason.http_status, refusal.reason.grpc_code) == (status, code)


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        ("empty", 400),
        ("unreadable", 400),
        ("truncated", 400),
        ("animated", 400),
        ("format", 415),
        ("pixels", 413),
        ("bytes", 413),
    ],
)
def test_a_rejected_picture_has_a_status_by_its_reason(reason: str, status: int) -> None:
    refusal = of_picture(PictureRejected(reason, "why", "a=1"), 3)
    assert refusal.reason.http_status == status
    assert json.loads(bytes(refusal.response().body)) == {"error": "image[3]: why", "limit": "a=1", "index": 3}


def test_the_unforeseen_is_logged_and_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    refusal = of_error(ZeroDivisionError("secret"))
    assert (refusal.reason.http_status, refusal.message) == (500, "internal error")
    assert "secret" in caplog.text


def test_no_message_grows_with_the_request() -> None:
    assert len(Refusal(Reason.INVALID, "x" * 10**6).message) < 1000


def test_without_a_wish_the_verdict_is_answered() -> None:
    for offered in (PREDICTOR_OUTPUTS, TRANSFORMER_OUTPUTS):
        assert names(choose([], offered)) == names(PREDICTOR_OUTPUTS[:5])


def test_a_wish_is_answered_once_and_in_its_order() -> None:
    assert names(choose(["ela", "label", "ela"], TRANSFORMER_OUTPUTS)) == ("ela", "label")


def test_an_unknown_wish_is_refused_with_the_list() -> None:
    with pytest.raises(Refusal, match="probability_forged, label") as caught:
        choose(["label", "ela"], PREDICTOR_OUTPUTS)
    assert caught.value.reason.http_status == 400


def test_confidence_is_that_of_the_label_given() -> None:
    found = confidence(
        np.array([0.9, 0.2, 0.6, 0.4], np.float32), ["forged", "authentic", "inconclusive", "inconclusive"]
    )
    np.testing.assert_allclose(found, [0.9, 0.8, 0.6, 0.6], rtol=1e-6)
    assert found.dtype == np.float32


def test_a_request_leaves_one_json_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "serving.request")
    with request("rest", "/x" * 500, {"x-request-id": "bad\nid", "traceparent": "ok"}) as entry:
        note(model_version="v")
        entry.code = "200"
    (line,) = (json.loads(JsonFormatter().format(record)) for record in caplog.records)
    assert (line["code"], line["model_version"], len(line["request_id"])) == ("200", "v", 32)
    assert len(line["route"]) < 200
    assert entry.forwarded["traceparent"] == "ok"


def test_importing_the_sdk_leaves_the_command_line_alone() -> None:
    program = "import sys; sys.argv = ['x', '--http_port', 'none', '--model', 'a']; import serving.sdk; print(sys.argv)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['x', '--http_port', 'none', '--model', 'a']"


def test_the_transformer_needs_no_framework_and_the_supervisor_no_server() -> None:
    heavy = ("tensorflow", "keras", "sklearn", "scipy", "mlflow", "matplotlib", "kfp")
    for module, unwanted in (
        ("serving.transformer", heavy),
        ("serving.supervisor", (*heavy, "kserve", "fastapi", "grpc")),
    ):
        program = f"import sys, {module}; print([m for m in {unwanted!r} if m in sys.modules])"
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "[]", module
