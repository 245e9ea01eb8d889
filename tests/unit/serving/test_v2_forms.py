"""Reading requests: right ones are read, and no other ever raises anything but a refusal."""

import base64
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from serving.limits import ServingLimits
from serving.pictures import read_pictures
from serving.refusal import Refusal
from serving.sdk import InferInput
from serving.v1 import read_request as read_v1
from serving.v2 import read_elements, read_request, read_uint8

LIMITS = ServingLimits()
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
TENSOR = st.fixed_dictionaries(
    {},
    optional={
        "name": st.just("image") | JSON,
        "datatype": st.sampled_from(["BYTES", "UINT8", "FP16"]) | JSON,
        "shape": st.lists(st.integers(-2, 3), max_size=3) | JSON,
        "data": st.lists(st.text(max_size=8) | JSON, max_size=3) | JSON,
        "parameters": st.fixed_dictionaries({"binary_data_size": st.integers(-2, 9) | JSON}) | JSON,
    },
)
REQUEST = st.fixed_dictionaries(
    {},
    optional={
        "id": st.text(max_size=4) | JSON,
        "inputs": st.lists(TENSOR, max_size=2) | JSON,
        "outputs": st.lists(st.fixed_dictionaries({"name": st.text(max_size=4)}), max_size=2) | JSON,
        "parameters": JSON,
    },
)


def status(read: Callable[[], Any]) -> int:
    """What the caller would get; whatever is raised but a refusal fails the test."""
    try:
        read()
    except Refusal as refusal:
        return refusal.reason.http_status
    return 200


CALLERS = {200, 400, 413, 415, 422}


@settings(max_examples=400, deadline=None)
@given(body=REQUEST | JSON, tail=st.binary(max_size=12), binary=st.booleans())
def test_whatever_json_comes_is_read_or_refused(body: Any, tail: bytes, binary: bool) -> None:
    head = json.dumps(body).encode()
    headers = {"inference-header-content-length": str(len(head))} if binary else {}
    sent = head + (tail if binary else b"")
    assert status(lambda: read_pictures(read_request(sent, headers, "m"), LIMITS)) in CALLERS


@settings(max_examples=200, deadline=None)
@given(body=st.binary(max_size=40), length=st.text(max_size=4) | st.none())
def test_whatever_bytes_come_are_read_or_refused(body: bytes, length: str | None) -> None:
    headers = {} if length is None else {"inference-header-content-length": length}
    assert status(lambda: read_request(body, headers, "m")) in CALLERS
    assert status(lambda: read_v1(body, "m", LIMITS)) in CALLERS


@settings(max_examples=200, deadline=None)
@given(instances=st.lists(JSON, max_size=3) | JSON)
def test_whatever_v1_instances_come_are_read_or_refused(instances: Any) -> None:
    sent = json.dumps({"instances": instances}).encode()
    assert status(lambda: read_pictures(read_v1(sent, "m", LIMITS), LIMITS)) in CALLERS


@settings(deadline=None)
@given(files=st.lists(st.binary(max_size=20), max_size=4))
def test_elements_come_back_as_they_were_sent(files: list[bytes]) -> None:
    text = InferInput("image", [len(files)], "BYTES", data=[base64.b64encode(file).decode() for file in files])
    raw = InferInput("image", [len(files)], "BYTES")
    raw._raw_data = b"".join(len(file).to_bytes(4, "little") + file for file in files)
    assert read_elements(text) == read_elements(raw) == files


@given(raw=st.binary(max_size=24))
def test_broken_length_prefixes_are_refused(raw: bytes) -> None:
    tensor = InferInput("image", [1], "BYTES")
    tensor._raw_data = raw
    if status(lambda: read_elements(tensor)) == 200:
        assert b"".join(len(each).to_bytes(4, "little") + each for each in read_elements(tensor)) == raw


def _tensor(values: Any, shape: list[int], raw: bytes | None = None) -> InferInput:
    tensor = InferInput("r", shape, "UINT8", data=values)
    tensor._raw_data = raw
    return tensor


VALUES: NDArray[np.uint8] = np.arange(12, dtype=np.uint8).reshape(1, 2, 2, 3)


@pytest.mark.parametrize(
    "tensor",
    [
        _tensor(VALUES.tolist(), [1, 2, 2, 3]),
        _tensor(VALUES.ravel().tolist(), [1, 2, 2, 3]),
        _tensor(None, [1, 2, 2, 3], VALUES.tobytes()),
    ],
)
def test_numbers_are_read_nested_flat_or_raw(tensor: InferInput) -> None:
    np.testing.assert_array_equal(read_uint8(tensor, (2, 2, 3)), VALUES)


@settings(max_examples=200, deadline=None)
@given(data=st.lists(JSON, max_size=4), shape=st.lists(st.integers(-3, 2**40), max_size=4))
def test_whatever_numbers_come_are_read_or_refused(data: Any, shape: list[int]) -> None:
    found = status(lambda: read_uint8(_tensor(data, shape), (1, 1, 1)))
    assert found == 400 or (found == 200 and read_uint8(_tensor(data, shape), (1, 1, 1)).size == len(data))
