"""A predictor that is away, slow, replaced, broken or lying, and servers that are full or asked to stop."""

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import httpx
import numpy as np
import pytest
from prometheus_client import REGISTRY
from serving_harness import HOST, LIMITS, OTHER_RECIPE, RECIPE, Loop, Pair, bundle_of

from forgery.recipes import parse_recipe
from serving.limits import ServingLimits
from serving.sdk import GRPCInferenceServiceStub, pb


def detect(pair: Pair, jpeg: bytes, outputs: str = "", timeout: float = 30) -> httpx.Response:
    return httpx.post(f"{pair.transformer.url}/v1/detect?outputs={outputs}", content=jpeg, timeout=timeout)


def ready(pair: Pair) -> tuple[int, int, bool]:
    paths = ("/v2/health/ready", "/v2/models/forgery/ready")
    rest = [httpx.get(pair.transformer.url + path).status_code for path in paths]
    with grpc.insecure_channel(pair.transformer.grpc) as channel:
        stub = GRPCInferenceServiceStub(channel)
        return rest[0], rest[1], stub.ModelReady(pb.ModelReadyRequest(name="forgery")).ready


def eventually(condition: Any, timeout_s: float = 10) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def requests_inside() -> float:
    """Of both servers, which share this process."""
    return REGISTRY.get_sample_value("forgery_requests_inside") or 0.0


def grpc_infer(pair: Pair, jpeg: bytes, timeout: float = 30) -> Any:
    tensor = pb.ModelInferRequest.InferInputTensor(name="image", datatype="BYTES", shape=[1])
    raw = [len(jpeg).to_bytes(4, "little") + jpeg]
    with grpc.insecure_channel(pair.transformer.grpc) as channel:
        question = pb.ModelInferRequest(model_name="forgery", inputs=[tensor], raw_input_contents=raw)
        return GRPCInferenceServiceStub(channel).ModelInfer(question, timeout=timeout)


def test_readiness_goes_with_the_predictor_and_comes_back_with_it(own_pair: Pair, jpeg: bytes) -> None:
    assert ready(own_pair) == (200, 200, True)
    own_pair.predictor.stop()
    eventually(lambda: ready(own_pair) == (503, 503, False))
    assert httpx.get(f"{own_pair.transformer.url}/v2/health/live").status_code == 200
    own_pair.predictor.start()
    eventually(lambda: ready(own_pair) == (200, 200, True))
    assert detect(own_pair, jpeg).status_code == 200


def test_without_a_predictor_the_answer_is_503_and_quick(own_pair: Pair, jpeg: bytes) -> None:
    assert detect(own_pair, jpeg).status_code == 200
    own_pair.predictor.stop()
    start = time.monotonic()
    answer = detect(own_pair, jpeg)
    assert time.monotonic() - start < 3
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert answer.json() == {"error": "no model is ready to answer"}
    with pytest.raises(grpc.RpcError) as caught:
        grpc_infer(own_pair, jpeg)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert HOST not in caught.value.details()


def test_a_predictor_that_is_back_within_a_second_costs_no_request(own_pair: Pair, jpeg: bytes) -> None:
    assert detect(own_pair, jpeg).status_code == 200
    own_pair.predictor.stop()
    with ThreadPoolExecutor(2) as threads:
        asked = [threads.submit(detect, own_pair, jpeg) for _ in range(2)]
        time.sleep(0.7)
        assert not any(each.done() for each in asked)
        own_pair.predictor.start()
        assert [each.result().status_code for each in asked] == [200, 200]


def test_a_predictor_that_stays_away_keeps_nobody_waiting(own_pair: Pair, jpeg: bytes) -> None:
    own_pair.predictor.stop()
    detect(own_pair, jpeg)  # waits for it to come back, once for all that follow
    start = time.monotonic()
    assert [detect(own_pair, jpeg).status_code for _ in range(2)] == [503, 503]
    assert time.monotonic() - start < 2


def test_a_slow_predictor_is_a_504_and_probes_are_answered_meanwhile(own_pair: Pair, jpeg: bytes) -> None:
    own_pair.engine.delay_s = LIMITS.request_timeout_s + 1
    with ThreadPoolExecutor(2) as threads:
        slow = threads.submit(detect, own_pair, jpeg)
        time.sleep(0.5)
        start = time.monotonic()
        assert ready(own_pair) == (200, 200, True)
        assert time.monotonic() - start < 1
        assert (slow.result().status_code, slow.result().json()["error"][:3]) == (504, "the")


