"""The rollback pipeline: what `forgery rollout undo` does, from the Kubeflow UI."""

from kfp import dsl

from components import rollback as bring_back
from forgery.config import RollbackConfig
from pipelines.description import described
from pipelines.pod import in_pod, with_bucket

_DEFAULT = RollbackConfig()


@dsl.pipeline(name="forgery-rollback", display_name="Forgery detector: roll back")
@described(RollbackConfig, "Bring an earlier model back into service, checked like a deployment.")
def rollback(to: int = _DEFAULT.to, service: str = _DEFAULT.service, tracking: str = _DEFAULT.tracking) -> None:
    task = bring_back(service=service, to=to, tracking=tracking, run_id=dsl.PIPELINE_JOB_ID_PLACEHOLDER)
    with_bucket(in_pod(task, "Roll back", cpu="1", memory="2Gi", timeout_s=1800))
