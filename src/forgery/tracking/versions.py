"""Bundles as versions of one registered model, and the alias that says which of them is in service."""

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from forgery.bundle import Bundle
from forgery.errors import InvalidConfig, ServiceUnavailable
from forgery.tracking.client import RUN_TAG, check_place, connect, find_run, first_line, run_tag, shown

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

MODEL = "forgery"
CHAMPION = "champion"
_MODEL_DESCRIPTION = (
    "Detector of forged pictures. The alias `champion` is the version in service; deployments and rollbacks move it."
)
BUNDLE_TAG = "bundle_digest"

Answer = TypeVar("Answer")


def register_version(tracking: str, bundle: Bundle, uri: str, run_id: str) -> str | None:
    """Make the bundle a version of the registered model `forgery`; the same bundle again gives the same version.

    Args:
        tracking: As `open_run`.
        bundle: Sealed; its digest, recipe and lineage become tags.
        uri: Where it was published.
        run_id: Id of the pipeline run; the version is linked to its MLflow run if there is one.

    Returns:
        The version's number as text, or None without tracking.

    Raises:
        ServiceUnavailable: MLflow does not answer or refuses.
    """
    if not tracking:
        return None
    return asked(tracking, lambda client: _register(client, bundle, uri, run_id))


def set_champion(tracking: str, bundle_digest: str) -> None:
    """Point the alias `champion` at the version of that bundle; without tracking, do nothing.

    Raises:
        InvalidConfig: No version has that digest.
        ServiceUnavailable: MLflow does not answer or refuses.
    """
    if not tracking:
        return

    def move(client: "MlflowClient") -> None:
        version = _find_version(client, bundle_digest)
        if version is None:
            raise InvalidConfig(f"no version of model {MODEL} in {shown(tracking)} is bundle {bundle_digest}")
        client.set_registered_model_alias(MODEL, CHAMPION, version)

    asked(tracking, move)


def asked(tracking: str, ask: "Callable[[MlflowClient], Answer]") -> Answer:
    """Put a question to MLflow. Raises ServiceUnavailable, InvalidConfig."""
    check_place(tracking)
    try:
        return ask(connect(tracking))
    except InvalidConfig:
        raise
    except Exception as error:
        raise ServiceUnavailable(f"MLflow at {shown(tracking)} does not do it: {first_line(error)}") from error


def _register(client: "MlflowClient", bundle: Bundle, uri: str, run_id: str) -> str:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(MODEL, description=_MODEL_DESCRIPTION)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    if existing := _find_version(client, bundle.digest):
        return existing
    lineage = bundle.info.lineage
    tags = {BUNDLE_TAG: bundle.digest, RUN_TAG: run_tag(run_id), "dataset_digest": lineage.dataset_digest}
    tags |= {"recipe": bundle.info.recipe, "backbone": bundle.info.backbone, "bundle": uri}
    version = client.create_model_version(
        MODEL, source=uri, run_id=find_run(client, run_id), tags=tags, description=_description(bundle, uri)
    )
    return str(version.version)


def _description(bundle: Bundle, uri: str) -> str:
    """What a person wants to know of a version, in Markdown."""
    figures = bundle.info.metrics
    f1 = f"{figures['f1']:.3f}" if "f1" in figures else "unknown"
    if {"f1_low", "f1_high"} <= figures.keys():
        f1 += f" [{figures['f1_low']:.3f}, {figures['f1_high']:.3f}]"
    return (
        f"F1 **{f1}** of forged, on the test split. `{bundle.info.backbone}` on `{bundle.info.recipe}`.\n\n"
        f"Bundle `{uri}`; model card, curves and evaluation are with the source run."
    )


def _find_version(client: "MlflowClient", digest: str) -> str | None:
    found = client.search_model_versions(f"name = '{MODEL}' and tags.{BUNDLE_TAG} = '{digest}'", max_results=1)
    return str(found[0].version) if found else None