def test_a_callers_own_deadline_is_kept(own_pair: Pair, jpeg: bytes) -> None:
    own_pair.engine.delay_s = 2
    with pytest.raises(grpc.RpcError) as caught:
        grpc_infer(own_pair, jpeg, timeout=0.5)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


def test_a_new_model_gets_the_evidence_it_wants_without_a_restart(own_pair: Pair, jpeg: bytes) -> None:
    first = detect(own_pair, jpeg, "model_version").json()["results"][0]
    own_pair.predictor.stop()
    other = own_pair.new_predictor(bundle_of(OTHER_RECIPE, "b" * 32)).start()
    try:
        eventually(lambda: ready(own_pair) == (200, 200, True))
        second = detect(own_pair, jpeg, "model_version").json()["results"][0]
        assert (first["model_version"], second["model_version"]) == ("a" * 32, "b" * 32)
        assert own_pair.engine.received[-1].shape[1:] == parse_recipe(OTHER_RECIPE).shape
    finally:
        other.stop()


def test_no_request_fails_and_none_is_mixed_up_while_models_change(own_pair: Pair, jpeg: bytes) -> None:
    shapes = {"a" * 32: parse_recipe(RECIPE).shape[0], "b" * 32: parse_recipe(OTHER_RECIPE).shape[0]}
    stop, answers = threading.Event(), []

    def keep_asking() -> None:
        with httpx.Client(base_url=own_pair.transformer.url, timeout=30) as client:
            while not stop.is_set():
                answers.append(client.post("/v1/detect?outputs=model_version,activation_map", content=jpeg))

    with ThreadPoolExecutor(3) as threads:
        asking = [threads.submit(keep_asking) for _ in range(3)]
        current = own_pair.predictor
        for digest in ("b" * 32, "a" * 32, "b" * 32):
            time.sleep(0.5)
            recipe = OTHER_RECIPE if digest[0] == "b" else RECIPE
            following = own_pair.new_predictor(bundle_of(recipe, digest)).start()
            current.stop()
            current = following
        time.sleep(0.5)
        stop.set()
        for each in asking:
            each.result()
        current.stop()
    assert {answer.status_code for answer in answers} == {200}
    results = [answer.json()["results"][0] for answer in answers]
    assert {result["model_version"] for result in results} == set(shapes)
    for result in results:
        # The stand-in network's map is an eighth of the evidence it saw.
        assert len(result["activation_map"]) == shapes[result["model_version"]] / 8


def test_a_predictor_that_answers_nonsense_is_a_503(own_pair: Pair, jpeg: bytes) -> None:
    own_pair.engine.predict = lambda maps, outputs: {"probability_forged": np.zeros(0, np.float32)}  # type: ignore[method-assign]
    answer = detect(own_pair, jpeg)
    assert answer.status_code == 503
    assert answer.json() == {"error": "the model gave no usable answer"}


def test_a_predictor_that_breaks_says_nothing_of_its_inside(own_pair: Pair, jpeg: bytes) -> None:
    def broken(maps: Any, outputs: Any) -> Any:
        raise RuntimeError("secret path /mnt/models")

    own_pair.engine.predict = broken  # type: ignore[method-assign]
    answer = detect(own_pair, jpeg)
    assert answer.status_code == 503
    direct = {"name": RECIPE, "datatype": "UINT8", "shape": [1, 32, 32, 3], "data": [0] * 3072}
    with httpx.Client(base_url=own_pair.predictor.url) as client:
        for _ in range(2):  # the connection survives
            inside = client.post("/v2/models/forgery/infer", json={"inputs": [direct]})
            assert (inside.status_code, inside.json()) == (500, {"error": "internal error"})
    assert "secret" not in answer.text


@pytest.fixture
def narrow_pair(serving_loop: Loop) -> Iterator[Pair]:
    pair = Pair(ServingLimits(max_requests=2, request_timeout_s=20), serving_loop)
    with contextlib.ExitStack() as stack:
        for server in (pair.predictor, pair.transformer):
            stack.callback(server.start().stop)
        yield pair


