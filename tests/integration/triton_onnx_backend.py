"""Triton's backend `onnxruntime`, as far as one model on the CPU needs it; runs inside the server."""

import json
from pathlib import Path

import onnxruntime
import triton_python_backend_utils as triton  # of the server


class TritonPythonModel:
    """What the server makes of a model of this backend."""

    @staticmethod
    def auto_complete_config(config):
        """The repository's own configuration is complete."""
        return config

    def initialize(self, arguments):
        """Load the version that is asked for."""
        self._config = json.loads(arguments["model_config"])
        path = Path(arguments["model_repository"]) / arguments["model_version"] / "model.onnx"
        self._session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    def execute(self, requests):
        """Answer each request by itself."""
        inputs = [each["name"] for each in self._config["input"]]
        outputs = [each["name"] for each in self._config["output"]]
        return [self._answer(request, inputs, outputs) for request in requests]

    def _answer(self, request, inputs, outputs):
        given = {name: triton.get_input_tensor_by_name(request, name).as_numpy() for name in inputs}
        answers = self._session.run(outputs, given)
        return triton.InferenceResponse([triton.Tensor(*pair) for pair in zip(outputs, answers, strict=True)])
