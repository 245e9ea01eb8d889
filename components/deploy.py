"""Step 8: bring the challenger into service."""

from kfp import dsl

from components.envelope import envelope


@envelope
def deploy(
    bundle: dsl.Input[dsl.Model],
    champion: dsl.Input[dsl.Model],
    bundles: str,
    service: str,
    tracking: str,
    revision: dsl.Output[dsl.Markdown],
) -> None:
    """Publish the bundle, check that it answers, point the InferenceService at it, wait until it serves, record it.

    If it does not come into service the old model is put back and the step fails with the cause.

    Args:
        bundle: From evaluate.
        champion: The state the service must still be in; somebody else's deployment is never overwritten.
        bundles: Where to publish: s3://bucket/prefix or file://PATH.
        service: kserve:NAMESPACE/NAME or local:PATH.
        tracking: MLflow tracking URI; its alias champion follows the deployment. Empty for none.
        revision: The new entry of the service's history.
    """
    from pathlib import Path

    from forgery.steps import step
    from forgery.steps.deploy import deploy as roll_out

    with step("deploy"):
        entry = roll_out(Path(bundle.path), Path(champion.path), bundles, service, tracking)
        Path(revision.path).write_text(entry)
