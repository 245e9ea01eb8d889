"""Bring an earlier model back into service, as a pipeline step."""

import tempfile
from pathlib import Path

from forgery.rollout.service import open_service
from forgery.steps.deploy import check_bundle, markdown
from forgery.steps.deploy import rollback as bring_back


def rollback(service: str, to: int, tracking: str, run_id: str) -> str:
    """Go back to revision `to`, or to the one before where it is 0; returns the new revision as Markdown.

    Raises:
        InvalidConfig: There is no such revision, or nothing to go back to.
        DeployFailed: The earlier model did not come into service either; nothing was changed.
    """
    with tempfile.TemporaryDirectory() as cache:
        revision = bring_back(
            open_service(service), to or None, check_bundle, Path(cache), tracking=tracking, run_id=run_id
        )
    return markdown(service, revision)
