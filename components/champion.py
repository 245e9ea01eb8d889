"""Before training: which model is in service."""

from kfp import dsl

from components.envelope import envelope


@envelope
def find_champion(service: str, champion: dsl.Output[dsl.Model]) -> None:
    """Read which model the InferenceService serves now; evaluation, the gate and the deployment all refer to it.

    Args:
        service: kserve:NAMESPACE/NAME or local:PATH.
        champion: State of the service, and a verified copy of its bundle if it has one.
    """
    from pathlib import Path

    from forgery.steps import step
    from forgery.steps.champion import find_champion as find

    with step("champion"):
        champion.metadata["storage_uri"] = find(service, Path(champion.path)).storage_uri or "none yet"
