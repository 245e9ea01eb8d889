"""Bring a bundle into service, or an earlier one back, and let the champion alias follow."""

import logging
from collections.abc import Callable
from pathlib import Path

from forgery.bundle import Bundle, open_bundle
from forgery.errors import ForgeryError
from forgery.rollout.port import InferenceServices, Revision
from forgery.rollout.service import open_service
from forgery.rollout.transaction import deploy as carry_out
from forgery.rollout.transaction import undo
from forgery.steps.champion import read_champion

logger = logging.getLogger(__name__)

# A predictor starts in seconds; the rest is for pulling images and bundles, and for a first pod of a new node.
SERVED_WITHIN_S = 600.0


def check_bundle(bundle: Bundle) -> None:
    """Load a bundle with the predictor's own code, on each engine it may run on, and repeat its golden request.

    Raises:
        BundleError: It cannot be loaded, or answers otherwise than when it was sealed.
    """
    from forgery.engine import Engine, able_kinds
    from forgery.golden import check_golden

    for kind in able_kinds(bundle):
        check_golden(bundle, Engine(bundle, kind=kind))


def deploy(bundle: Path, champion: Path, bundles: str, service: str, tracking: str) -> str:
    """Publish, check, swap, wait, record; then register the version and move the alias.

    Returns:
        The new revision as Markdown.

    Raises:
        DeployConflict: Somebody else deployed since the champion was read.
        DeployFailed: The bundle did not come into service; the old one was put back.
    """
    challenger = open_bundle(bundle)
    expected, _ = read_champion(champion)
    f1, run_id = challenger.info.metrics.get("f1"), challenger.info.lineage.run_id
    revision = carry_out(
        open_service(service), challenger, bundles, expected, f1, run_id, check_bundle, SERVED_WITHIN_S
    )
    record_champion(tracking, challenger, revision)
    return markdown(service, revision)


def record_champion(tracking: str, bundle: Bundle, revision: Revision) -> None:
    """Register the bundle as a version in MLflow and move the alias to it; empty `tracking` does nothing.

    The model is in service by now, and the history says so: an MLflow that is away costs a warning, not the deployment.
    """
    if not tracking:
        return
    from forgery.tracking import register_version, set_champion

    try:
        register_version(tracking, bundle, revision.storage_uri, bundle.info.lineage.run_id)
        set_champion(tracking, bundle.digest)
    except ForgeryError as error:
        logger.warning("revision %d serves, but the alias champion was not moved: %s", revision.number, error)


def rollback(
    service: InferenceServices,
    to: int | None,
    check: Callable[[Bundle], None],
    cache: Path,
    timeout_s: float = SERVED_WITHIN_S,
    tracking: str = "",
    run_id: str = "",
) -> Revision:
    """Bring an earlier revision's bundle back, checked like a deployment, and let the alias follow."""
    from forgery.stores import fetch

    revision = undo(service, to, check, cache, timeout_s, run_id)
    if tracking:
        record_champion(tracking, fetch(revision.storage_uri, cache), revision)
    return revision


def markdown(service: str, revision: Revision) -> str:
    """A revision for the Kubeflow UI."""
    f1 = "unknown" if revision.f1 is None else f"{revision.f1:.3f}"
    return (
        f"# Revision {revision.number} of {service}\n\n"
        f"{revision.message}\n\n"
        f"- model version `{revision.model_version}`\n- F1 {f1}\n- bundle `{revision.storage_uri}`\n"
        f"- run `{revision.run_id}`\n- {revision.created_at}\n"
    )
