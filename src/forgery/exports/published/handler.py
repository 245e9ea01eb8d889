"""Hugging Face Inference Endpoints: POST {"inputs": "<base64 of the file>"}, or a list of such."""

import base64
import binascii
import sys
from pathlib import Path
from typing import Any


class EndpointHandler:
    """What the platform makes once, and calls for every request."""

    def __init__(self, path: str = "") -> None:
        """Load the model in `path`, or in the folder of this file."""
        folder = Path(path or Path(__file__).parent).resolve()
        sys.path.insert(0, str(folder))
        from score import Detector  # type: ignore[import-not-found]  # found in the folder of the model

        self._detector = Detector(folder)

    def __call__(self, data: dict[str, Any]) -> Any:  # noqa: ANN401 -- one answer, or a list as the question was
        """Judge one file, or each of several; see `Detector.score` for the answers."""
        inputs = data.get("inputs", data)
        if isinstance(inputs, list):
            return [self._detector.score(_bytes(each)) for each in inputs]
        return self._detector.score(_bytes(inputs))


def _bytes(given: object) -> bytes:
    if isinstance(given, bytes):
        return given
    if not isinstance(given, str):
        raise ValueError(
            "send the file as it is, in base64, as JSON: a picture sent as image/jpeg arrives here decoded, and the "
            "traces of editing lie in how it was encoded"
        )
    try:
        return base64.b64decode(given, validate=True)
    except binascii.Error as error:
        raise ValueError("inputs must be the base64 of a picture's file") from error
