"""The pictures of a request, checked before any of them costs anything."""

from dataclasses import dataclass

from forgery.errors import PictureRejected
from forgery.picture import read_header
from serving import journal, metrics
from serving.limits import ServingLimits
from serving.refusal import Reason, Refusal, of_picture
from serving.sdk import InferRequest
from serving.v2 import read_elements

INPUT = "image"


@dataclass(frozen=True)
class Picture:
    """One file within the limits, not yet decoded."""

    encoded: bytes
    pixels: int


def read_pictures(payload: InferRequest, limits: ServingLimits) -> tuple[Picture, ...]:
    """The files of a request, each checked by its header, before any is decoded. Raises Refusal."""
    with metrics.stage("read"):
        return _read(payload, limits)


def _read(payload: InferRequest, limits: ServingLimits) -> tuple[Picture, ...]:
    if [tensor.name for tensor in payload.inputs] != [INPUT] or payload.inputs[0].datatype != "BYTES":
        raise Refusal(Reason.INVALID, f"send exactly one input named {INPUT!r}, of datatype BYTES", limit=INPUT)
    tensor = payload.inputs[0]
    shape = list(tensor.shape)
    count = shape[0] if shape and shape[1:] in ([], [1]) else 0
    if count < 1:
        raise Refusal(Reason.INVALID, f"input {INPUT!r} must have shape [n], one file an element, n >= 1")
    if count > limits.max_pictures:
        limit = f"max_pictures={limits.max_pictures}"
        raise Refusal(Reason.TOO_LARGE, f"{count} pictures are too many for one request", limit=limit)
    pictures = read_elements(tensor)
    if len(pictures) != count:
        raise Refusal(Reason.INVALID, f"input {INPUT!r} says shape {shape} but holds {len(pictures)} elements")
    journal.note_pictures(pictures)
    return tuple(_checked(index, picture, limits) for index, picture in enumerate(pictures))


def _checked(index: int, encoded: bytes, limits: ServingLimits) -> Picture:
    try:
        header = read_header(encoded, limits.picture)
        if header.format not in limits.accepted_formats:
            accepted = ", ".join(limits.accepted_formats)
            raise PictureRejected("format", f"{header.format} is not accepted; accepted are {accepted}", accepted)
    except PictureRejected as error:
        raise of_picture(error, index) from error
    return Picture(encoded, header.width * header.height)
