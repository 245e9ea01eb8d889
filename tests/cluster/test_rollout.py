"""Deploy, history and rollback against the real controller, with requests running."""

import base64
import io
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from kserve import InferenceGRPCClient, InferInput, InferRequest
from kubernetes import client, config
from PIL import Image

from forgery.bundle import Bundle
from forgery.errors import DeployConflict, DeployFailed, InvalidConfig
from forgery.recipes import evidence
from forgery.rollout.cluster import Cluster
from forgery.rollout.endpoint import open_endpoint
from forgery.rollout.kserve import KServeService
from forgery.rollout.port import Revision
from forgery.rollout.transaction import deploy, undo
from forgery.s3 import s3_client, split_uri

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

OTHER_RECIPE = "ela1_q95_gain10_32_bilinear"
Put = Callable[..., Revision]


def picture() -> bytes:
    """Noise on a gradient: its evidence, and so its probability, differs from recipe to recipe."""
    noise = np.random.default_rng(0).integers(0, 60, (256, 256, 3), dtype=np.uint8)
    pixels = np.asarray(Image.radial_gradient("L").convert("RGB")) // 2 + noise
    encoded = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(encoded, "JPEG", quality=85)
    return encoded.getvalue()


class Callers:
    """Requests, ten a second, each on a connection of its own, until told to stop.

    Attributes:
        answers: Model version and probability of each answered request.
        failures: What went wrong with each other one.
    """

    def __init__(self, url: str) -> None:
        self.answers: list[tuple[str, float]] = []
        self.failures: list[str] = []
        self._url = f"{url}/v2/models/forgery/infer"
        encoded = base64.b64encode(picture()).decode()
        self._body = {"inputs": [{"name": "image", "shape": [1], "datatype": "BYTES", "data": [encoded]}]}
        self._begin = time.monotonic()
        self._ended = threading.Event()
        self._pool = ThreadPoolExecutor(8)
        self._clock = threading.Thread(target=self._tick, daemon=True)

    def __enter__(self) -> "Callers":
        self._clock.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._clock.join()
        self._pool.shutdown()

    def _tick(self) -> None:
        while not self._ended.wait(0.1):
            self._pool.submit(self._call)

    def _call(self) -> None:
        try:
            reply = httpx.post(self._url, json=self._body, timeout=20)
            reply.raise_for_status()
            answer = reply.json()
            outputs = {output["name"]: output["data"] for output in answer["outputs"]}
            self.answers.append((answer["model_version"], outputs["probability_forged"][0]))
        except Exception as error:
            text = getattr(getattr(error, "response", None), "text", "")
            since_s = time.monotonic() - self._begin
            self.failures.append(f"{since_s:.1f} s: {type(error).__name__} {error} {text}")

    @property
    def versions(self) -> set[str]:
        return {version for version, _ in self.answers}


@pytest.fixture(scope="module")
def bundles(make_bundle: Callable[..., Bundle]) -> dict[str, Bundle]:
    return {
        "a": make_bundle(bias=0.0, seed=0),
        "b": make_bundle(OTHER_RECIPE, bias=1.0, seed=1),
        "c": make_bundle(bias=2.0, seed=2),
    }


@pytest.fixture
def serving_a(place: Any, put: Put, bundles: dict[str, Bundle]) -> Iterator[Revision]:
    """Bundle a in service before and after, whatever the test did."""
    yield put(bundles["a"], "run-a")
    put(bundles["a"], "run-a-again")


def test_the_first_bundle_turns_the_service_ready(place: Any, put: Put, bundles: dict[str, Bundle]) -> None:
    assert place.service().read().storage_uri is None
    revision = put(bundles["a"], "first")
    assert (revision.number, revision.outcome) == (1, "serving")
    assert bundles["a"].digest in revision.message
    metadata = httpx.get(f"{place.url()}/v2/models/forgery", timeout=10).json()
    assert metadata["versions"] == [bundles["a"].digest]


