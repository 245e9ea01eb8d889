"""The REST contract over a real socket."""

import base64
import io
import json
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from serving_harness import OTHER_RECIPE, RECIPE, Pair, bundle_of, encode

from forgery.recipes import evidence, parse_recipe

VERDICT = ["probability_forged", "label", "threshold", "confidence", "model_version"]


def v2(*files: bytes, outputs: tuple[str, ...] = (), **changes: Any) -> dict[str, Any]:
    tensor = {
        "name": "image",
        "datatype": "BYTES",
        "shape": [len(files)],
        "data": [base64.b64encode(file).decode() for file in files],
        **changes,
    }
    return {"inputs": [tensor], **({"outputs": [{"name": name} for name in outputs]} if outputs else {})}


def infer(client: httpx.Client, body: dict[str, Any]) -> httpx.Response:
    return client.post("/v2/models/forgery/infer", json=body)


def columns(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    return {output["name"]: output["data"] for output in answer.json()["outputs"]}


def test_a_picture_gets_its_verdict_with_the_model_that_gave_it(client: httpx.Client, jpeg: bytes) -> None:
    answer = infer(client, v2(jpeg))
    expected = evidence(jpeg, parse_recipe(RECIPE)).mean() / 255
    found = columns(answer)
    assert list(found) == VERDICT
    assert found["probability_forged"] == [pytest.approx(expected, abs=1e-6)]
    assert found["label"] == ["authentic"]
    assert found["confidence"] == [pytest.approx(1 - expected, abs=1e-6)]
    assert found["model_version"] == ["a" * 32] == [answer.json()["model_version"]]


def test_row_i_of_every_output_belongs_to_picture_i(client: httpx.Client, jpeg: bytes) -> None:
    flat = encode(Image.new("RGB", (64, 64), "grey"), "PNG")
    answer = infer(client, v2(flat, jpeg, flat, outputs=("probability_forged", "image_info")))
    found = columns(answer)
    assert found["probability_forged"][0] == found["probability_forged"][2] < found["probability_forged"][1]
    assert [json.loads(info)["format"] for info in found["image_info"]] == ["PNG", "JPEG", "PNG"]


def test_outputs_pick_what_is_computed_and_in_which_order(client: httpx.Client, jpeg: bytes) -> None:
    found = columns(infer(client, v2(jpeg, outputs=("ela", "label", "heatmap", "self_matches", "spectrum"))))
    assert list(found) == ["ela", "label", "heatmap", "self_matches", "spectrum"]
    for name in ("ela", "heatmap", "self_matches", "spectrum"):
        with Image.open(io.BytesIO(base64.b64decode(found[name][0]))) as picture:
            assert picture.format == "PNG"


def test_the_ela_picture_shows_the_evidence_itself(client: httpx.Client, jpeg: bytes) -> None:
    found = columns(infer(client, v2(jpeg, outputs=("ela",))))
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(found["ela"][0]))))
    np.testing.assert_array_equal(shown, evidence(jpeg, parse_recipe(RECIPE)))


def test_metadata_declares_every_output_that_can_be_asked_for(client: httpx.Client, jpeg: bytes) -> None:
    metadata = client.get("/v2/models/forgery").json()
    assert metadata["inputs"] == [{"name": "image", "datatype": "BYTES", "shape": [-1]}]
    assert metadata["versions"] == ["a" * 32]
    names = tuple(output["name"] for output in metadata["outputs"])
    answer = infer(client, v2(jpeg, outputs=names))
    declared = {output["name"]: (output["datatype"], len(output["shape"])) for output in metadata["outputs"]}
    answered = {output["name"]: (output["datatype"], len(output["shape"])) for output in answer.json()["outputs"]}
    assert answered == declared


def test_metadata_says_how_good_the_model_is_and_where_its_card_is(client: httpx.Client) -> None:
    properties = client.get("/v2/models/forgery").json()["properties"]
    assert (properties["f1"], properties["f1_low"], properties["f1_high"]) == ("0.81", "0.77", "0.85")
    assert (properties["recipe"], properties["model_card"]) == (RECIPE, "a" * 32 + "/model_card.md")


def test_a_version_in_the_query_is_no_error_of_ours(client: httpx.Client) -> None:
    assert client.get("/v2/models/forgery?model_version=7").status_code == 200
    assert client.get("/v2/models/forgery/ready?model_version=7").status_code == 200


def test_raw_bytes_may_follow_the_json(client: httpx.Client, jpeg: bytes) -> None:
    raw = len(jpeg).to_bytes(4, "little") + jpeg
    tensor = {"name": "image", "datatype": "BYTES", "shape": [1], "parameters": {"binary_data_size": len(raw)}}
    head = json.dumps({"inputs": [tensor]}).encode()
    headers = {"inference-header-content-length": str(len(head)), "content-type": "application/octet-stream"}
    answer = client.post("/v2/models/forgery/infer", content=head + raw, headers=headers)
    assert columns(answer) == columns(infer(client, v2(jpeg)))


