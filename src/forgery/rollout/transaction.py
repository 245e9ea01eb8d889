"""Deploy and undo: one transaction that ends with the new bundle in service and recorded, or with the old one.

publish -> check -> swap (compare and swap) -> wait until served -> record

Killed at any point and run again with the same arguments, it goes on from what it finds: the bundle in its store, the
`storageUri` already swapped, the revision already recorded. `plan` is that decision, and pure.
"""

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from forgery.bundle import Bundle
from forgery.errors import DeployConflict, DeployFailed, ForgeryError, ServiceUnavailable
from forgery.rollout.port import InferenceServices, Revision, ServiceState
from forgery.rollout.revisions import HISTORY_LIMIT, head, undo_target
from forgery.stores import fetch, publish

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Change:
    """One move of the service from one bundle to another.

    Attributes:
        storage_uri: The bundle to serve.
        model_version: Its digest.
        f1: Of the forged class on its test split; None where it is not known.
        run_id: Of the run that asked for it; makes a repeated call recognisable. May be empty.
        reason: What the history will say.
        expected: The state that the decision was made on; the service must still be in it.
    """

    storage_uri: str
    model_version: str
    f1: float | None
    run_id: str
    reason: Literal["deploy", "rollback"]
    expected: ServiceState


@dataclass(frozen=True)
class Plan:
    """What is left to do for a change.

    Attributes:
        done: The revision that the change already is, if it is; nothing else is to be done then.
        swap: Whether `storageUri` is still to be set.
    """

    done: Revision | None
    swap: bool


def plan(change: Change, state: ServiceState, history: Sequence[Revision]) -> Plan:
    """Decide what a change still needs, from what the service asks for and what its history says."""
    newest = head(history)
    own = [entry for entry in history if _is_record_of(entry, change) and entry.outcome == "serving"]
    if change.run_id and own and state.generation != change.expected.generation:
        # This very call has succeeded before; whatever the service asks for now came after it.
        return Plan(done=own[-1], swap=False)
    swapped = state.storage_uri == change.storage_uri
    if swapped and newest is not None and newest.storage_uri == change.storage_uri:
        return Plan(done=newest, swap=False)
    return Plan(done=None, swap=not swapped)


def _is_record_of(entry: Revision, change: Change) -> bool:
    return (entry.run_id, entry.storage_uri, entry.reason) == (change.run_id, change.storage_uri, change.reason)


def deploy(
    service: InferenceServices,
    bundle: Bundle,
    bundles: str,
    expected: ServiceState,
    f1: float | None,
    run_id: str,
    check: Callable[[Bundle], None],
    timeout_s: float,
) -> Revision:
    """Bring a bundle into service and record it.

    Args:
        service: Where.
        bundle: What; published to `bundles` first.
        bundles: `file://PATH` or `s3://bucket/prefix`.
        expected: The service's state when the decision to deploy was made.
        f1: For the history.
        run_id: For the history, and to recognise a repeated call.
        check: Loads the bundle and compares its answers with those it was sealed with; raises BundleError.
        timeout_s: How long to wait for the service to answer with the new model.

    Returns:
        The new revision; the one there is if this bundle is in service already.

    Raises:
        BundleError, StorageError: Before anything was changed.
        DeployConflict: Somebody else changed the service; their change stands.
        DeployFailed: It did not come into service; the old `storageUri` was put back, and the history says so.
        ServiceUnavailable: Nothing was changed, or the change is complete but for its record: run it again.
    """
    uri = publish(bundle, bundles)
    check(bundle)
    return _carry_out(service, Change(uri, bundle.digest, f1, run_id, "deploy", expected), timeout_s)


