"""A real Prometheus that scrapes the two real servers: the dashboard's queries answered, an alert fired by a fault."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from forgery.bundle import Bundle, seal
from forgery.golden import golden_picture
from forgery.monitoring.payloads import PictureFacts, Scored
from forgery.monitoring.reference import Reference, write_reference
from serving.sockets import free_ports

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("prometheus") is None, reason="prometheus is absent; Debian has a package"),
]

COMPONENTS = Path(__file__).parents[3] / "manifests/components"
WITHIN_S = 60
# What a service that was only just started cannot have: a version that was there before.
EMPTY_AT_FIRST = {"annotation Rollback"}


def wait_for(answer: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + WITHIN_S
    while time.monotonic() < deadline:
        try:
            if found := answer():
                return found
        except httpx.HTTPError:
            pass
        time.sleep(0.2)
    raise AssertionError(f"not within {WITHIN_S} s")


@dataclass(frozen=True)
class Stage:
    """Where everything is, and the predictor's process, which a test may end."""

    transformer: str
    prometheus: str
    predictor: subprocess.Popen[bytes]

    def query(self, expression: str) -> list[dict[str, Any]]:
        answer = httpx.get(f"{self.prometheus}/api/v1/query", params={"query": expression}).json()
        assert answer["status"] == "success", f"{expression}: {answer.get('error')}"
        return list(answer["data"]["result"])


def with_reference(bundle: Bundle, folder: Path) -> Path:
    shutil.copytree(bundle.path, folder)
    facts = PictureFacts(format="JPEG", jpeg_quality=90, ela_mean=1, ela_deviation=1, ela_p99=1).model_dump()
    pictures = tuple(Scored(probability_forged=number / 50, **facts) for number in range(50))
    write_reference(folder, Reference(split="validation", groups=50, pictures=pictures))
    seal(folder, bundle.info)
    return folder


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, make_bundle: Callable[..., Bundle]) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("prometheus")
    bundle = with_reference(make_bundle(), folder / "bundle")
    http, hop, door, door_grpc, prometheus = free_ports(5)
    with ExitStack() as stack:

        def start(name: str, *command: Any) -> subprocess.Popen[bytes]:
            log = stack.enter_context((folder / f"{name}.log").open("wb"))
            process = subprocess.Popen([str(part) for part in command], stdout=log, stderr=log, cwd=folder)
            stack.callback(process.wait, 30)
            stack.callback(process.terminate)
            return process

        here = ("--host", "127.0.0.1")
        predictor = start(
            "predictor", sys.executable, "-m", "serving.predictor", *here, "--model_dir", bundle,
            "--http_port", http, "--grpc_port", hop,
        )  # fmt: skip
        start(
            "transformer", sys.executable, "-m", "serving.transformer", *here, "--predictor_host", f"127.0.0.1:{hop}",
            "--http_port", door, "--grpc_port", door_grpc, "--payload_log", folder / "payloads",
        )  # fmt: skip
        write_configuration(folder, {"transformer": door, "predictor": http})
        start(
            "prometheus", "prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=data",
            f"--web.listen-address=127.0.0.1:{prometheus}",
        )  # fmt: skip
        stage = Stage(f"http://127.0.0.1:{door}", f"http://127.0.0.1:{prometheus}", predictor)
        wait_for(lambda: httpx.get(f"{stage.transformer}/v2/models/forgery/ready").status_code == 200)
        wait_for(lambda: len(stage.query('up{job="forgery"} == 1')) == 2)
        send(stage, 30)
        wait_for(lambda: stage.query('sum(increase(forgery_pictures_total{component="transformer"}[1m])) > 0'))
        yield stage


def write_configuration(folder: Path, ports: dict[str, int]) -> None:
    rules = yaml.safe_load((COMPONENTS / "monitoring-operator/rules.yaml").read_text())["spec"]
    for rule in (rule for group in rules["groups"] for rule in group["rules"] if "for" in rule):
        rule["for"] = "1s"  # the test's time is dear
    (folder / "rules.yml").write_text(yaml.safe_dump(rules))
    targets = [
        {"targets": [f"127.0.0.1:{port}"], "labels": {"component": component, "namespace": "forgery"}}
        for component, port in ports.items()
    ]
    jobs = [{"job_name": "forgery", "static_configs": targets}]
    every = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    configuration = {"global": every, "rule_files": ["rules.yml"], "scrape_configs": jobs}
    (folder / "prometheus.yml").write_text(yaml.safe_dump(configuration))


def send(stage: Stage, count: int) -> None:
    """Pictures over some seconds, and some things that are none."""
    with httpx.Client(base_url=stage.transformer, timeout=30) as client:
        for _ in range(count):
            assert client.post("/v1/detect", content=golden_picture()).status_code == 200
            assert client.post("/v1/detect", content=b"no picture").status_code == 400
            time.sleep(0.1)


def queries() -> dict[str, str]:
    board = json.loads((COMPONENTS / "monitoring/dashboards/forgery.json").read_text())
    found = {f"annotation {each['name']}": each["expr"] for each in board["annotations"]["list"]}
    for panel in board["panels"]:
        found |= {f"{panel['title']} {each['refId']}": each["expr"] for each in panel.get("targets", ())}
    return {name: text.replace("$__rate_interval", "1m").replace("$namespace", ".*") for name, text in found.items()}


@pytest.mark.parametrize("name", queries())
def test_the_dashboards_query_has_an_answer(stage: Stage, name: str) -> None:
    if name in EMPTY_AT_FIRST:
        stage.query(queries()[name])
        return
    answer = wait_for(lambda: stage.query(queries()[name]))
    # A ratio of nothing by nothing would be NaN, and an empty panel.
    assert all(series["value"][1] not in ("NaN", "+Inf") for series in answer), answer


def test_the_scores_distance_from_validation_is_what_it_is(stage: Stage) -> None:
    """All pictures were one picture, so the distance is the larger part of validation on either side of its score."""
    score = httpx.post(f"{stage.transformer}/v1/detect", content=golden_picture()).json()["results"][0]
    bucket = min(step / 10 for step in range(1, 11) if score["probability_forged"] <= step / 10)
    parts = [sum(number / 50 <= bound for number in range(50)) / 50 for bound in (bucket - 0.1 + 1e-9, bucket)]
    (distance,) = wait_for(lambda: stage.query("forgery:scores_distance:ks1d"))
    assert float(distance["value"][1]) == pytest.approx(max(parts[0], 1 - parts[1]), abs=0.03)


def test_no_alert_fires_before_and_the_right_one_after_the_predictor_ends(stage: Stage) -> None:
    def firing() -> set[str]:
        alerts = httpx.get(f"{stage.prometheus}/api/v1/alerts").json()["data"]["alerts"]
        return {alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"}

    # Half of what is sent is refused: that alert is right.
    assert firing() <= {"ForgeryRejectSpike"}
    stage.predictor.terminate()
    wait_for(lambda: "ForgeryPredictorAway" in firing())
