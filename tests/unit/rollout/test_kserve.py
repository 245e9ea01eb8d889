"""The adapter for KServe against an API server in memory that does what the real one was seen to do."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from forgery.errors import DeployConflict, DeployFailed, InvalidConfig, ServiceUnavailable
from forgery.rollout import kserve
from forgery.rollout.cluster import Refused
from forgery.rollout.kserve import KServeService
from forgery.rollout.port import Revision, ServiceState
from forgery.rollout.progress import SOURCE_URI

SERVICE = "/apis/serving.kserve.io/v1beta1/namespaces/ns/inferenceservices/forgery"
REVISIONS = "/apis/apps/v1/namespaces/ns/controllerrevisions"
DEPLOYMENT = "/apis/apps/v1/namespaces/ns/deployments/forgery-predictor"
PODS = "/api/v1/namespaces/ns/pods"
ENTRY = Revision(
    number=0,
    storage_uri="s3://m/a",
    model_version="a",
    f1=0.8,
    run_id="r",
    created_at="2026-01-01T00:00:00+00:00",
    reason="deploy",
    outcome="serving",
)


class MemoryCluster:
    """One InferenceService and its ControllerRevisions.

    Attributes:
        before_patch: Called once before the next patch: what somebody else does at that moment.
        before_create: The same before the next ControllerRevision.
    """

    def __init__(self) -> None:
        self.service: dict[str, Any] | None = {
            "apiVersion": "serving.kserve.io/v1beta1",
            "kind": "InferenceService",
            "metadata": {"name": "forgery", "uid": "u1", "generation": 1},
            "spec": {"predictor": {"model": {"runtime": "r"}}},
        }
        self.revisions: dict[str, dict[str, Any]] = {}
        self.deployment: dict[str, Any] | None = None
        self.pods: list[dict[str, Any]] = []
        self.before_patch: Callable[[], None] | None = None
        self.before_create: Callable[[], None] | None = None

    @property
    def uri(self) -> str | None:
        assert self.service
        found: str | None = self.service["spec"]["predictor"]["model"].get("storageUri")
        return found

    def set_uri(self, uri: str | None) -> None:
        assert self.service
        model = self.service["spec"]["predictor"]["model"]
        model.pop("storageUri", None)
        if uri is not None:
            model["storageUri"] = uri
        self.touch()

    def touch(self) -> None:
        assert self.service
        self.service["metadata"]["generation"] += 1

    def request(self, method: str, path: str, body: Any = None, query: dict[str, str] | None = None) -> Any:
        answer = getattr(self, f"_{method.lower()}")(path, body, query or {})
        return copy.deepcopy(answer)

    def _get(self, path: str, _: Any, query: dict[str, str]) -> Any:
        if path == REVISIONS:
            name = query.get("fieldSelector", "").removeprefix("metadata.name=")
            return {"items": [entry for key, entry in self.revisions.items() if name in ("", key)]}
        if path == PODS:
            return {"items": self.pods}
        found = {SERVICE: self.service, DEPLOYMENT: self.deployment}[path]
        if found is None:
            raise Refused(404, f"{path} not found")
        return found

    def _patch(self, path: str, body: list[dict[str, Any]], query: dict[str, str]) -> Any:
        assert path == SERVICE
        assert self.service
        if act := self.before_patch:
            self.before_patch = None
            act()
        if body[0]["path"] == "/spec/predictor/canaryTrafficPercent":
            self.service["spec"]["predictor"].pop("canaryTrafficPercent", None)
            if body[0]["op"] == "add":
                self.service["spec"]["predictor"]["canaryTrafficPercent"] = body[0]["value"]
            return self.service
        test, change = body
        model = self.service["spec"]["predictor"]["model"]
        seen = {
            "/metadata/generation": self.service["metadata"]["generation"],
            "/spec/predictor/model/storageUri": model.get("storageUri"),
        }[test["path"]]
        if seen != test["value"]:
            raise Refused(422, "the server rejected our request due to an error in our request")
        self.set_uri(change.get("value"))
        return self.service

    def _post(self, path: str, body: dict[str, Any], query: dict[str, str]) -> Any:
        assert path == REVISIONS
        if act := self.before_create:
            self.before_create = None
            act()
        name = body["metadata"]["name"]
        if name in self.revisions:
            raise Refused(409, f"{name} already exists")
        self.revisions[name] = body
        return body

    def _delete(self, path: str, _: Any, query: dict[str, str]) -> Any:
        if self.revisions.pop(path.rpartition("/")[2], None) is None:
            raise Refused(404, "not found")
        return {}


class Endpoint:
    """Answers as told, in order, and then as the last time; an error in the list is raised."""

    def __init__(self, *answers: str | Exception) -> None:
        self.answers = list(answers)

    def __call__(self) -> str:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def cluster() -> MemoryCluster:
    return MemoryCluster()


@pytest.fixture
def endpoint() -> Endpoint:
    return Endpoint("a")


@pytest.fixture
def service(cluster: MemoryCluster, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> KServeService:
    monkeypatch.setattr(kserve, "POLL_S", 0.01)
    monkeypatch.setattr(kserve, "SETTLED_S", 0.2)
    return KServeService(cluster, "ns", "forgery", endpoint)  # type: ignore[arg-type]


def rolled_out(uri: str) -> dict[str, Any]:
    counts = dict.fromkeys(("replicas", "updatedReplicas", "availableReplicas", "readyReplicas"), 1)
    return {
        "metadata": {"generation": 1},
        "spec": {"replicas": 1, "template": {"metadata": {"annotations": {SOURCE_URI: uri}}}},
        "status": {"observedGeneration": 1} | counts,
    }


def test_a_service_without_a_model_reads_as_none(service: KServeService) -> None:
    assert service.read() == ServiceState(None, 1)


def test_a_service_that_is_not_there_is_told_with_the_way_out(service: KServeService, cluster: MemoryCluster) -> None:
    cluster.service = None
    with pytest.raises(ServiceUnavailable, match=r"no InferenceService kserve:ns/forgery .* apply the manifests"):
        service.read()


def test_the_first_model_is_set_although_the_manifests_are_applied_meanwhile(
    service: KServeService, cluster: MemoryCluster
) -> None:
    cluster.before_patch = cluster.touch
    service.swap(ServiceState(None, 1), "s3://m/a")
    assert cluster.uri == "s3://m/a"


def test_the_loser_of_two_first_models_is_told(service: KServeService, cluster: MemoryCluster) -> None:
    cluster.before_patch = lambda: cluster.set_uri("s3://m/theirs")
    with pytest.raises(DeployConflict, match="it now asks for s3://m/theirs"):
        service.swap(ServiceState(None, 1), "s3://m/a")
    assert cluster.uri == "s3://m/theirs"


def test_a_swap_lost_to_another_between_reading_and_writing_is_told(
    service: KServeService, cluster: MemoryCluster
) -> None:
    cluster.set_uri("s3://m/a")
    cluster.before_patch = lambda: cluster.set_uri("s3://m/theirs")
    with pytest.raises(DeployConflict, match="s3://m/theirs"):
        service.swap(ServiceState("s3://m/a", 2), "s3://m/b")


def test_a_swap_whose_answer_was_lost_counts(service: KServeService, cluster: MemoryCluster) -> None:
    cluster.before_patch = lambda: cluster.set_uri("s3://m/a")
    service.swap(ServiceState(None, 1), "s3://m/a")
    assert cluster.uri == "s3://m/a"


def test_a_first_model_can_be_taken_away_again(service: KServeService, cluster: MemoryCluster) -> None:
    cluster.set_uri("s3://m/a")
    service.swap(ServiceState("s3://m/a", 2), None)
    assert cluster.uri is None


def writer(manager: str, time: str, fields: dict[str, Any]) -> dict[str, Any]:
    return {"manager": manager, "time": time, "fieldsV1": {"f:spec": {"f:predictor": {"f:model": fields}}}}


def test_the_conflict_names_run_or_writer(service: KServeService, cluster: MemoryCluster) -> None:
    cluster.set_uri("s3://m/theirs")
    assert cluster.service
    cluster.service["metadata"]["managedFields"] = [
        writer("kubectl-apply", "1", {"f:runtime": {}}),
        writer("kubectl-patch", "2", {"f:storageUri": {}}),
    ]
    with pytest.raises(DeployConflict, match="by kubectl-patch at 2"):
        service.swap(ServiceState("s3://m/a", 1), "s3://m/b")
    service.record(ENTRY.model_copy(update={"storage_uri": "s3://m/theirs", "run_id": "nightly"}))
    with pytest.raises(DeployConflict, match="revision 1, run nightly"):
        service.swap(ServiceState("s3://m/a", 1), "s3://m/b")


def test_an_old_revision_of_the_winning_bundle_is_not_taken_for_the_winner(
    service: KServeService, cluster: MemoryCluster
) -> None:
    for letter in "ba":
        service.record(ENTRY.model_copy(update={"storage_uri": f"s3://m/{letter}", "run_id": f"old-{letter}"}))
    cluster.set_uri("s3://m/b")
    with pytest.raises(DeployConflict, match="by whom is not known"):
        service.swap(ServiceState("s3://m/a", 1), "s3://m/c")


def test_a_revision_is_owned_by_the_service(service: KServeService, cluster: MemoryCluster) -> None:
    service.record(ENTRY)
    (document,) = cluster.revisions.values()
    assert document["metadata"]["ownerReferences"][0]["uid"] == "u1"
    assert all(len(value) <= 63 for value in document["metadata"]["labels"].values())
    assert service.history() == [ENTRY.model_copy(update={"number": 1})]


def test_two_recorded_at_once_get_two_numbers(service: KServeService, cluster: MemoryCluster) -> None:
    cluster.before_create = lambda: service.record(ENTRY.model_copy(update={"run_id": "other"})) and None
    assert service.record(ENTRY).number == 2
    assert [entry.run_id for entry in service.history()] == ["other", "r"]


def test_a_record_whose_answer_was_lost_is_not_repeated(service: KServeService, cluster: MemoryCluster) -> None:
    cluster.before_create = lambda: service.record(ENTRY) and None
    assert service.record(ENTRY).number == 1
    assert len(service.history()) == 1


def test_the_history_of_a_deleted_service_of_the_same_name_is_not_this_ones(
    service: KServeService, cluster: MemoryCluster
) -> None:
    service.record(ENTRY)
    assert cluster.service
    cluster.service["metadata"]["uid"] = "u2"
    assert service.history() == []


def test_pruning_deletes_the_oldest_but_what_is_in_service(service: KServeService, cluster: MemoryCluster) -> None:
    cluster.set_uri("s3://m/a")
    for letter in "abcde":
        service.record(ENTRY.model_copy(update={"storage_uri": f"s3://m/{letter}"}))
    assert [entry.number for entry in service.prune(2)] == [2, 3]
    assert sorted(cluster.revisions) == ["forgery-1", "forgery-4", "forgery-5"]


def test_waiting_ends_only_when_the_endpoint_answers_with_the_version(
    service: KServeService, cluster: MemoryCluster, endpoint: Endpoint
) -> None:
    cluster.set_uri("s3://m/a")
    cluster.deployment = rolled_out("s3://m/a")
    endpoint.answers = ["old", "a", ServiceUnavailable("503"), "a", "a", "a", "a"]
    assert "answers with a" in service.wait_served("s3://m/a", "a", 30)
    assert endpoint.answers == ["a"], "three in a row were asked for after the last other answer"


def test_a_deployment_of_the_old_uri_is_not_asked(service: KServeService, cluster: MemoryCluster) -> None:
    cluster.set_uri("s3://m/a")
    cluster.deployment = rolled_out("s3://m/old")
    with pytest.raises(DeployFailed, match="not in service after 0 s: no pod for it was made"):
        service.wait_served("s3://m/a", "a", 0.1)


def knative(cluster: MemoryCluster) -> None:
    assert cluster.service
    cluster.service["metadata"]["annotations"] = {"serving.kserve.io/deploymentMode": "Knative"}


def test_on_knative_the_endpoint_alone_decides(
    service: KServeService, cluster: MemoryCluster, endpoint: Endpoint
) -> None:
    knative(cluster)
    cluster.set_uri("s3://m/a")
    endpoint.answers = ["old"] * 30 + ["a"]
    assert "answers with a" in service.wait_served("s3://m/a", "a", 30)


def test_a_canary_is_set_and_promoted_on_knative(service: KServeService, cluster: MemoryCluster) -> None:
    knative(cluster)
    assert cluster.service
    service.set_canary(10)
    assert cluster.service["spec"]["predictor"]["canaryTrafficPercent"] == 10
    service.set_canary(None)
    service.set_canary(None)
    assert "canaryTrafficPercent" not in cluster.service["spec"]["predictor"]


def test_beside_a_canary_one_answer_of_the_new_model_is_enough(
    service: KServeService, cluster: MemoryCluster, endpoint: Endpoint
) -> None:
    knative(cluster)
    cluster.set_uri("s3://m/a")
    service.set_canary(10)
    endpoint.answers = ["old", "old", "a"] + ["old"] * 30
    assert "answers with a" in service.wait_served("s3://m/a", "a", 30)


def test_after_an_aborted_canary_the_model_before_can_be_brought_back_and_no_new_one(
    service: KServeService, cluster: MemoryCluster, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("forgery.rollout.kserve.SETTLED_S", 0.0)
    knative(cluster)
    cluster.set_uri("s3://m/a")
    service.set_canary(0)
    endpoint.answers = ["a"] * 30
    assert "answers with a" in service.wait_served("s3://m/a", "a", 30)
    with pytest.raises(DeployFailed, match="canary promote"):
        service.wait_served("s3://m/a", "b", 30)


def test_a_canary_is_refused_with_the_reason_in_standard_mode(service: KServeService) -> None:
    with pytest.raises(InvalidConfig, match="past the transformer"):
        service.set_canary(10)


@pytest.mark.parametrize("percent", [-1, 101])
def test_a_canary_out_of_range_is_refused(service: KServeService, cluster: MemoryCluster, percent: int) -> None:
    knative(cluster)
    with pytest.raises(InvalidConfig, match="0 to 100"):
        service.set_canary(percent)


def test_a_crashing_pod_ends_the_wait_at_once(service: KServeService, cluster: MemoryCluster) -> None:
    cluster.set_uri("s3://m/a")
    ended = {"terminated": {"exitCode": 1, "message": "no such key"}}
    status = {"name": "storage-initializer", "restartCount": 2, "state": ended}
    cluster.pods = [
        {"metadata": {"annotations": {SOURCE_URI: "s3://m/a"}}, "status": {"initContainerStatuses": [status]}}
    ]
    with pytest.raises(DeployFailed, match="storage-initializer ended with status 1 again and again: no such key"):
        service.wait_served("s3://m/a", "a", 30)


def test_another_model_under_the_uri_ends_the_wait_soon(
    service: KServeService, cluster: MemoryCluster, endpoint: Endpoint
) -> None:
    cluster.set_uri("s3://m/a")
    cluster.deployment = rolled_out("s3://m/a")
    endpoint.answers = ["something else"]
    with pytest.raises(DeployFailed, match="all pods are new, but the endpoint answers with something else"):
        service.wait_served("s3://m/a", "a", 30)


def test_a_change_of_somebody_else_ends_the_wait(service: KServeService, cluster: MemoryCluster) -> None:
    cluster.set_uri("s3://m/theirs")
    with pytest.raises(DeployConflict, match="s3://m/theirs"):
        service.wait_served("s3://m/a", "a", 30)
