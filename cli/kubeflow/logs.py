"""Why a step failed: the last clear line of its log, for the server's answers never say it."""

import re
from typing import TYPE_CHECKING

from cli.kubeflow.connection import Server
from cli.kubeflow.tasks import Pod, failed_pods

if TYPE_CHECKING:
    from kfp_server_api import V2beta1Run

# What the step's frame prints last (forgery.steps.frame): "<step> failed: <sentence>".
_STEP_LINE = re.compile(r"[a-z][a-z0-9_ -]* failed: \S")
# What comes after a step's own words: the launcher's and driver's glog lines, Argo's logfmt, exit codes, Go traces.
_NOISE = re.compile(
    r"[IWEF]\d{4} \d\d:\d\d:\d\d|time=\"?\d{4}-|(Error: )?exit status \d|goroutine \d|\s|\{\"time\"|\d{4}-\d\d-\d\dT"
)
_FATAL = re.compile(r"[EF]\d{4} \S+\s+\d+ \S+\] (?P<message>.+)")
LONGEST_LINE = 500


def failure_lines(server: Server, run: "V2beta1Run") -> dict[str, str]:
    """Failed task to the line that says why; tasks whose log cannot be read any more are left out."""
    lines = {}
    for task, pods in failed_pods(run).items():
        line = next((line for pod in pods if (line := last_clear_line(_read(server, run, pod) or ""))), None)
        if line:
            lines[task] = line
    return lines


def last_clear_line(log: str) -> str | None:
    """The sentence a person needs out of a step's log; None if the log is empty.

    That is the step's own last word; where it had none (killed, or the pod never got to it) the last line that is
    not the machinery's, and failing that the machinery's last error.
    """
    lines = [line.rstrip() for line in log.splitlines() if line.strip()]
    own = [line for line in lines if _STEP_LINE.match(line)]
    plain = [line for line in lines if not _NOISE.match(line)]
    fatal = [match["message"] for line in lines if (match := _FATAL.match(line))]
    best = own or plain or fatal or lines
    return best[-1][:LONGEST_LINE] if best else None


def _read(server: Server, run: "V2beta1Run", pod: Pod) -> str | None:
    """A pod's log, from the API server (by pod while that exists, by node from the archive) or from the UI's."""
    import urllib3

    day = run.created_at.strftime("%Y-%m-%d") if run.created_at else ""
    ui_query = {
        "podname": pod.name,
        "runid": run.run_id,
        "podnamespace": server.namespace or "kubeflow",
        "createdat": day,
    }
    places: tuple[tuple[str, dict[str, str] | None], ...] = (
        (f"/apis/v1alpha1/runs/{run.run_id}/nodes/{pod.name}/log", None),
        (f"/apis/v1alpha1/runs/{run.run_id}/nodes/{pod.node_id}/log", None),
        ("/k8s/pod/logs", ui_query),
    )
    for path, query in places:
        try:
            if text := server.client.read_text(path, query):
                return text
        except urllib3.exceptions.HTTPError:
            continue
    return None
