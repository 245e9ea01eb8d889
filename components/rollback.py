"""Bring an earlier model back into service."""

from kfp import dsl

from components.envelope import envelope


@envelope
def rollback(service: str, to: int, tracking: str, run_id: str, revision: dsl.Output[dsl.Markdown]) -> None:
    """Bring an earlier model back, checked like a deployment and recorded as a new revision.

    Args:
        service: kserve:NAMESPACE/NAME or local:PATH.
        to: Number of the revision to go back to; 0 for the one before.
        tracking: MLflow tracking URI; its alias champion follows. Empty for none.
        run_id: Of the pipeline run; a step that is run again then changes nothing twice.
        revision: The new entry of the service's history.
    """
    from pathlib import Path

    from forgery.steps import step
    from forgery.steps.rollback import rollback as bring_back

    with step("rollback"):
        Path(revision.path).write_text(bring_back(service, to, tracking, run_id))
