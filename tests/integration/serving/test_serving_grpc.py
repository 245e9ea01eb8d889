"""The gRPC contract over a real socket, with the public client library."""

from collections.abc import Iterator, Sequence
from typing import Any

import grpc
import numpy as np
import pytest
from PIL import Image
from serving_harness import OTHER_RECIPE, RECIPE, Pair, encode

from forgery.recipes import evidence, parse_recipe
from serving.sdk import GRPCInferenceServiceStub, pb

VERDICT = ["probability_forged", "label", "threshold", "confidence", "model_version"]


@pytest.fixture(scope="module")
def stub(pair: Pair) -> Iterator[Any]:
    with grpc.insecure_channel(pair.transformer.grpc) as channel:
        yield GRPCInferenceServiceStub(channel)


@pytest.fixture(scope="module")
def predictor_stub(pair: Pair) -> Iterator[Any]:
    with grpc.insecure_channel(pair.predictor.grpc) as channel:
        yield GRPCInferenceServiceStub(channel)


def request(*files: bytes, outputs: Sequence[str] = (), raw: bool = True, **changes: Any) -> Any:
    fields = {"name": "image", "datatype": "BYTES", "shape": [len(files)], **changes}
    tensor = pb.ModelInferRequest.InferInputTensor(**fields)
    wanted = [pb.ModelInferRequest.InferRequestedOutputTensor(name=name) for name in outputs]
    contents = [b"".join(len(file).to_bytes(4, "little") + file for file in files)] if raw else []
    if not raw:
        tensor.contents.bytes_contents.extend(files)
    return pb.ModelInferRequest(
        model_name="forgery", id="r1", inputs=[tensor], outputs=wanted, raw_input_contents=contents
    )


def refused(stub: Any, question: Any, method: str = "ModelInfer") -> grpc.RpcError:
    with pytest.raises(grpc.RpcError) as caught:
        getattr(stub, method)(question, timeout=20)
    return caught.value


def test_raw_files_get_raw_answers(stub: Any, jpeg: bytes) -> None:
    answer = stub.ModelInfer(request(jpeg, jpeg))
    assert [output.name for output in answer.outputs] == VERDICT
    scores = np.frombuffer(answer.raw_output_contents[0], np.float32)
    np.testing.assert_allclose(scores, evidence(jpeg, parse_recipe(RECIPE)).mean() / 255, atol=1e-6)
    assert answer.raw_output_contents[1] == 2 * (b"\x09\x00\x00\x00" + b"authentic")
    assert (answer.id, answer.model_version) == ("r1", "a" * 32)


def test_typed_contents_get_typed_answers(stub: Any, jpeg: bytes) -> None:
    answer = stub.ModelInfer(request(jpeg, raw=False, outputs=("label", "ela")))
    label, ela = answer.outputs
    assert list(label.contents.bytes_contents) == [b"authentic"]
    assert ela.contents.bytes_contents[0].startswith(b"\x89PNG")


def test_rest_and_grpc_agree(stub: Any, client: Any, jpeg: bytes) -> None:
    answer = stub.ModelInfer(request(jpeg, raw=False))
    (record,) = client.post("/v1/detect", content=jpeg).json()["results"]
    assert answer.outputs[0].contents.fp32_contents[0] == pytest.approx(record["probability_forged"])
    assert answer.outputs[4].contents.bytes_contents[0].decode() == record["model_version"]


def test_metadata_names_inputs_outputs_and_version(stub: Any, predictor_stub: Any) -> None:
    before = stub.ModelMetadata(pb.ModelMetadataRequest(name="forgery"))
    behind = predictor_stub.ModelMetadata(pb.ModelMetadataRequest(name="forgery"))
    assert ([i.name for i in before.inputs], [i.name for i in behind.inputs]) == (["image"], [RECIPE])
    assert list(before.versions) == list(behind.versions) == ["a" * 32]
    assert {output.name for output in behind.outputs} < {output.name for output in before.outputs}


def test_health_is_told(stub: Any) -> None:
    assert stub.ServerLive(pb.ServerLiveRequest()).live
    assert stub.ServerReady(pb.ServerReadyRequest()).ready
    assert stub.ModelReady(pb.ModelReadyRequest(name="forgery")).ready


