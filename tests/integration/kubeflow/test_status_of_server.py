"""The part of `forgery status` that Kubeflow Pipelines knows."""

from pathlib import Path

from kfp_backend import Backend
from kfp_invocation import Forgery

from cli.home import Home
from cli.kubeflow.connection import Address
from cli.overview import gather


def test_runs_and_schedules_of_the_server(forgery: Forgery, backend: Backend, tmp_path: Path) -> None:
    assert forgery("submit", "--pipeline", "rollback", "--name", "back").code == 0
    assert forgery("schedule", "create", "nightly", "--every", "24h").code == 0
    home, address = Home(tmp_path), Address(host=backend.url)
    found = gather(home, "kserve:forgery/forgery", None, None, address)
    assert [run["name"] for run in found["runs"].facts["runs"]] == ["back"]
    assert [each["name"] for each in found["schedules"].facts["schedules"]] == ["nightly"]
    assert found["schedules"].state == "ok"
    assert forgery("schedule", "pause", "nightly").code == 0
    paused = gather(home, None, None, None, address)["schedules"]
    assert (paused.state, paused.said) == ("attention", "paused: nightly")


def test_a_server_that_is_away_is_told_in_its_own_part(tmp_path: Path) -> None:
    found = gather(Home(tmp_path), None, None, None, Address(host="http://127.0.0.1:9"))
    assert (found["schedules"].state, "no answer" in found["schedules"].said) == ("attention", True)
