"""The payload log behind the real servers."""

import hashlib
from pathlib import Path

import httpx
from serving_harness import LIMITS, RECIPE, Loop, Pair, bundle_of

from forgery.monitoring.payloads import PictureFacts, unpack
from forgery.recipes import evidence, parse_recipe
from serving.payload_log import PayloadLog


def test_a_request_leaves_a_line_with_the_score_that_was_answered(
    serving_loop: Loop, tmp_path: Path, jpeg: bytes
) -> None:
    log = PayloadLog(tmp_path, keep_days=1, keep_mb=1, segment_s=3600)
    pair = Pair(LIMITS, serving_loop, log)
    pair.predictor.start()
    pair.transformer.start()
    try:
        answer = httpx.post(f"{pair.transformer.url}/v1/detect", content=jpeg, timeout=30).json()["results"][0]
        assert httpx.post(f"{pair.transformer.url}/v1/detect", content=b"nothing", timeout=30).status_code == 400
    finally:
        pair.transformer.stop()
        pair.predictor.stop()
        log.close()
    (segment,) = tmp_path.glob("*.jsonl.gz")
    (record,) = unpack(segment.read_bytes())
    assert record.digest == hashlib.sha256(jpeg).hexdigest()
    assert abs(record.probability_forged - answer["probability_forged"]) < 1e-6
    assert (record.label, record.model_version) == (answer["label"], bundle_of().digest)
    assert PictureFacts.measure(jpeg, evidence(jpeg, parse_recipe(RECIPE))) == PictureFacts(**record.model_dump())