def test_v1_answers_in_its_own_shape(client: httpx.Client, jpeg: bytes) -> None:
    text = base64.b64encode(jpeg).decode()
    instances = [{"image": {"b64": text}}, {"image_bytes": {"b64": text}}, {"b64": text}]
    answer = client.post("/v1/models/forgery:predict", json={"instances": instances})
    assert answer.status_code == 200
    first, second, third = answer.json()["predictions"]
    assert first == second == third
    assert list(first) == VERDICT


def test_a_form_with_files_gets_one_result_a_file(client: httpx.Client, jpeg: bytes) -> None:
    answer = client.post("/v1/detect", files=[("file", ("a.jpg", jpeg)), ("file", ("b.jpg", jpeg))])
    assert [result["file"] for result in answer.json()["results"]] == ["a.jpg", "b.jpg"]
    assert answer.json()["results"][0]["label"] == "authentic"


@pytest.mark.parametrize("content_type", ["image/jpeg", "application/octet-stream", "image/anything", None])
def test_a_bare_body_is_one_file(client: httpx.Client, jpeg: bytes, content_type: str | None) -> None:
    headers = {"content-type": content_type} if content_type else {}
    answer = client.post("/v1/detect?outputs=label,image_info", content=jpeg, headers=headers)
    assert answer.status_code == 200
    (result,) = answer.json()["results"]
    assert result["image_info"]["bytes"] == len(jpeg)


def test_an_interlaced_palette_a_cmyk_and_a_16_bit_picture_are_scored(client: httpx.Client, photo: Image.Image) -> None:
    deep = Image.fromarray(np.asarray(photo.convert("L")).astype(np.uint16) * 256)
    files = (encode(photo.convert("P"), "PNG"), encode(photo.convert("CMYK")), encode(deep, "TIFF"))
    assert len(columns(infer(client, v2(*files)))["label"]) == 3


