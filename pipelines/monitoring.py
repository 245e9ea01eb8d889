"""The monitoring pipeline: has what the service sees shifted, and if so, train anew."""

from kfp import dsl

from components import check_drift, find_champion
from components import retrain as start_training
from forgery.monitoring.config import MonitoringConfig
from pipelines.description import described
from pipelines.pod import in_pod, with_bucket

_DEFAULT = MonitoringConfig()
_RULE = _DEFAULT.rule.model_dump()


@dsl.pipeline(name="forgery-monitoring", display_name="Forgery detector: watch for drift")
@described(MonitoringConfig, "Compare what the service saw with what its model was measured on.")
def monitoring(
    payloads: str = _DEFAULT.payloads,
    window_hours: float = _DEFAULT.window_hours,
    rule: dict = _RULE,
    service: str = _DEFAULT.service,
    tracking: str = _DEFAULT.tracking,
    retrain: str = _DEFAULT.retrain,
    pipelines: str = _DEFAULT.pipelines,
) -> None:
    champion = find_champion(service=service)
    with_bucket(in_pod(champion, "Find champion", cpu="250m", memory="512Mi", timeout_s=900))

    checked = check_drift(
        champion=champion.outputs["champion"],
        payloads=payloads,
        window_hours=window_hours,
        rule=rule,
        tracking=tracking,
        run_id=dsl.PIPELINE_JOB_ID_PLACEHOLDER,
    )
    with_bucket(in_pod(checked, "Check drift", cpu="500m", memory="2Gi", timeout_s=3600))

    with dsl.If(checked.outputs["Output"] == True, name="shifted"):  # noqa: E712 - KFP builds the condition from it
        started = start_training(schedule=retrain, pipelines=pipelines, run_id=dsl.PIPELINE_JOB_ID_PLACEHOLDER)
        in_pod(started, "Retrain if asked", cpu="250m", memory="512Mi", timeout_s=900)
