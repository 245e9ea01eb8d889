"""`forgery schedule`: recurring runs by name."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import kfp_server_api as models
import pytest
from kfp_backend import Backend, Fault
from kfp_invocation import Forgery

NIGHTLY = ("schedule", "create", "nightly", "--cron", "0 0 3 * * *")


def only(backend: Backend) -> Any:
    (run,) = backend.recurring_runs.values()
    return run


def test_schedule_runs_one_at_a_time_without_catching_up_as_our_own_account(forgery: Forgery, backend: Backend) -> None:
    result = forgery(*NIGHTLY, "--set", "source=s3://pictures/new/")
    assert result.code == 0
    run = only(backend)
    assert run.trigger.cron_schedule.cron == "0 0 3 * * *"
    assert (run.no_catchup, run.max_concurrency, run.status) == (True, "1", "ENABLED")
    assert run.service_account == "forgery-pipeline"
    assert run.runtime_config.parameters["source"] == "s3://pictures/new/"
    assert run.pipeline_version_reference.pipeline_version_id in backend.versions


def test_schedule_is_explained_with_its_next_times(forgery: Forgery) -> None:
    result = forgery(*NIGHTLY)
    assert "nightly: created\n  at 03:00 every day, UTC\n  next: " in result.out
    now = datetime.now(UTC)
    first = now.replace(hour=3, minute=0) + timedelta(days=now.hour >= 3)
    assert f"{first:%Y-%m-%d} 03:00, {first + timedelta(days=1):%Y-%m-%d} 03:00, " in result.out


def test_five_fields_are_refused_with_what_they_would_do(forgery: Forgery, backend: Backend) -> None:
    result = forgery("schedule", "create", "nightly", "--cron", "0 3 * * *")
    assert result.code == 2
    assert "it would fire every hour at minute 03" in result.err
    assert "write '0 0 3 * * *'" in result.err
    assert backend.calls == []


@pytest.mark.parametrize(
    "arguments",
    [(), ("--cron", "@daily", "--every", "24h"), ("--every", "24"), ("--every", "30s"), ("--every", "soon")],
)
def test_timing_that_is_none_is_refused(forgery: Forgery, backend: Backend, arguments: tuple[str, ...]) -> None:
    result = forgery("schedule", "create", "nightly", *arguments)
    assert result.code == 2
    assert "24h" in result.err
    assert backend.calls == []


@pytest.mark.parametrize(
    ("text", "seconds", "words"), [("24h", 86400, "24 hours"), ("90m", 5400, "90 minutes"), ("7d", 604800, "7 days")]
)
def test_interval_is_taken(forgery: Forgery, backend: Backend, text: str, seconds: int, words: str) -> None:
    result = forgery("schedule", "create", "often", "--every", text)
    assert result.code == 0
    assert int(only(backend).trigger.periodic_schedule.interval_second) == seconds
    assert f"every {words}" in result.out


def test_same_wish_again_changes_nothing(forgery: Forgery, backend: Backend) -> None:
    forgery(*NIGHTLY)
    before = only(backend).recurring_run_id
    assert "nightly: is already there" in forgery(*NIGHTLY).out
    assert only(backend).recurring_run_id == before


@pytest.mark.parametrize(
    "change",
    [("--cron", "0 0 4 * * *"), ("--set", "seed=7"), ("--experiment", "other"), ("--service-account", "another")],
)
def test_other_wish_takes_the_place_of_the_old(forgery: Forgery, backend: Backend, change: tuple[str, str]) -> None:
    forgery(*NIGHTLY)
    before = only(backend).recurring_run_id
    result = forgery(*NIGHTLY, *change)
    assert "replaced the one of that name" in result.out
    assert only(backend).recurring_run_id != before
    created, deleted = (
        len(backend.calls) - 1 - backend.calls[::-1].index(f"recurring_run_service_{verb}_recurring_run")
        for verb in ("create", "delete")
    )
    assert created < deleted


def test_replacement_cut_off_in_the_middle_is_finished_by_the_next_call(forgery: Forgery, backend: Backend) -> None:
    forgery(*NIGHTLY)
    backend.faults.append(Fault("recurring_run_service_delete_recurring_run", status=400))
    assert forgery(*NIGHTLY, "--set", "seed=7").code == 1
    assert len(backend.recurring_runs) == 2
    assert forgery(*NIGHTLY, "--set", "seed=7").code == 0
    assert only(backend).runtime_config.parameters["seed"] == 7


def test_paused_schedule_stays_paused_when_it_is_replaced(forgery: Forgery, backend: Backend) -> None:
    forgery(*NIGHTLY)
    forgery("schedule", "pause", "nightly")
    result = forgery(*NIGHTLY, "--set", "seed=7")
    assert only(backend).status == "DISABLED"
    assert "once resumed: forgery schedule resume nightly" in result.out


def test_schedule_that_others_made_is_left_alone(forgery: Forgery, backend: Backend) -> None:
    forgery(*NIGHTLY)
    only(backend).description = "made in the UI"
    result = forgery(*NIGHTLY, "--set", "seed=7")
    assert result.code == 1
    assert "choose another name" in result.err
    assert len(backend.recurring_runs) == 1


@pytest.mark.parametrize("fault", [{"status": 500, "times": 2}, {"cut": "before"}, {"cut": "after"}])
def test_one_schedule_is_made_whatever_becomes_of_the_answer(
    forgery: Forgery, backend: Backend, fault: dict[str, Any]
) -> None:
    backend.faults.append(Fault("recurring_run_service_create_recurring_run", **fault))
    assert forgery(*NIGHTLY).code == 0
    assert len(backend.recurring_runs) == 1


@pytest.mark.parametrize("verb", ["disable", "enable", "delete"])
@pytest.mark.parametrize("fault", [{"status": 503}, {"cut": "before"}])
def test_change_of_a_schedule_is_tried_again(
    forgery: Forgery, backend: Backend, verb: str, fault: dict[str, Any]
) -> None:
    forgery(*NIGHTLY)
    backend.faults.append(Fault(f"recurring_run_service_{verb}_recurring_run", **fault))
    command = {"disable": "pause", "enable": "resume", "delete": "delete"}[verb]
    assert forgery("schedule", command, "nightly").code == 0


def test_schedules_are_listed_with_when_and_next(forgery: Forgery) -> None:
    assert "No schedule yet" in forgery("schedule", "list").out
    forgery(*NIGHTLY)
    forgery("schedule", "create", "hourly", "--every", "1h")
    forgery("schedule", "pause", "hourly")
    heading, hourly, nightly = forgery("schedule", "list").out.splitlines()
    assert heading.split() == ["name", "when", "next", "(UTC)", "state"]
    assert hourly.split() == ["hourly", "every", "hour", "paused"]
    assert nightly.startswith("nightly")
    assert "at 03:00 every day, UTC" in nightly
    assert nightly.endswith("enabled")


def test_schedules_as_json_have_the_next_time(forgery: Forgery) -> None:
    forgery(*NIGHTLY)
    (schedule,) = json.loads(forgery("schedule", "list", "--json").out)
    assert datetime.fromisoformat(schedule["next_at"]) > datetime.now(UTC)
    assert (schedule["name"], schedule["state"], schedule["ours"]) == ("nightly", "enabled", True)


def test_schedule_made_elsewhere_is_listed_as_the_server_takes_it(forgery: Forgery, backend: Backend) -> None:
    forgery(*NIGHTLY)
    run = only(backend)
    run.description, run.trigger.cron_schedule.cron = "", "0 3 * * *"
    (schedule,) = json.loads(forgery("schedule", "list", "--json").out)
    assert (schedule["when"], schedule["ours"]) == ("every hour at minute 03, UTC", False)


def test_more_schedules_than_a_page_are_listed(forgery: Forgery, backend: Backend) -> None:
    forgery(*NIGHTLY)
    run = only(backend)
    for number in range(230):
        backend.recurring_runs[str(number)] = models.V2beta1RecurringRun(
            recurring_run_id=str(number), display_name=f"s{number:03d}", trigger=run.trigger, created_at=run.created_at
        )
    assert len(json.loads(forgery("schedule", "list", "--json").out)) == 231


def test_pause_and_resume_by_name(forgery: Forgery, backend: Backend) -> None:
    forgery(*NIGHTLY)
    assert "paused" in forgery("schedule", "pause", "nightly").out
    assert only(backend).status == "DISABLED"
    assert "at 03:00 every day, UTC; next 20" in forgery("schedule", "resume", "nightly").out
    assert only(backend).status == "ENABLED"


def test_delete_by_name(forgery: Forgery, backend: Backend) -> None:
    forgery(*NIGHTLY)
    assert forgery("schedule", "delete", "nightly").code == 0
    assert backend.recurring_runs == {}


@pytest.mark.parametrize("command", ["pause", "resume", "delete"])
def test_unknown_name_is_told_with_those_that_exist(forgery: Forgery, command: str) -> None:
    forgery(*NIGHTLY)
    result = forgery("schedule", command, "nihgtly")
    assert result.code == 2
    assert "there is no schedule 'nihgtly'; there are: nightly" in result.err