def _bad_pictures() -> dict[str, tuple[bytes, int, str]]:
    photo = Image.effect_noise((200, 150), 60).convert("RGB")
    whole = encode(photo)
    return {
        "empty": (b"", 400, "empty"),
        "text": (b"hello, world", 400, "accepted are"),
        "truncated": (whole[: len(whole) // 2], 400, "truncated"),
        "gif": (encode(photo, "GIF"), 415, "GIF is not accepted"),
        "animated": (encode(photo, "WEBP", save_all=True, append_images=[photo.rotate(9)]), 400, "frames"),
        "bomb": (encode(Image.new("L", (1200, 1000)), "PNG"), 413, "pixels"),
        "large": (encode(Image.effect_noise((900, 900), 99), "PNG"), 413, "bytes"),
    }


@pytest.mark.parametrize("kind", _bad_pictures())
def test_a_bad_picture_is_refused_by_its_place_and_nothing_is_scored(
    client: httpx.Client, pair: Pair, jpeg: bytes, kind: str
) -> None:
    picture, status, said = _bad_pictures()[kind]
    before = len(pair.engine.received)
    answer = infer(client, v2(jpeg, picture))
    assert answer.status_code == status
    assert answer.json()["index"] == 1
    assert answer.json()["error"].startswith("image[1]: ")
    assert said in answer.json()["error"]
    assert len(pair.engine.received) == before


PIXEL = base64.b64encode(b"x").decode()
BAD_BODIES: dict[str, tuple[Any, int, str]] = {
    "no JSON": (b"{", 400, "not valid JSON"),
    "JSON that is no object": (b"[1]", 422, "object"),
    "no inputs": (b"{}", 422, "inputs: field required"),
    "inputs of another type": (b'{"inputs": 7}', 422, "inputs"),
    "no such input": (v2(b"x", name="picture"), 400, "'image'"),
    "another datatype": (v2(b"x", datatype="FP32"), 400, "BYTES"),
    "no base64": (v2(b"x", data=["%%%"]), 400, "base64"),
    "numbers for text": (v2(b"x", data=[1]), 400, "base64"),
    "non-ASCII text": (v2(b"x", data=["é"]), 400, "base64"),
    "shape and data differ": (v2(b"x", shape=[2]), 400, "holds 1 elements"),
    "no picture": (v2(shape=[0], data=[]), 400, "n >= 1"),
    "a negative shape": (v2(b"x", shape=[-1]), 400, "n >= 1"),
    "too many dimensions": (v2(b"x", shape=[1, 1, 1]), 400, "shape [n]"),
    "too many pictures": (v2(*[b"x"] * 5), 413, "5 pictures"),
    "an unknown output": (v2(b"x", outputs=("password",)), 400, "probability_forged, label"),
    "two inputs": ({"inputs": v2(b"x")["inputs"] * 2}, 400, "exactly one"),
}


@pytest.mark.parametrize("kind", BAD_BODIES)
def test_a_wrong_request_is_told_what_is_accepted(client: httpx.Client, kind: str) -> None:
    body, status, said = BAD_BODIES[kind]
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = client.post("/v2/models/forgery/infer", content=content, headers={"content-type": "application/json"})
    assert answer.status_code == status, answer.text
    assert said in answer.json()["error"]
    assert set(answer.json()) <= {"error", "limit", "index"}


@pytest.mark.parametrize("length", ["-1", "x", "999999", "", "9" * 5000, b"\xb2"])
def test_a_wrong_length_of_the_json_part_is_refused(client: httpx.Client, length: Any) -> None:
    answer = client.post("/v2/models/forgery/infer", content=b"{}", headers={"inference-header-content-length": length})
    assert answer.status_code in (400, 422)


@pytest.mark.parametrize("size", [3_000_000, 12_000_000])
def test_too_large_a_body_gets_413_with_the_limit_not_a_broken_connection(client: httpx.Client, size: int) -> None:
    for declared in (True, False):
        content: Any = b"x" * size if declared else (b"x" * 100_000 for _ in range(size // 100_000))
        answer = client.post("/v1/detect", content=content)
        assert answer.status_code == 413
        assert answer.json()["limit"] == "max_body_bytes=2000000"


@pytest.mark.parametrize(
    ("content_type", "content", "status"),
    [
        ("text/html", b"<p>", 415),
        ("multipart/form-data", b"x", 400),
        ("multipart/form-data; boundary=b", b"--b\r\nnonsense", 400),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\nx\r\n--b--\r\n',
            400,
        ),
    ],
)
def test_a_form_that_cannot_be_read_is_refused(
    client: httpx.Client, content_type: str, content: bytes, status: int
) -> None:
    answer = client.post("/v1/detect", content=content, headers={"content-type": content_type})
    assert answer.status_code == status, answer.text
    assert answer.json()["error"]


def test_too_many_files_in_a_form_are_refused(client: httpx.Client, jpeg: bytes) -> None:
    for count in (5, 9):
        answer = client.post("/v1/detect", files=[("file", (f"{i}.jpg", jpeg)) for i in range(count)])
        assert (answer.status_code, answer.json()["limit"]) == (413, "max_pictures=4")


def test_no_error_shows_what_was_sent_or_what_is_inside(client: httpx.Client, pair: Pair) -> None:
    secret = "c2VjcmV0LXNlY3JldA=="
    for body in (v2(b"x", data=[secret]), v2(b"x", parameters=[secret]), {"inputs": secret}):
        text = infer(client, body).text
        assert secret not in text
        assert "Traceback" not in text
        assert pair.predictor.grpc not in text


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/v2/repository/models/forgery/unload", 404),
        ("POST", "/v2/repository/models/forgery/load", 404),
        ("GET", "/docs", 404),
        ("GET", "/nothing", 404),
        ("GET", "/v2/models/other", 404),
        ("POST", "/v2/models/other/infer", 404),
        ("POST", "/v1/models/other:predict", 404),
        ("GET", "/v1/models/other", 404),
        ("DELETE", "/v2/models/forgery", 405),
        ("GET", "/v1/detect", 405),
    ],
)
def test_what_is_not_offered_is_not_there(client: httpx.Client, method: str, path: str, status: int) -> None:
    answer = client.request(method, path)
    assert answer.status_code == status
    assert set(answer.json()) == {"error"}
    assert client.get("/v2/models/forgery/ready").status_code == 200


def test_the_request_id_comes_back_and_one_is_made_where_none_came(client: httpx.Client, jpeg: bytes) -> None:
    headers = {"x-request-id": "abc-123"}
    assert client.post("/v1/detect", content=jpeg, headers=headers).headers["x-request-id"] == "abc-123"
    assert len(client.post("/v1/detect", content=b"").headers["x-request-id"]) == 32


def test_the_description_lists_every_route_and_every_refusal(client: httpx.Client) -> None:
    described = client.get("/openapi.json").json()
    posts = {path: item["post"] for path, item in described["paths"].items() if "post" in item}
    assert set(posts) == {"/v1/detect", "/v1/models/{model_name}:predict", "/v2/models/{model_name}/infer"}
    for post in posts.values():
        assert {"400", "404", "408", "413", "415", "422", "429", "503", "504"} < set(post["responses"])
    assert "error" in described["components"]["schemas"]["Error"]["properties"]


def test_counts_are_kept_for_prometheus(client: httpx.Client, jpeg: bytes) -> None:
    def count(line: str) -> float:
        lines = client.get("/metrics").text.splitlines()
        return next((float(each.split()[-1]) for each in lines if each.startswith(line)), 0.0)

    watched = ('forgery_requests_total{code="200",protocol="rest"}', 'forgery_refusals_total{reason="unsupported"}')
    before = [count(line) for line in watched]
    client.post("/v1/detect", content=jpeg)
    client.post("/v1/detect", content=encode(Image.new("L", (9, 9)), "GIF"))
    assert [count(line) for line in watched] == [before[0] + 1, before[1] + 1]


def _to_predictor(pair: Pair, **changes: Any) -> httpx.Response:
    tensor = {"name": RECIPE, "datatype": "UINT8", "shape": [1, 32, 32, 3], "data": [0] * 3072, **changes}
    return httpx.post(f"{pair.predictor.url}/v2/models/forgery/infer", json={"inputs": [tensor]})


def test_the_predictor_answers_evidence_named_by_its_recipe(pair: Pair) -> None:
    assert columns(_to_predictor(pair))["probability_forged"] == [0.0]
    metadata = httpx.get(f"{pair.predictor.url}/v2/models/forgery").json()
    assert metadata["inputs"] == [{"name": RECIPE, "datatype": "UINT8", "shape": [-1, 32, 32, 3]}]


@pytest.mark.parametrize(
    ("changes", "status", "said"),
    [
        ({"name": OTHER_RECIPE}, 400, RECIPE),
        ({"name": "image"}, 400, RECIPE),
        ({"datatype": "FP32"}, 400, "UINT8"),
        ({"shape": [1, 48, 48, 3]}, 400, "[n,32,32,3]"),
        ({"shape": [0, 32, 32, 3], "data": []}, 400, "[n,32,32,3]"),
        ({"shape": []}, 400, "[n,32,32,3]"),
        ({"shape": [2, 32, 32, 3]}, 400, "3072 values"),
        ({"shape": [9, 32, 32, 3]}, 413, "9 pictures"),
        ({"data": [256] * 3072}, 400, "0 to 255"),
        ({"data": [-1] * 3072}, 400, "0 to 255"),
        ({"data": [0.5] * 3072}, 400, "whole numbers"),
        ({"data": ["a"] * 3072}, 400, "whole numbers"),
        ({"data": [None] * 3072}, 400, "whole numbers"),
        ({"data": [[1], [2, 3]]}, 400, "ragged"),
        ({"data": []}, 400, "whole numbers"),
    ],
)
def test_the_predictor_refuses_any_other_input_and_names_the_one_it_wants(
    pair: Pair, changes: dict[str, Any], status: int, said: str
) -> None:
    answer = _to_predictor(pair, **changes)
    assert answer.status_code == status, answer.text
    assert said in answer.json()["error"]


def test_the_inconclusive_band_is_told_on_request(own_pair: Pair, jpeg: bytes) -> None:
    own_pair.predictor.stop()
    own_pair.predictor = own_pair.new_predictor(bundle_of(digest="b" * 32, band=(0.0, 0.75))).start()
    with httpx.Client(base_url=own_pair.transformer.url, timeout=30) as client:
        found = columns(infer(client, v2(jpeg, outputs=("band_low", "band_high", "label"))))
    assert found == {"band_low": [0.0], "band_high": [0.75], "label": ["inconclusive"]}


def test_prometheus_reads_what_happened(client: httpx.Client, jpeg: bytes) -> None:
    def series() -> dict[str, float]:
        lines = client.get("/metrics").text.splitlines()
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line[0] != "#")}

    before = series()
    assert infer(client, v2(jpeg, jpeg)).status_code == 200
    assert client.post("/v1/detect", content=b"no picture").status_code == 400
    after = series()
    grown = {name for name, value in after.items() if value > before.get(name, 0)}
    stages = ("read", "queue", "decode", "evidence", "hop", "inference")
    assert grown >= {
        'forgery_requests_total{code="200",protocol="rest"}',
        'forgery_requests_total{code="400",protocol="rest"}',
        'forgery_requests_total{code="OK",protocol="grpc"}',
        'forgery_refusals_total{reason="invalid"}',
        'forgery_pictures_rejected_total{reason="unreadable"}',
        'forgery_pictures_total{label="authentic"}',
        "forgery_probability_forged_count",
        *(f'forgery_stage_seconds_count{{stage="{stage}"}}' for stage in stages),
    }
    assert after["forgery_requests_inside"] == after["forgery_pictures_waiting"] == 0
    assert after[f'forgery_model_info{{model_version="{"a" * 32}",recipe="{RECIPE}"}}'] == 1
