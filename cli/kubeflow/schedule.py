"""Recurring runs, by name: made, replaced, listed, paused, resumed, deleted."""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from cli.kubeflow.connection import PipelinesRefused, Server
from cli.kubeflow.cron import parse
from cli.kubeflow.submit import Placement, make_experiment
from cli.kubeflow.timing import Timing
from cli.kubeflow.upload import Uploaded, named
from forgery.errors import InvalidConfig

if TYPE_CHECKING:
    from kfp_server_api import V2beta1RecurringRun

# At the end of a schedule's description: the digest of what was asked for, by which the same wish is told again.
_MARK = re.compile(r"\[forgery ([0-9a-f]{12})\]$")


@dataclass(frozen=True)
class Schedule:
    """A recurring run of the server, as people see it; `next_at` is None while it is paused."""

    id: str
    name: str
    when: str
    state: str
    next_at: datetime | None
    ours: bool


@dataclass(frozen=True)
class Outcome:
    """What `create` did: it was there, it is new, or it took the place of another."""

    kind: Literal["unchanged", "created", "replaced"]
    schedule: Schedule


def create(
    server: Server, name: str, timing: Timing, uploaded: Uploaded, parameters: Mapping[str, Any], placement: Placement
) -> Outcome:
    """Make the server start a run at these times: without catching up on missed ones, and never two at once.

    The same wish again changes nothing. Another one under the same name takes the place of the old: the server cannot
    change a recurring run, so the new one is made first and the old one deleted then; cut off in between, the next
    call cleans up. A schedule that was paused stays so.

    Raises:
        PipelinesRefused: The name belongs to a schedule that was not made here.
    """
    wish = _digest(timing, uploaded, parameters, placement)
    there = find(server, name)
    if strangers := [run for run in there if not _mark(run)]:
        raise PipelinesRefused(
            f"a schedule {name!r} exists that forgery did not make ({strangers[0].recurring_run_id}): choose another "
            f"name, or delete it: forgery schedule delete {name}"
        )
    same = [run for run in there if _mark(run) == wish]
    paused = bool(there) and all(_state(run) == "paused" for run in there)
    kept = same[0] if same else _make(server, name, timing, uploaded, parameters, placement, wish, enabled=not paused)
    with server.asked():
        for run in there:
            if run.recurring_run_id != kept.recurring_run_id:
                server.client.delete_recurring_run(run.recurring_run_id)
    return Outcome("unchanged" if same else "replaced" if there else "created", as_schedule(kept))


def list_all(server: Server) -> list[Schedule]:
    """Every schedule of the server, or of the namespace where it has several users; by name."""
    return sorted((as_schedule(run) for run in _pages(server)), key=lambda schedule: schedule.name)


def find(server: Server, name: str) -> list["V2beta1RecurringRun"]:
    """The recurring runs of that name; more than one only where a replacement was cut off."""
    return [run for run in _pages(server, filter=named(name)) if run.display_name == name]


def pause(server: Server, name: str) -> None:
    """Start no more runs until resumed; those that run go on. Raises InvalidConfig if there is none of that name."""
    _for_each(server, name, server.client.disable_recurring_run)


def resume(server: Server, name: str) -> list[Schedule]:
    """Start runs again; what was missed is not made up for. Raises InvalidConfig if there is none of that name."""
    _for_each(server, name, server.client.enable_recurring_run)
    return [as_schedule(run) for run in find(server, name)]


def delete(server: Server, name: str) -> None:
    """Remove it; runs it started stay. Raises InvalidConfig if there is none of that name."""
    _for_each(server, name, server.client.delete_recurring_run)


def as_schedule(run: "V2beta1RecurringRun", now: datetime | None = None) -> Schedule:
    """A recurring run of the server as people see it."""
    timing, state = _timing(run), _state(run)
    now = now or datetime.now(UTC)
    times = timing.next_times(run.created_at or now, now, 1) if timing and state == "enabled" else []
    when = timing.words() if timing else _unreadable(run)
    return Schedule(
        run.recurring_run_id, run.display_name, when, state, times[0] if times else None, _mark(run) is not None
    )


def _make(
    server: Server,
    name: str,
    timing: Timing,
    uploaded: Uploaded,
    parameters: Mapping[str, Any],
    placement: Placement,
    wish: str,
    enabled: bool,
) -> "V2beta1RecurringRun":
    from cli.kubeflow.client import create_once

    experiment_id = make_experiment(server, placement.experiment)
    with server.asked():
        return create_once(
            lambda: server.client.create_recurring_run(
                experiment_id,
                name,
                description=f"{uploaded.name} {uploaded.version}, {timing.words()} [forgery {wish}]",
                cron_expression=timing.cron.text if timing.cron else None,
                interval_second=timing.every_s,
                # The default catches up: resuming after a pause would start every missed run.
                no_catchup=True,
                max_concurrency=1,
                enabled=enabled,
                params=dict(parameters),
                pipeline_id=uploaded.pipeline_id,
                version_id=uploaded.version_id,
                service_account=placement.service_account,
            ),
            lambda: next((run for run in find(server, name) if _mark(run) == wish), None),
        )


def _digest(timing: Timing, uploaded: Uploaded, parameters: Mapping[str, Any], placement: Placement) -> str:
    wish = {
        "cron": timing.cron.text if timing.cron else None,
        "every_s": timing.every_s,
        "version_id": uploaded.version_id,
        "parameters": dict(parameters),
        "experiment": placement.experiment,
        "service_account": placement.service_account,
    }
    return hashlib.sha256(json.dumps(wish, sort_keys=True).encode()).hexdigest()[:12]


def _mark(run: "V2beta1RecurringRun") -> str | None:
    match = _MARK.search(run.description or "")
    return match[1] if match else None


def _pages(server: Server, **options: str) -> list["V2beta1RecurringRun"]:
    from cli.kubeflow.client import all_pages

    with server.asked():
        return list(
            all_pages(server.client.list_recurring_runs, "recurring_runs", namespace=server.namespace, **options)
        )


def _for_each(server: Server, name: str, action: Callable[[str], object]) -> None:
    from cli.kubeflow.client import repeat

    runs = find(server, name)
    if not runs:
        known = ", ".join(schedule.name for schedule in list_all(server)) or "none"
        raise InvalidConfig(f"there is no schedule {name!r}; there are: {known}")
    with server.asked():
        for run in runs:
            repeat(partial(action, run.recurring_run_id))


def _state(run: "V2beta1RecurringRun") -> str:
    if run.error and run.error.message:
        return "failed"
    return "enabled" if run.status == "ENABLED" else "paused"


def _timing(run: "V2beta1RecurringRun") -> Timing | None:
    trigger = run.trigger
    if trigger and trigger.periodic_schedule and trigger.periodic_schedule.interval_second:
        return Timing(every_s=int(trigger.periodic_schedule.interval_second))
    text = trigger.cron_schedule.cron if trigger and trigger.cron_schedule else None
    if not text:
        return None
    try:
        # Five fields were accepted by the server, and mean this to it.
        return Timing(cron=parse(f"{text} *" if len(text.split()) == 5 else text))
    except InvalidConfig:
        return None


def _unreadable(run: "V2beta1RecurringRun") -> str:
    return str(run.trigger.cron_schedule.cron) if run.trigger and run.trigger.cron_schedule else "no trigger"