def undo(
    service: InferenceServices,
    to: int | None,
    check: Callable[[Bundle], None],
    cache: Path,
    timeout_s: float,
    run_id: str = "",
) -> Revision:
    """Bring an earlier revision's bundle back into service, checked like a deploy, as a revision of its own.

    Args:
        service: Where.
        to: The revision's number; None for the newest that served another bundle than now.
        check: As for `deploy`.
        cache: Folder that the bundle is fetched into.
        timeout_s: As for `deploy`.
        run_id: Of the run that asks; with one, a call repeated after it succeeded changes nothing.

    Returns:
        The new revision; the one there is if its bundle is in service already.

    Raises:
        InvalidConfig: There is no such revision, it never served, or there is nothing to go back to.
        BundleError, StorageError, DeployConflict, DeployFailed, ServiceUnavailable: As `deploy`.
    """
    state, history = service.read(), service.history()
    repeated = [entry for entry in history if run_id and (entry.run_id, entry.reason) == (run_id, "rollback")]
    if repeated and repeated[-1].outcome == "serving":
        return repeated[-1]
    target = undo_target(history, state.storage_uri, to)
    check(fetch(target.storage_uri, cache))
    change = Change(target.storage_uri, target.model_version, target.f1, run_id, "rollback", state)
    return _carry_out(service, change, timeout_s)


def _carry_out(service: InferenceServices, change: Change, timeout_s: float) -> Revision:
    todo = plan(change, service.read(), service.history())
    if todo.done is not None:
        logger.info("%s: %s is revision %d already", service.describe(), change.model_version, todo.done.number)
        return todo.done
    if todo.swap:
        service.swap(change.expected, change.storage_uri)
    try:
        seen = service.wait_served(change.storage_uri, change.model_version, timeout_s)
    except DeployConflict:
        raise
    except ForgeryError as cause:
        raise _taken_back(service, change, cause) from cause
    except BaseException:
        # Ctrl-C and the like: leave the service as it was found.
        with suppress(ForgeryError):
            _put_back(service, change)
        raise
    return _recorded(service, change, seen)


def _recorded(service: InferenceServices, change: Change, seen: str) -> Revision:
    try:
        revision = service.record(_entry(change, "serving", seen))
    except ServiceUnavailable as error:
        what = f"{change.model_version} is in service, but not in the history yet"
        raise ServiceUnavailable(f"{what} ({error}): run this again to record it") from error
    logger.info("%s: revision %d, %s", service.describe(), revision.number, seen)
    try:
        service.prune(HISTORY_LIMIT)
    except ServiceUnavailable as error:
        logger.warning("the history was not shortened this time: %s", error)
    return revision


def _entry(change: Change, outcome: Literal["serving", "failed"], message: str) -> Revision:
    return Revision(
        number=0,
        storage_uri=change.storage_uri,
        model_version=change.model_version,
        f1=change.f1,
        run_id=change.run_id,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        reason=change.reason,
        outcome=outcome,
        message=message,
    )


def _put_back(service: InferenceServices, change: Change) -> str | None:
    """Restore the `storageUri` that was there before; returns it."""
    before = _before(service, change)
    service.swap(ServiceState(change.storage_uri, service.read().generation), before)
    return before


def _before(service: InferenceServices, change: Change) -> str | None:
    if change.expected.storage_uri != change.storage_uri:
        return change.expected.storage_uri
    # Run again by hand after it was killed: the state it was given is its own half-done change.
    newest = head(service.history())
    return newest.storage_uri if newest else None


def _taken_back(service: InferenceServices, change: Change, cause: ForgeryError) -> DeployFailed:
    what = f"{change.model_version} did not come into service: {cause}"
    try:
        before = _put_back(service, change)
    except DeployConflict as conflict:
        return DeployFailed(f"{what}; nothing was put back: {conflict}")
    except ForgeryError as error:
        return DeployFailed(f"{what}; the old storageUri could NOT be put back ({error}): run this again or undo it")
    with suppress(ForgeryError):
        newest = max(service.history(), key=lambda entry: entry.number, default=None)
        if newest is None or not (newest.outcome == "failed" and _is_record_of(newest, change)):
            service.record(_entry(change, "failed", str(cause)))
    return DeployFailed(f"{what}; {before or 'no model, as before,'} was put back")
