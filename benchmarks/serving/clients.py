"""Callers of each server; a call returns when the verdict is there, and raises when there is none."""

import base64
from collections.abc import Callable, Sequence

import grpc
import httpx

from benchmarks.serving.servers import MODEL_NAME
from forgery.recipes import Evidence
from serving.sdk import GRPCInferenceServiceStub, pb

# Makes what one thread calls with some files.
Connect = Callable[[], Callable[[Sequence[bytes]], object]]
_TIMEOUT_S = 600.0
_UNLIMITED = (("grpc.max_send_message_length", -1), ("grpc.use_local_subchannel_pool", 1))


def over_grpc(address: str) -> Connect:
    """The v2 protocol with raw bytes."""

    def connect() -> Callable[[Sequence[bytes]], object]:
        stub = GRPCInferenceServiceStub(grpc.insecure_channel(address, options=_UNLIMITED))

        def call(files: Sequence[bytes]) -> object:
            tensor = pb.ModelInferRequest.InferInputTensor(name="image", datatype="BYTES", shape=[len(files)])
            raw = b"".join(len(file).to_bytes(4, "little") + file for file in files)
            request = pb.ModelInferRequest(model_name=MODEL_NAME, inputs=[tensor], raw_input_contents=[raw])
            return stub.ModelInfer(request, timeout=_TIMEOUT_S)

        return call

    return connect


def over_rest(url: str) -> Connect:
    """The v2 protocol as JSON; encoding the base64 text is part of the call, as it is for a caller."""

    def connect() -> Callable[[Sequence[bytes]], object]:
        client = httpx.Client(base_url=url, timeout=_TIMEOUT_S)

        def call(files: Sequence[bytes]) -> object:
            texts = [base64.b64encode(file).decode() for file in files]
            tensor = {"name": "image", "datatype": "BYTES", "shape": [len(files)], "data": texts}
            return client.post(f"/v2/models/{MODEL_NAME}/infer", json={"inputs": [tensor]}).raise_for_status()

        return call

    return connect


def over_form(url: str) -> Connect:
    """A form with one file, to the server that is compared with."""

    def connect() -> Callable[[Sequence[bytes]], object]:
        client = httpx.Client(base_url=url, timeout=_TIMEOUT_S)

        def call(files: Sequence[bytes]) -> object:
            (file,) = files
            return client.post("/predict", files={"file": ("a.jpg", file, "image/jpeg")}).raise_for_status()

        return call

    return connect


def evidence_over_grpc(address: str, recipe_name: str, maps: Evidence) -> Callable[[], object]:
    """The transformer's own question to a predictor: uint8 [n, H, W, C]."""
    stub = GRPCInferenceServiceStub(grpc.insecure_channel(address, options=_UNLIMITED))
    tensor = pb.ModelInferRequest.InferInputTensor(name=recipe_name, datatype="UINT8", shape=list(maps.shape))
    request = pb.ModelInferRequest(model_name=MODEL_NAME, inputs=[tensor], raw_input_contents=[maps.tobytes()])
    return lambda: stub.ModelInfer(request, timeout=_TIMEOUT_S)