async def test_the_service_answers_over_grpc_too(place: Any, serving_a: Revision) -> None:
    address = place.url().removeprefix("http://")
    image = InferInput("image", [1], "BYTES")
    image.set_data_from_numpy(np.array([picture()], dtype=object))
    client = InferenceGRPCClient(url=f"{address}:8081")
    answer = await client.infer(InferRequest("forgery", [image]), timeout=30)
    assert answer.model_version == serving_a.model_version


def test_a_deploy_and_a_rollback_fail_no_request(
    place: Any, put: Put, bundles: dict[str, Bundle], serving_a: Revision, tmp_path: Path
) -> None:
    with Callers(place.url()) as callers:
        time.sleep(2)
        put(bundles["b"], "run-b")
        time.sleep(2)
        back = undo(place.service(), None, lambda _: None, tmp_path, 180, "run-undo")
        time.sleep(8)
    assert not callers.failures, callers.failures[:3]
    assert len(callers.answers) > 100
    expected = {bundles[name].digest: probability(bundles[name], bundles[name]) for name in "ab"}
    assert callers.versions == expected.keys()
    wrong = [answer for answer in callers.answers if answer[1] != pytest.approx(expected[answer[0]], abs=1e-4)]
    assert not wrong, "an answer came from one model with the evidence of the other's recipe"
    assert probability(bundles["b"], bundles["a"]) != pytest.approx(expected[bundles["b"].digest], abs=1e-3)
    assert (back.reason, back.model_version) == ("rollback", bundles["a"].digest)


def test_applying_the_manifests_in_the_middle_of_a_rollout_changes_nothing(
    place: Any, put: Put, bundles: dict[str, Bundle], serving_a: Revision
) -> None:
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(put, bundles["b"], "run-mid")
        while not running.done():
            place.apply()
            time.sleep(1)
        revision = running.result()
    assert place.service().read().storage_uri == revision.storage_uri


