"""Revisions of the service as tables, and the way back to one."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from cli.home import Home
from cli.quiet import load_tensorflow
from forgery.errors import ServiceUnavailable
from forgery.rollout.port import InferenceServices, Revision
from forgery.rollout.service import open_service
from forgery.steps.deploy import SERVED_WITHIN_S, check_bundle, record_champion, rollback

_WATCH_EVERY_S = 1.0


def chosen_service(text: str | None) -> InferenceServices:
    """The service named on the command line, or the local one."""
    return open_service(text or f"local:{Home.from_environment().service}")


def print_history(service: InferenceServices, as_json: bool) -> None:
    """Print all revisions kept, the one in service marked."""
    revisions, current = service.history(), service.read().storage_uri
    if as_json:
        for revision in revisions:
            print(revision.model_dump_json())
        return
    newest = max((each.number for each in revisions if each.storage_uri == current), default=0)
    table = Table("revision", "model", "F1", "reason", "outcome", "time (UTC)", "note", box=None)
    for revision in revisions:
        mark = " *" if revision.number == newest else ""
        table.add_row(f"{revision.number}{mark}", *_cells(revision))
    Console().print(table if revisions else f"{service.describe()} has no history yet")


def _cells(revision: Revision) -> tuple[str, ...]:
    f1 = "" if revision.f1 is None else f"{revision.f1:.3f}"
    note = revision.message if revision.outcome == "failed" else ""
    created = datetime.fromisoformat(revision.created_at).strftime("%Y-%m-%d %H:%M:%S")
    return revision.model_version[:12], f1, revision.reason, revision.outcome, created, note


def print_status(service: InferenceServices) -> None:
    """Print what the service asks for, and the revision that brought it."""
    print(status_text(service))


def status_text(service: InferenceServices) -> str:
    """A line each for service, storageUri, and revision and model where the history has them."""
    state = service.read()
    lines = [f"service    {service.describe()}", f"storageUri {state.storage_uri or 'none yet'}"]
    served = [each for each in service.history() if each.storage_uri == state.storage_uri]
    if served:
        newest = served[-1]
        lines.append(f"revision   {newest.number} ({newest.reason}, {newest.outcome}, {newest.created_at})")
        lines.append(f"model      {newest.model_version}")
    elif state.storage_uri is not None:
        lines.append("revision   not recorded yet: a rollout is under way")
    return "\n".join(lines)


def watch_status(service: InferenceServices) -> None:
    """Print the status, and again whenever it changes, until interrupted; an API that is away is said once."""
    said = ""
    while True:
        try:
            text = status_text(service)
        except ServiceUnavailable as error:
            text = f"no answer: {error}"
        if text != said:
            print(f"{datetime.now(UTC):%H:%M:%S}\n{text}", flush=True)
            said = text
        time.sleep(_WATCH_EVERY_S)


def roll_back(service: InferenceServices, home: Home, to: int | None, timeout_s: float = SERVED_WITHIN_S) -> Revision:
    """Bring an earlier revision's bundle back and say what was done."""
    load_tensorflow()
    tracking = home.places()["tracking"] if service.describe().startswith("local:") else ""
    return _said(rollback(service, to, check_bundle, home.cache, timeout_s, tracking))


def promote_by_hand(
    service: InferenceServices, bundle: Path, places: Mapping[str, str], timeout_s: float = SERVED_WITHIN_S
) -> Revision:
    """Deploy a bundle that nobody but a person decided on: checked and recorded like any other, but not gated."""
    from forgery.bundle import open_bundle
    from forgery.rollout.transaction import deploy

    opened = open_bundle(bundle)
    load_tensorflow()
    f1, run_id = opened.info.metrics.get("f1"), f"by-hand-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    expected = service.read()
    revision = deploy(service, opened, places["bundles"], expected, f1, run_id, check_bundle, timeout_s)
    record_champion(places["tracking"], opened, revision)
    return _said(revision)


def _said(revision: Revision) -> Revision:
    version, note = revision.model_version[:12], revision.message
    Console().print(
        f"revision {revision.number}: {version} {revision.outcome}. {note}", highlight=False, soft_wrap=True
    )
    return revision
