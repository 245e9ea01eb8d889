"""An InferenceService of KServe and its history, through the Kubernetes API.

The pipeline owns `storageUri` and nothing else of the object; the manifests own all the rest and leave it out. So the
swap is a JSON patch of that one field, whose first operation tests what it replaces. No annotation is written: KServe
copies them into every pod template, and the transformer would roll out as well.
"""

import logging
import time

from forgery.errors import DeployConflict, DeployFailed, InvalidConfig, ServiceUnavailable
from forgery.rollout.cluster import Cluster, Document, Refused, connect_cluster
from forgery.rollout.endpoint import AskVersion, open_endpoint
from forgery.rollout.knative import canary_percent, is_knative
from forgery.rollout.ledger import MANAGER, SERVICE_LABEL, Ledger
from forgery.rollout.port import Revision, ServiceState
from forgery.rollout.progress import cause_of_failure, hindrance, rolled_out
from forgery.rollout.revisions import forgettable, head

logger = logging.getLogger(__name__)

POLL_S = 1.0
# Each replica of the transformer holds a channel of its own to a pod of the predictor, and that one ends 5 s later.
ANSWERS_IN_A_ROW = 3
# Old pods have ended by then; whatever answers otherwise after it will go on so.
SETTLED_S = 60.0
# Tries where the object is changed otherwise at the same moment, e.g. by applying the manifests.
_RACES = 10

_FIELD = "/spec/predictor/model/storageUri"


def connect(namespace: str, name: str) -> "KServeService":
    """The InferenceService of that name in the cluster of this pod, or else of `KUBECONFIG`.

    Raises:
        ServiceUnavailable: No cluster is configured.
    """
    cluster = connect_cluster()
    return KServeService(cluster, namespace, name, open_endpoint(cluster, namespace, name))