def test_a_rollout_changes_nothing_that_the_manifests_own(
    place: Any, put: Put, bundles: dict[str, Bundle], serving_a: Revision
) -> None:
    place.apply()
    put(bundles["b"], "run-own")
    done = subprocess.run(["kubectl", "diff", "-k", str(place.overlay)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_a_missing_object_is_taken_back_naming_the_cause(
    place: Any, bundles: dict[str, Bundle], serving_a: Revision, monkeypatch: pytest.MonkeyPatch
) -> None:
    absent = f"{place.bundles}/{'0' * 32}"
    monkeypatch.setattr("forgery.rollout.transaction.publish", lambda bundle, root: absent)
    failing(place, bundles["b"], serving_a, "storage-initializer")


def probability(model: Bundle, recipe_of: Bundle) -> float:
    """What a model says of the callers' picture, with the evidence of a recipe that may be another's."""
    from forgery.engine import Engine

    maps = evidence(picture(), recipe_of.recipe)[np.newaxis]
    return float(Engine(model).predict(maps)["probability_forged"][0])


def failing(place: Any, bundle: Bundle, before: Revision, cause: str) -> None:
    """A deploy that must fail within 3 minutes, with the old model answering all the while."""
    service = place.service()
    begin = time.monotonic()
    with Callers(place.url()) as callers, pytest.raises(DeployFailed, match=cause) as caught:
        deploy(service, bundle, place.bundles, service.read(), 0.9, "run-bad", lambda _: None, 600)
    assert time.monotonic() - begin < 180
    assert f"{before.storage_uri} was put back" in str(caught.value)
    assert service.read().storage_uri == before.storage_uri
    assert service.history()[-1].outcome == "failed"
    assert not callers.failures, callers.failures[:3]
    assert callers.versions == {before.model_version}


def test_a_bundle_that_cannot_be_loaded_is_taken_back_naming_the_cause(
    place: Any, make_light_bundle: Callable[[str], Bundle], serving_a: Revision
) -> None:
    failing(place, make_light_bundle("no network"), serving_a, "kserve-container ended with status")


def test_another_bundle_under_the_digest_is_refused_by_the_pod(
    place: Any,
    bundles: dict[str, Bundle],
    make_bundle: Callable[..., Bundle],
    serving_a: Revision,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wanted, other = make_bundle(bias=3.0, seed=3), bundles["c"]
    bucket, prefix = split_uri(f"{place.bundles}/{wanted.digest}")
    for path in other.path.rglob("*"):
        if path.is_file():
            s3_client().fput_object(bucket, f"{prefix}/{path.relative_to(other.path).as_posix()}", str(path))
    monkeypatch.setattr("forgery.rollout.transaction.publish", lambda bundle, root: f"{root}/{bundle.digest}")
    failing(place, wanted, serving_a, f"holds the bundle {other.digest}")


def test_of_two_deploys_at_once_one_wins_and_the_other_says_who(
    place: Any, bundles: dict[str, Bundle], serving_a: Revision
) -> None:
    expected = place.service().read()

    def attempt(name: str) -> Revision | DeployConflict:
        try:
            return deploy(
                place.service(), bundles[name], place.bundles, expected, 0.9, f"two-{name}", lambda _: None, 180
            )
        except DeployConflict as conflict:
            return conflict

    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(attempt, ("b", "c")))
    (winner,) = [result for result in results if isinstance(result, Revision)]
    (loser,) = [result for result in results if isinstance(result, DeployConflict)]
    assert winner.storage_uri in str(loser)
    assert "by forgery at" in str(loser) or winner.run_id in str(loser)
    assert place.service().read().storage_uri == winner.storage_uri


def test_an_edit_by_somebody_else_meanwhile_is_kept(
    place: Any, put: Put, bundles: dict[str, Bundle], serving_a: Revision
) -> None:
    path = ["--namespace", place.namespace, "inferenceservice", "forgery"]

    def annotate(value: str) -> None:
        patch = f'{{"metadata": {{"labels": {{"theirs": {value}}}}}}}'
        subprocess.run(["kubectl", "patch", *path, "--type=merge", "-p", patch], check=True, capture_output=True)

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(put, bundles["b"], "run-edit")
        time.sleep(1)
        annotate('"kept"')
        running.result()
    assert place.get("inferenceservice", "forgery")["metadata"]["labels"]["theirs"] == "kept"
    annotate("null")


def test_the_rights_of_a_run_are_enough(
    place: Any, bundles: dict[str, Bundle], serving_a: Revision, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORGERY_ENDPOINT", place.url())
    settings = client.Configuration()
    config.load_kube_config(client_configuration=settings)
    account = "system:serviceaccount:kubeflow:forgery-pipeline"
    cluster = Cluster(client.ApiClient(settings, "Impersonate-User", account))
    service = KServeService(cluster, place.namespace, "forgery", open_endpoint(cluster, place.namespace, "forgery"))
    deployed = deploy(service, bundles["b"], place.bundles, service.read(), 0.9, "least", lambda _: None, 180)
    assert service.history()[-1] == deployed
    assert undo(service, None, lambda _: None, tmp_path, 180).storage_uri == serving_a.storage_uri
    service.prune(1)


def test_undo_to_a_revision_of_long_ago(
    place: Any, put: Put, bundles: dict[str, Bundle], serving_a: Revision, tmp_path: Path
) -> None:
    service = place.service()
    newest = service.history()[-1]
    third = next(
        entry
        for entry in service.history()
        if entry.outcome == "serving" and entry.model_version != serving_a.model_version
    )
    for _ in range(30):
        service.record(newest.model_copy(update={"run_id": "filler"}))
    revision = undo(service, third.number, lambda _: None, tmp_path, 180)
    assert revision.storage_uri == third.storage_uri == service.read().storage_uri
    forgotten = service.prune(5)
    assert third.number in [entry.number for entry in forgotten]
    kept = service.history()
    assert len(kept) <= 7
    assert revision.number in [entry.number for entry in kept]
    with pytest.raises(InvalidConfig, match="no revision"):
        undo(service, third.number, lambda _: None, tmp_path, 180)
