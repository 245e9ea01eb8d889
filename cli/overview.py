"""What `forgery status` says, from where it is known; a place that does not answer spoils its own part alone."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import httpx

from cli.home import Home
from cli.kubeflow.connection import Address
from forgery.errors import ForgeryError
from forgery.rollout.port import Revision
from forgery.rollout.service import open_service

State = Literal["ok", "attention", "unknown"]
_RUNS = 5
_TIMEOUT_S = 5.0


@dataclass(frozen=True)
class Section:
    """One part: whether somebody should look, a sentence, and the facts by name."""

    state: State
    said: str
    facts: Mapping[str, Any] = field(default_factory=dict)

    def values(self) -> dict[str, Any]:
        """As one JSON object."""
        return {"state": self.state, "said": self.said, **self.facts}


Overview = dict[str, Section]


def gather(home: Home, service: str | None, url: str | None, tracking: str | None, address: Address) -> Overview:
    """All parts, in the order in which they are read."""
    local = service is None or service.startswith("local:")
    places = home.places()
    named = service or places["service"]
    tracking = tracking or (places["tracking"] if local else None)
    found = {"service": _guarded(lambda: _service(named))}
    served = str(found["service"].facts.get("model_version", ""))
    found["health"] = _guarded(lambda: _health(url or (_local_url(named) if local else None), served))
    found["champion"] = _guarded(lambda: _champion(tracking, served))
    found["drift"] = _guarded(lambda: _drift(tracking, served))
    found["runs"] = _guarded(lambda: _local_runs(home.runs) if local else _runs(address))
    found["schedules"] = _guarded(lambda: _schedules(address))
    return found


def _guarded(ask: Callable[[], Section]) -> Section:
    try:
        return ask()
    except ForgeryError as error:
        return Section("attention", str(error))


def _service(named: str) -> Section:
    service = open_service(named)
    asked, history = service.read().storage_uri, service.history()
    facts: dict[str, Any] = {"name": service.describe(), "storage_uri": asked}
    if asked is None:
        return Section("unknown", "no model yet: forgery run, or a run of the training pipeline", facts)
    revisions = [revision for revision in history if revision.storage_uri == asked]
    if not revisions:
        return Section("attention", "a model that no revision recorded: a rollout is under way, or was cut off", facts)
    newest, last = revisions[-1], history[-1]
    facts |= newest.model_dump(include={"number", "model_version", "f1", "reason", "created_at"})
    if last.outcome == "failed" and last.number > newest.number:
        said = f"revision {last.number} did not come into service: {last.message}"
        return Section("attention", said, facts)
    return Section("ok", _words(newest), facts)


def _words(revision: Revision) -> str:
    f1 = "" if revision.f1 is None else f", F1 {revision.f1:.3f}"
    return f"revision {revision.number} ({revision.reason}, {_clock(revision.created_at)} UTC){f1}"


def _clock(text: str) -> str:
    return datetime.fromisoformat(text).astimezone(UTC).strftime("%Y-%m-%d %H:%M")


def _local_url(named: str) -> str | None:
    try:
        status = json.loads((Path(named.removeprefix("local:")) / "status.json").read_text())
        return f"http://127.0.0.1:{int(status['httpPort'])}"
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _health(url: str | None, served: str) -> Section:
    if url is None:
        return Section("unknown", "not asked: give --url, or start forgery serve")
    try:
        with httpx.Client(base_url=url, timeout=_TIMEOUT_S) as client:
            (model,) = client.get("/v2/models").raise_for_status().json()["models"]
            ready = client.get(f"/v2/models/{model}/ready").status_code == httpx.codes.OK
            versions = client.get(f"/v2/models/{model}").raise_for_status().json().get("versions", [])
    except (httpx.HTTPError, ValueError, KeyError, TypeError):
        return Section("attention", f"nothing answers at {url}: forgery serve", {"url": url})
    facts = {"url": url, "ready": ready, "versions": versions}
    if not ready:
        return Section("attention", "the endpoint is there and not ready", facts)
    if served and versions != [served]:
        return Section("attention", "it answers with another model than the service asks for", facts)
    return Section("ok", f"ready at {url}", facts)


def _champion(tracking: str | None, served: str) -> Section:
    from forgery.tracking.lookups import read_champion

    if tracking is None:
        return Section("unknown", "not asked: give --tracking")
    champion = read_champion(tracking)
    if champion is None:
        return Section("unknown", "MLflow has no champion yet", {"version": None})
    facts = {"version": champion.version, "model_version": champion.model_version, "source": champion.source}
    if served and champion.model_version != served:
        return Section("attention", f"version {champion.version} in MLflow, which is not the model in service", facts)
    return Section("ok", f"version {champion.version} in MLflow", facts)


def _drift(tracking: str | None, served: str) -> Section:
    from forgery.tracking.lookups import read_drift

    if tracking is None:
        return Section("unknown", "not asked: give --tracking")
    drift = read_drift(tracking)
    if drift is None:
        return Section("unknown", "nobody looked yet: forgery monitor")
    facts = drift.model_dump(mode="json")
    said = f"{drift.reason} ({drift.at:%Y-%m-%d %H:%M} UTC)"
    if served and drift.model_version != served:
        return Section("unknown", f"of an earlier model: {said}", facts)
    return Section("attention" if drift.drifted else "ok", said, facts)


def _local_runs(folder: Path) -> Section:
    from cli.past_runs import read_past_runs

    return _listed([run.values() for run in read_past_runs(folder, _RUNS)], "no run yet: forgery run")


def _listed(runs: list[dict[str, Any]], none: str) -> Section:
    if not runs:
        return Section("unknown", none, {"runs": []})
    newest = runs[0]
    state: State = "attention" if newest["state"] == "failed" else "ok"
    return Section(state, f"the last one {newest['state']}", {"runs": runs})


def _runs(address: Address) -> Section:
    from cli.kubeflow.connection import connect
    from cli.kubeflow.runs import list_runs

    if address.host is None:
        return Section("unknown", "not asked: give --host")
    lines = list_runs(connect(address), _RUNS)
    runs = [{"name": run.name, "state": run.state, "at": run.started_at, "said": run.link} for run in lines]
    return _listed(runs, "no run yet: forgery submit")


def _schedules(address: Address) -> Section:
    from cli.kubeflow.connection import connect
    from cli.kubeflow.schedule import list_all

    if address.host is None:
        return Section("unknown", "those of Kubeflow Pipelines: give --host")
    found = [
        {"name": each.name, "state": each.state, "said": each.when, "at": each.next_at}
        for each in list_all(connect(address))
    ]
    if not found:
        return Section("unknown", "none: forgery schedule create", {"schedules": []})
    paused = [each["name"] for each in found if each["state"] == "paused"]
    said = f"paused: {', '.join(map(str, paused))}" if paused else f"{len(found)} active"
    return Section("attention" if paused else "ok", said, {"schedules": found})
