"""The history of an InferenceService on a cluster: ControllerRevisions, which are deleted with it."""

from typing import Any

from forgery.errors import ServiceUnavailable
from forgery.rollout.cluster import Cluster, Document, Refused
from forgery.rollout.port import Revision
from forgery.rollout.revisions import next_number

MANAGER = "forgery"
SERVICE_LABEL = "serving.kserve.io/inferenceservice"
_MANAGER_LABEL = "app.kubernetes.io/managed-by"
_VERSION_LABEL = "forgery.dev/model-version"
# Tries where others record at the same moment.
_RACES = 10


class Ledger:
    """ControllerRevisions named `<service>-<number>`; `data` is the revision, and immutable."""

    def __init__(self, cluster: Cluster, namespace: str, service: str) -> None:
        """Nothing is sent until it is used."""
        self._cluster = cluster
        self._namespace = namespace
        self._service = service
        self._path = f"/apis/apps/v1/namespaces/{namespace}/controllerrevisions"

    def read(self, owner: Document) -> list[Revision]:
        """All revisions that the InferenceService `owner` has, oldest first."""
        selector = f"{SERVICE_LABEL}={self._service},{_MANAGER_LABEL}={MANAGER}"
        found = self._cluster.request("GET", self._path, query={"labelSelector": selector})["items"]
        # Those of a deleted service of the same name are collected a moment later.
        own = [document for document in found if _owned(document, owner["metadata"]["uid"])]
        return sorted((Revision.model_validate(document["data"]) for document in own), key=lambda entry: entry.number)

    def append(self, owner: Document, revision: Revision) -> Revision:
        """Record a revision under the next number, once, even where the first answer is lost."""
        for _ in range(_RACES):
            numbered = revision.model_copy(update={"number": next_number(self.read(owner))})
            try:
                self._cluster.request("POST", self._path, self._document(owner, numbered))
            except Refused as error:
                if error.status != 409:
                    raise ServiceUnavailable(f"revision {numbered.number} was refused: {error}") from error
                if self._has(numbered):
                    return numbered
            else:
                return numbered
        raise ServiceUnavailable("others are recording revisions: try again")

    def forget(self, revision: Revision) -> None:
        """Delete a revision; it may be gone already."""
        try:
            self._cluster.request("DELETE", f"{self._path}/{self._name(revision)}")
        except Refused as error:
            if error.status != 404:
                raise ServiceUnavailable(f"revision {revision.number} cannot be deleted: {error}") from error

    def _name(self, revision: Revision) -> str:
        return f"{self._service}-{revision.number}"

    def _has(self, revision: Revision) -> bool:
        listed = self._cluster.request(
            "GET", self._path, query={"fieldSelector": f"metadata.name={self._name(revision)}"}
        )["items"]
        return any(document["data"] == revision.model_dump(mode="json") for document in listed)

    def _document(self, owner: Document, revision: Revision) -> dict[str, Any]:
        reference = {key: owner[key] for key in ("apiVersion", "kind")}
        reference |= {key: owner["metadata"][key] for key in ("name", "uid")}
        labels = {SERVICE_LABEL: self._service, _MANAGER_LABEL: MANAGER, _VERSION_LABEL: revision.model_version}
        return {
            "apiVersion": "apps/v1",
            "kind": "ControllerRevision",
            "metadata": {
                "name": self._name(revision),
                "namespace": self._namespace,
                "labels": labels,
                "ownerReferences": [reference],
            },
            "revision": revision.number,
            "data": revision.model_dump(mode="json"),
        }


def _owned(document: Document, uid: str) -> bool:
    return any(owner["uid"] == uid for owner in document["metadata"].get("ownerReferences", []))
