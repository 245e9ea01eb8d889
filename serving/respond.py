"""Answers in the v2 protocol's form, and as plain records."""

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import orjson
from fastapi import Response

from serving import journal, metrics
from serving.outputs import Output
from serving.sdk import InferOutput, InferRequest, InferResponse


def respond(
    model_name: str, request: InferRequest, model_version: str, outputs: Sequence[Output], columns: Mapping[str, Any]
) -> InferResponse:
    """A v2 response of some columns; one value a picture, text or bytes in a list, numbers in an array."""
    raw = request.use_binary_outputs
    tensors = []
    for output in outputs:
        column = columns[output.name]
        data = column if isinstance(column, np.ndarray) else np.array(column, dtype=np.object_)
        tensor = InferOutput(output.name, list(data.shape), output.datatype)
        if raw or isinstance(column, np.ndarray):
            tensor.set_data_from_numpy(data, binary_data=raw)
        else:
            tensor.data = column
        tensors.append(tensor)
    return InferResponse(
        request.id or _own_id(), model_name, tensors, model_version=model_version, use_binary_outputs=raw
    )


def _own_id() -> str:
    entry = journal.current()
    return entry.request_id if entry is not None else ""


def count_verdicts(columns: Mapping[str, Any]) -> None:
    """Count labels and scores for Prometheus."""
    for label, probability in zip(columns["label"], columns["probability_forged"], strict=True):
        metrics.PICTURES.labels(label).inc()
        metrics.SCORES.observe(float(probability))


def json_response(content: Any) -> Response:
    """A JSON answer; call it in a thread, since pictures in an answer make it large."""
    return Response(orjson.dumps(content), media_type="application/json")


def records_response(response: InferResponse, key: str, names: Sequence[str] | None = None) -> Response:
    """`{key: [record, ...]}`, each with the name of its file where there are names."""
    records = as_records(response)
    if names is not None:
        records = [{"file": name, **record} for name, record in zip(names, records, strict=True)]
    return json_response({key: records})


def as_records(response: InferResponse) -> list[dict[str, Any]]:
    """One object a picture, for answers in plain JSON; pictures are base64 text, `image_info` an object."""
    records: list[dict[str, Any]] = [{} for _ in range(response.outputs[0].shape[0])]
    for tensor in response.outputs:
        values = tensor.as_numpy().tolist()
        for record, value in zip(records, values, strict=True):
            record[tensor.name] = _plain(tensor.name, value)
    return records


def _plain(name: str, value: Any) -> Any:
    if name == "image_info":
        return orjson.loads(value)
    return base64.b64encode(value).decode("ascii") if isinstance(value, bytes) else value