class KServeService:
    """See `InferenceServices` for what the methods promise."""

    def __init__(self, cluster: Cluster, namespace: str, name: str, ask_version: AskVersion) -> None:
        """Nothing is sent until it is used."""
        self._cluster = cluster
        self._namespace = namespace
        self._name = name
        self._ask_version = ask_version
        self._path = f"/apis/serving.kserve.io/v1beta1/namespaces/{namespace}/inferenceservices/{name}"
        self._ledger = Ledger(cluster, namespace, name)

    def describe(self) -> str:
        """`kserve:NAMESPACE/NAME`."""
        return f"kserve:{self._namespace}/{self._name}"

    def read(self) -> ServiceState:
        """The state asked for, of the spec and not of the status."""
        return _state(self._service())

    def swap(self, expected: ServiceState, storage_uri: str | None) -> None:
        """Compare and swap by a JSON patch that the API server carries out whole or not at all."""
        for _ in range(_RACES):
            found = self._service()
            now = _state(found)
            if now.storage_uri == storage_uri:
                return
            if now.storage_uri != expected.storage_uri:
                raise DeployConflict(self._who_won(found))
            try:
                self._cluster.request("PATCH", self._path, _patch(now, storage_uri), {"fieldManager": MANAGER})
            except Refused as error:
                if error.status not in (409, 422):
                    raise ServiceUnavailable(f"{self.describe()} refused the change: {error}") from error
                # Somebody was faster, or the first answer was lost: what is there now tells.
                refusal = str(error)
            else:
                logger.info("%s now asks for %s", self.describe(), storage_uri)
                return
        raise ServiceUnavailable(f"{self.describe()} refused the change {_RACES} times: {refusal}")

    def wait_served(self, storage_uri: str, model_version: str, timeout_s: float) -> str:
        """Wait until the predictor's Deployment is rolled out, and then until the endpoint answers with the version."""
        begin = time.monotonic()
        answers, said, settled_at = 0, "nothing was seen yet", begin + timeout_s
        while time.monotonic() < begin + timeout_s:
            found = self._service()
            if _state(found).storage_uri != storage_uri:
                raise DeployConflict(self._who_won(found))
            if waiting := self._not_rolled_out(found, storage_uri):
                answers, said, settled_at = 0, waiting, begin + timeout_s
            else:
                settled_at = min(settled_at, time.monotonic() + SETTLED_S)
                answers, said = self._asked(model_version, answers)
            # Beside a canary's other revision one answer is all that can be asked for.
            if answers >= (1 if 0 <= canary_percent(found) < 100 else ANSWERS_IN_A_ROW):
                return f"{self.describe()} answers with {model_version} after {time.monotonic() - begin:.0f} s"
            if not answers and time.monotonic() > settled_at:
                self._refuse_to_wait(found, said)
            time.sleep(POLL_S)
        raise DeployFailed(f"not in service after {timeout_s:.0f} s: {said}")

    def set_canary(self, percent: int | None) -> None:
        """Send so many percent of the requests to the newest revision, and the rest to the one before.

        Args:
            percent: 0 to 100; None promotes: all requests go to the newest, of this and of later rollouts.

        Raises:
            InvalidConfig: Out of range, or the service is in Standard mode.
            ServiceUnavailable: The Kubernetes API does not answer or refuses.
        """
        found = self._service()
        if not is_knative(found):
            raise InvalidConfig(
                f"{self.describe()} is in Standard mode, whose canary would send requests past the transformer; "
                "deploy and undo, or install the service with the component `knative`"
            )
        if percent is not None and not 0 <= percent <= 100:
            raise InvalidConfig(f"a canary takes 0 to 100 percent of the requests (got {percent})")
        path = "/spec/predictor/canaryTrafficPercent"
        change: Document = {"op": "add", "path": path, "value": percent}
        if percent is None:
            if "canaryTrafficPercent" not in found["spec"]["predictor"]:
                return
            change = {"op": "remove", "path": path}
        try:
            self._cluster.request("PATCH", self._path, [change], {"fieldManager": MANAGER})
        except Refused as error:
            raise ServiceUnavailable(f"{self.describe()} refused the change: {error}") from error

    def history(self) -> list[Revision]:
        """All revisions kept, oldest first."""
        return self._ledger.read(self._service())

    def record(self, revision: Revision) -> Revision:
        """Append a revision; it is deleted with the InferenceService."""
        return self._ledger.append(self._service(), revision)

    def prune(self, keep: int) -> list[Revision]:
        """Delete the revisions that `revisions.forgettable` says."""
        found = self._service()
        forgotten = forgettable(self._ledger.read(found), _state(found).storage_uri, keep)
        for revision in forgotten:
            self._ledger.forget(revision)
        return forgotten

    def _service(self) -> Document:
        try:
            return self._cluster.request("GET", self._path)
        except Refused as error:
            hint = "apply the manifests first, or name another service"
            raise ServiceUnavailable(f"there is no InferenceService {self.describe()} ({error}): {hint}") from error

    def _not_rolled_out(self, found: Document, storage_uri: str) -> str:
        """What the rollout waits for; empty once all pods are new. Raises DeployFailed where it waits in vain."""
        if is_knative(found):
            # It keeps no Deployment of a known name, and moves requests by itself once the new pods are ready.
            self._hindrance(storage_uri)
            return ""
        try:
            if rolled_out(self._cluster.request("GET", self._deployment_path()), storage_uri):
                return ""
        except Refused as error:
            if error.status != 404:
                raise ServiceUnavailable(f"{self.describe()}: its Deployment cannot be read: {error}") from error
        return self._hindrance(storage_uri)

    def _refuse_to_wait(self, found: Document, said: str) -> None:
        """Fail where time changes nothing any more; Knative's revisions take as long as they take."""
        if not is_knative(found):
            raise DeployFailed(f"all pods are new, but {said}")
        if canary_percent(found) == 0:
            raise DeployFailed(
                f"{said}, and {self.describe()} sends no request to a new revision since a canary was aborted: "
                "`forgery rollout canary promote` ends the canary"
            )

    def _deployment_path(self) -> str:
        return f"/apis/apps/v1/namespaces/{self._namespace}/deployments/{self._name}-predictor"

    def _asked(self, model_version: str, answers: int) -> tuple[int, str]:
        try:
            answered = self._ask_version()
        except ServiceUnavailable as error:
            return 0, str(error)
        if answered != model_version:
            return 0, f"the endpoint answers with {answered}"
        return answers + 1, f"the endpoint answers with {answered}"

    def _hindrance(self, storage_uri: str) -> str:
        """What the new pods wait for. Raises DeployFailed where they wait in vain."""
        selector = f"{SERVICE_LABEL}={self._name},component=predictor"
        pods = self._cluster.request(
            "GET", f"/api/v1/namespaces/{self._namespace}/pods", query={"labelSelector": selector}
        )["items"]
        if cause := cause_of_failure(pods, storage_uri):
            raise DeployFailed(cause)
        return hindrance(pods, storage_uri)

    def _who_won(self, found: Document) -> str:
        uri = _state(found).storage_uri
        try:
            newest = head(self.history())
        except ServiceUnavailable:
            newest = None
        # An older revision of the same bundle is not what won; the winner may not be recorded yet.
        recorded = newest is not None and newest.storage_uri == uri
        by = (
            f"revision {newest.number}, run {newest.run_id or 'unknown'}"
            if newest and recorded
            else _last_writer(found)
        )
        return f"{self.describe()} was changed meanwhile: it now asks for {uri or 'no model'} ({by})"


def _state(found: Document) -> ServiceState:
    model: Document = found["spec"].get("predictor", {}).get("model") or {}
    return ServiceState(model.get("storageUri"), int(found["metadata"]["generation"]))


def _patch(now: ServiceState, storage_uri: str | None) -> list[Document]:
    """Operations that set or remove the field where the object is still in the state `now`."""
    test: Document = {"op": "test", "path": _FIELD, "value": now.storage_uri}
    if now.storage_uri is None:
        # Nothing to compare yet. Generation moves with every change of the spec, and never with one of the status.
        test = {"op": "test", "path": "/metadata/generation", "value": now.generation}
    change: Document = {"op": "remove", "path": _FIELD}
    if storage_uri is not None:
        change = {"op": "add", "path": _FIELD, "value": storage_uri}
    return [test, change]


def _last_writer(found: Document) -> str:
    """Who set `storageUri` last, by the API server's own records."""
    writers = [
        entry
        for entry in found["metadata"].get("managedFields", [])
        if "f:storageUri" in entry.get("fieldsV1", {}).get("f:spec", {}).get("f:predictor", {}).get("f:model", {})
    ]
    if not writers:
        return "by whom is not known"
    last = max(writers, key=lambda entry: str(entry.get("time", "")))
    return f"by {last['manager']} at {last.get('time', 'an unknown time')}"
