"""No request takes the service down, makes it lie about whose fault it was, or makes a probe wait."""

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import grpc
import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from serving_harness import RECIPE, Pair

from benchmarks.serving.corpus import hostile_request, whole_files
from serving.sdk import GRPCInferenceServiceStub, pb

REQUESTS = 2000
ANSWERS = {200, 400, 413, 415, 422}
REFUSALS = {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.RESOURCE_EXHAUSTED}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:::PIL")
def test_hostile_requests_are_scored_or_refused_and_probes_are_answered_meanwhile(pair: Pair) -> None:
    with httpx.Client(base_url=pair.transformer.url, timeout=60) as client, ThreadPoolExecutor(2) as threads:

        def ask(seed: int) -> tuple[int, int, str]:
            request = hostile_request(seed)
            answer = client.post(request.path, content=request.body, headers=request.headers)
            return answer.status_code, seed, answer.text if answer.status_code not in ANSWERS else ""

        waits = []
        answering = [threads.submit(ask, seed) for seed in range(REQUESTS)]
        while not all(each.done() for each in answering):
            start = time.monotonic()
            assert client.get("/v2/health/live").status_code == 200
            waits.append(time.monotonic() - start)
            time.sleep(0.05)
        found = [each.result() for each in answering]
    wrong = [each for each in found if each[0] not in ANSWERS]
    assert wrong == []
    codes = Counter(status for status, _, _ in found)
    assert min(codes[200], codes[400], codes[422]) > REQUESTS / 20
    # A quarter of a second is asked of an idle machine; a busy one may stretch a few.
    assert sorted(waits)[int(0.95 * len(waits))] < 0.25


def test_the_corpus_starts_from_files_that_are_scored_or_refused_for_their_format(client: httpx.Client) -> None:
    codes = Counter(client.post("/v1/detect", content=file).status_code for file in whole_files())
    # GIF, PPM and floating-point TIFF are not accepted.
    assert codes == {200: len(whole_files()) - 3, 415: 3}


CLIENT = httpx.Client(timeout=20)  # making one takes longer than most answers
SHAPES = st.lists(st.integers(-(2**63), 2**63 - 1), max_size=5) | st.lists(st.integers(0, 40), max_size=5)
NAMES = st.sampled_from(["image", "", RECIPE, "label"]) | st.text(max_size=20)
DATATYPES = st.sampled_from(["BYTES", "UINT8", "FP32", "FP16", "INT64", "BOOL", ""]) | st.text(max_size=8)
CONTENTS = st.fixed_dictionaries(
    {},
    optional={
        "bytes_contents": st.lists(st.binary(max_size=40), max_size=3),
        "uint_contents": st.lists(st.integers(0, 2**32 - 1), max_size=5),
        "fp32_contents": st.lists(st.floats(width=32), max_size=3),
    },
)
TENSORS = st.builds(
    lambda name, datatype, shape, contents: pb.ModelInferRequest.InferInputTensor(
        name=name, datatype=datatype, shape=shape, contents=pb.InferTensorContents(**contents)
    ),
    NAMES,
    DATATYPES,
    SHAPES,
    CONTENTS,
)
PARAMETERS = st.dictionaries(
    st.sampled_from(["binary_data_size", "binary_data_output", "x"]),
    st.builds(lambda n: pb.InferParameter(int64_param=n), st.integers(-(2**63), 2**63 - 1)),
    max_size=2,
)
QUESTIONS = st.builds(
    lambda tensors, raw, outputs, parameters: pb.ModelInferRequest(
        model_name="forgery",
        inputs=tensors,
        raw_input_contents=raw,
        outputs=[pb.ModelInferRequest.InferRequestedOutputTensor(name=name) for name in outputs],
        parameters=parameters,
    ),
    st.lists(TENSORS, max_size=3),
    st.lists(st.binary(max_size=80), max_size=3),
    st.lists(NAMES, max_size=3),
    PARAMETERS,
)


@pytest.mark.slow
@pytest.mark.parametrize("server", ["transformer", "predictor"])
@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(question=QUESTIONS)
def test_whatever_tensors_say_of_themselves_is_scored_or_refused(pair: Pair, server: str, question: object) -> None:
    with grpc.insecure_channel(getattr(pair, server).grpc) as channel:
        call = GRPCInferenceServiceStub(channel).ModelInfer.future(question, timeout=20)
        assert call.code() in {grpc.StatusCode.OK, *REFUSALS}, (call.code(), call.details(), question)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)
FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "name": st.just("image") | JSON,
        "shape": st.just([1]) | JSON,
        "datatype": st.just("BYTES") | JSON,
        "data": st.lists(st.text(max_size=12), max_size=2) | JSON,
        "parameters": st.dictionaries(st.just("binary_data_size"), JSON, max_size=1) | JSON,
    },
)
BODIES = st.fixed_dictionaries(
    {}, optional={"inputs": st.lists(FIELDS, max_size=2) | JSON, "outputs": JSON, "id": JSON, "parameters": JSON}
)


@pytest.mark.slow
@pytest.mark.parametrize("server", ["transformer", "predictor"])
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=BODIES | JSON)
def test_whatever_json_is_scored_or_refused(pair: Pair, server: str, body: object) -> None:
    answer = CLIENT.post(f"{getattr(pair, server).url}/v2/models/forgery/infer", json=body)
    assert answer.status_code in ANSWERS, (answer.status_code, answer.text, body)
