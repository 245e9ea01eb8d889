"""The v2 protocol's JSON and binary forms, read with care: whatever is wrong with them is the caller's to mend."""

import base64
import binascii
import re
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray
from pydantic import ValidationError

from serving.refusal import Reason, Refusal, schema_message
from serving.sdk import InferenceRequest, InferInput, InferRequest

# Of the protocol's binary tensor extension: the length of the JSON part in front of the raw tensors.
JSON_LENGTH_HEADER = "inference-header-content-length"
# `str.isdigit` would let superscripts pass, and `int` refuses thousands of digits.
_LENGTH = re.compile(r"[0-9]{1,15}")


def read_request(body: bytes, headers: Mapping[str, str], model_name: str) -> InferRequest:
    """A v2 request as the SDK holds it, from JSON or from JSON followed by raw tensors.

    Raises:
        Refusal: 400 for what is no JSON, 422 for JSON that is no v2 request.
    """
    json_part, tail = _split(body, headers.get(JSON_LENGTH_HEADER))
    fields = read_json(json_part)
    inputs = fields.get("inputs")
    sizes = [_take_binary_size(each) for each in inputs] if isinstance(inputs, list) else []
    try:
        request = InferRequest.from_inference_request(InferenceRequest.model_validate(fields), model_name)
    except ValidationError as error:
        raise Refusal(Reason.SCHEMA, schema_message(error.errors())) from error
    _attach(request.inputs, sizes, tail)
    return request


def read_json(body: bytes) -> dict[str, Any]:
    """A JSON object. Raises Refusal."""
    try:
        fields = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Refusal(Reason.INVALID, "the body is not valid JSON") from error
    if not isinstance(fields, dict):
        raise Refusal(Reason.SCHEMA, "the body must be a JSON object")
    return fields


def _split(body: bytes, json_length: str | None) -> tuple[bytes, bytes]:
    if json_length is None:
        return body, b""
    if not _LENGTH.fullmatch(json_length) or int(json_length) > len(body):
        raise Refusal(Reason.INVALID, "Inference-Header-Content-Length must be the length of the JSON part")
    return body[: int(json_length)], body[int(json_length) :]


def _take_binary_size(fields: Any) -> int | None:
    if not isinstance(fields, dict) or "data" in fields or not isinstance(fields.get("parameters"), dict):
        return None
    size = fields["parameters"].pop("binary_data_size", None)
    if not isinstance(size, int) or size < 0:
        return None
    fields["data"] = []
    return size


def _attach(inputs: list[InferInput], sizes: list[int | None], tail: bytes) -> None:
    start = 0
    for tensor, size in zip(inputs, sizes, strict=True):
        if size is not None:
            tensor._raw_data = tail[start : start + size]
            start += size
    if start != len(tail):
        raise Refusal(Reason.INVALID, f"binary_data_size adds up to {start} bytes, but {len(tail)} follow the JSON")


def read_elements(tensor: InferInput) -> list[bytes]:
    """The elements of a BYTES tensor: text is base64, bytes are themselves.

    Raises:
        Refusal: 400, naming the element.
    """
    if tensor._raw_data is not None:
        return _length_prefixed(tensor._raw_data)
    return [_element(value, index) for index, value in enumerate(tensor.data or [])]


def _length_prefixed(raw: bytes) -> list[bytes]:
    elements: list[bytes] = []
    offset = 0
    while offset < len(raw):
        if offset + 4 > len(raw):
            raise Refusal(Reason.INVALID, "a BYTES element is a 4-byte little-endian length and so many bytes")
        (length,) = struct.unpack_from("<I", raw, offset)
        offset += 4
        if offset + length > len(raw):
            raise Refusal(Reason.INVALID, f"image[{len(elements)}]: the element is shorter than its length says")
        elements.append(raw[offset : offset + length])
        offset += length
    return elements


def _element(value: Any, index: int) -> bytes:
    if isinstance(value, bytes):
        return value
    if not isinstance(value, str):
        raise Refusal(Reason.INVALID, f"image[{index}]: send the file as base64 text", index=index)
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Refusal(Reason.INVALID, f"image[{index}]: this is not valid base64", index=index) from error


def read_uint8(tensor: InferInput, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """The values of a UINT8 tensor of shape [n, *shape]; n is at least 1.

    Raises:
        Refusal: 400, naming the shape wanted and the one found.
    """
    found = list(tensor.shape)
    wanted = ",".join(str(side) for side in ("n", *shape))
    if len(found) != len(shape) + 1 or tuple(found[1:]) != shape or found[0] < 1:
        raise Refusal(Reason.INVALID, f"input {tensor.name!r} must have shape [{wanted}], not {found}")
    size = int(np.prod(found))
    raw = tensor._raw_data
    values = _numbers(tensor) if raw is None else np.frombuffer(raw, np.uint8)
    if values.size != size:
        raise Refusal(Reason.INVALID, f"input {tensor.name!r} holds {values.size} values, its shape says {size}")
    return values.reshape(found)


def _numbers(tensor: InferInput) -> NDArray[np.uint8]:
    try:
        numbers = np.asarray(tensor.data)
    except ValueError as error:
        raise Refusal(Reason.INVALID, f"input {tensor.name!r}: the nesting of data is ragged") from error
    if numbers.dtype.kind not in "iu" or numbers.min(initial=0) < 0 or numbers.max(initial=0) > 255:
        raise Refusal(Reason.INVALID, f"input {tensor.name!r} must hold whole numbers from 0 to 255")
    return numbers.astype(np.uint8)