@pytest.mark.parametrize(
    ("question", "said"),
    [
        (request(b"x", name="picture"), "'image'"),
        (request(b"x", datatype="UINT8"), "BYTES"),
        (request(b"x", datatype="NONSENSE"), ""),
        (request(b"x", shape=[7]), "7 pictures"),
        (request(b"x", shape=[2]), "holds 1 elements"),
        (request(b"x", b"y", shape=[1]), "holds 2 elements"),
        (request(b"x", outputs=("nothing",)), "probability_forged"),
        (request(b"hello"), "image[0]"),
        (request(b"", raw=False), "image[0]"),
        (request(encode(Image.new("L", (9, 9)), "GIF")), "GIF is not accepted"),
        (request(encode(Image.new("L", (1200, 1000)), "PNG")), "max_pixels"),
        (pb.ModelInferRequest(model_name="forgery"), "exactly one"),
    ],
)
def test_a_wrong_request_is_an_invalid_argument(stub: Any, question: Any, said: str) -> None:
    error = refused(stub, question)
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert said in error.details() + str(dict(error.trailing_metadata()).get("forgery-limit", ""))


@pytest.mark.parametrize("raw", [b"\x05", b"\x05\x00\x00\x00ab", b"\xff\xff\xff\xffab"])
def test_broken_length_prefixes_are_refused(stub: Any, raw: bytes) -> None:
    question = request(b"x")
    question.raw_input_contents[0] = raw
    assert refused(stub, question).code() is grpc.StatusCode.INVALID_ARGUMENT


def test_the_limit_and_the_place_travel_as_trailers(stub: Any, jpeg: bytes) -> None:
    trailers = dict(refused(stub, request(jpeg, b"?")).trailing_metadata())
    assert trailers["forgery-index"] == "1"
    assert "JPEG" in trailers["forgery-limit"]


def test_too_large_a_message_is_refused(stub: Any) -> None:
    assert refused(stub, request(b"x" * 3_000_000)).code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_the_server_cannot_be_changed_from_outside(stub: Any) -> None:
    load = refused(stub, pb.RepositoryModelLoadRequest(model_name="forgery"), "RepositoryModelLoad")
    unload = refused(stub, pb.RepositoryModelUnloadRequest(model_name="forgery"), "RepositoryModelUnload")
    assert load.code() is unload.code() is grpc.StatusCode.UNIMPLEMENTED
    assert stub.ModelReady(pb.ModelReadyRequest(name="forgery")).ready


def test_another_model_is_not_found(stub: Any) -> None:
    question = request(b"x")
    question.model_name = "other"
    assert refused(stub, question).code() is grpc.StatusCode.NOT_FOUND
    metadata = refused(stub, pb.ModelMetadataRequest(name="other"), "ModelMetadata")
    assert metadata.code() is grpc.StatusCode.NOT_FOUND


def test_the_request_id_comes_back(stub: Any, jpeg: bytes) -> None:
    _, call = stub.ModelInfer.with_call(request(jpeg), metadata=(("x-request-id", "abc"),))
    assert dict(call.initial_metadata())["x-request-id"] == "abc"


@pytest.mark.parametrize("name", [OTHER_RECIPE, "image", ""])
def test_the_predictor_names_the_input_it_wants(predictor_stub: Any, name: str) -> None:
    tensor = pb.ModelInferRequest.InferInputTensor(name=name, datatype="UINT8", shape=[1, 32, 32, 3])
    question = pb.ModelInferRequest(model_name="forgery", inputs=[tensor], raw_input_contents=[bytes(3072)])
    error = refused(predictor_stub, question)
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert RECIPE in error.details()


def test_the_predictor_takes_as_many_pictures_as_the_transformer_sends(predictor_stub: Any) -> None:
    tensor = pb.ModelInferRequest.InferInputTensor(name=RECIPE, datatype="UINT8", shape=[4, 32, 32, 3])
    question = pb.ModelInferRequest(model_name="forgery", inputs=[tensor], raw_input_contents=[bytes(4 * 3072)])
    answer = predictor_stub.ModelInfer(question)
    assert list(answer.outputs[0].shape) == [4]