def test_a_full_house_says_when_to_come_back(narrow_pair: Pair, jpeg: bytes) -> None:
    narrow_pair.engine.delay_s = 1
    with ThreadPoolExecutor(6) as threads:
        answers = list(threads.map(lambda _: detect(narrow_pair, jpeg), range(6)))
        codes = sorted(answer.status_code for answer in answers)
        assert codes == [200, 200, 429, 429, 429, 429]
        assert next(a for a in answers if a.status_code == 429).headers["retry-after"] == "1"
        narrow_pair.engine.delay_s = 2
        inside = [threads.submit(detect, narrow_pair, jpeg) for _ in range(2)]
        eventually(lambda: requests_inside() >= 3)  # two in the transformer, one of them in the predictor too
        with pytest.raises(grpc.RpcError) as caught:
            grpc_infer(narrow_pair, jpeg)
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert dict(caught.value.trailing_metadata())["grpc-retry-pushback-ms"] == "1000"
        assert [each.result().status_code for each in inside] == [200, 200]
    assert detect(narrow_pair, jpeg).status_code == 200


def test_large_requests_do_not_pile_up_in_memory(serving_loop: Loop, jpeg: bytes) -> None:
    pair = Pair(ServingLimits(max_inside_bytes=int(1.5 * len(jpeg)), request_timeout_s=20), serving_loop)
    pair.engine.delay_s = 2
    with contextlib.ExitStack() as stack, ThreadPoolExecutor(1) as threads:
        for server in (pair.predictor, pair.transformer):
            stack.callback(server.start().stop)
        first = threads.submit(detect, pair, jpeg)
        eventually(lambda: requests_inside() >= 2)  # in both servers
        second = detect(pair, jpeg)
        assert (second.status_code, second.json()["limit"][:17]) == (429, "max_inside_bytes=")
        with pytest.raises(grpc.RpcError) as caught:
            grpc_infer(pair, jpeg)
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert first.result().status_code == 200
        pair.engine.delay_s = 0
        assert detect(pair, jpeg).status_code == 200


def test_an_upload_that_does_not_arrive_is_given_up(own_pair: Pair) -> None:
    import socket

    host, port = own_pair.transformer.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=2 * LIMITS.request_timeout_s + 5) as connection:
        connection.sendall(b"POST /v1/detect HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc")
        assert connection.recv(100).startswith(b"HTTP/1.1 408")


def test_requests_inside_are_finished_before_the_end(own_pair: Pair, jpeg: bytes) -> None:
    own_pair.engine.delay_s = 1.5
    with ThreadPoolExecutor(4) as threads:
        rest = [threads.submit(detect, own_pair, jpeg) for _ in range(2)]
        over_grpc = [threads.submit(grpc_infer, own_pair, jpeg) for _ in range(2)]
        time.sleep(0.7)
        stopping = own_pair.transformer.stopping()
        assert [answer.result().status_code for answer in rest] == [200, 200]
        assert [answer.result().model_version for answer in over_grpc] == ["a" * 32] * 2
        stopping.result(20)
    with pytest.raises(httpx.ConnectError):
        detect(own_pair, jpeg)


def test_every_request_leaves_one_line_without_the_picture(
    own_pair: Pair, jpeg: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    from serving.journal import JsonFormatter

    caplog.set_level("INFO", "serving.request")
    headers = {"x-request-id": "id-1", "traceparent": "00-" + "1" * 32 + "-" + "2" * 16 + "-01"}
    httpx.post(f"{own_pair.transformer.url}/v1/detect", content=jpeg, headers=headers)
    # A line is written after its answer was sent.
    deadline = time.monotonic() + 10
    while len(caplog.records) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    lines = [json.loads(JsonFormatter().format(record)) for record in caplog.records]
    before = next(line for line in lines if line.get("route") == "/v1/detect")
    behind = next(line for line in lines if line.get("protocol") == "grpc")
    assert before["request_id"] == behind["request_id"] == "id-1"
    assert (before["code"], before["labels"], len(before["pictures"][0])) == ("200", ["authentic"], 16)
    assert all(len(json.dumps(line)) < 600 for line in lines)
