"""A run's metrics, from MLflow: the Kubeflow Pipelines API has none, it shows them from artifacts."""

import json
from typing import Any

from forgery.tracking import RUN_TAG

TIMEOUT_S = 5.0
_API = "/api/2.0/mlflow"


class MetricsUnreachable(Exception):
    """MLflow does not answer from here, or is no server; the message says which, for people."""


def run_metrics(tracking: str, run_id: str) -> dict[str, float]:
    """The last value of every metric that the steps of a pipeline run logged.

    Args:
        tracking: URL of the MLflow server.
        run_id: Id of the pipeline run.

    Raises:
        MetricsUnreachable: There is no answer, or not MLflow's.
    """
    import httpx

    if not tracking.startswith(("http://", "https://")):
        raise MetricsUnreachable(f"no metrics: the run was tracked {'at ' + tracking if tracking else 'nowhere'}")
    try:
        with httpx.Client(base_url=tracking.rstrip("/") + _API, timeout=TIMEOUT_S) as client:
            experiments = _ask(client, "experiments/search", {"max_results": 1000}).get("experiments", [])
            wanted = {
                "experiment_ids": [experiment["experiment_id"] for experiment in experiments],
                "filter": f"tags.`{RUN_TAG}` = {json.dumps(run_id)}",
                "max_results": 100,
            }
            runs = _ask(client, "runs/search", wanted).get("runs", []) if experiments else []
    except (httpx.HTTPError, ValueError) as error:
        way_out = "--tracking URL names it as seen from here"
        raise MetricsUnreachable(f"MLflow does not answer at {tracking}; {way_out}") from error
    return _values(runs)


def _ask(client: Any, path: str, body: dict[str, Any]) -> dict[str, Any]:  # noqa: ANN401 - httpx is imported late
    answer = client.post(path, json=body)
    answer.raise_for_status()
    return dict(answer.json())


def _values(runs: list[dict[str, Any]]) -> dict[str, float]:
    """Of all steps' runs together; the newest run's value where two logged the same."""
    runs = sorted(runs, key=lambda run: int(run["info"].get("start_time", 0)))
    return {metric["key"]: float(metric["value"]) for run in runs for metric in run["data"].get("metrics", [])}
