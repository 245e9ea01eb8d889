"""The service's history as values: which number comes next, what `undo` goes back to, what may be forgotten."""

from collections.abc import Sequence

from forgery.errors import InvalidConfig
from forgery.rollout.port import Revision

# Revisions kept; a year of weekly deployments can be undone. Each takes about a kilobyte.
HISTORY_LIMIT = 50


def next_number(history: Sequence[Revision]) -> int:
    """The number of the next revision; numbers start at 1 and are never used again while a later one is kept."""
    return max((revision.number for revision in history), default=0) + 1


def head(history: Sequence[Revision]) -> Revision | None:
    """The newest revision that came into service; None before the first."""
    served = [revision for revision in history if revision.outcome == "serving"]
    return max(served, key=lambda revision: revision.number, default=None)


def in_service(history: Sequence[Revision], storage_uri: str | None) -> Revision | None:
    """The newest revision that brought `storage_uri` into service; None if none did."""
    return head([revision for revision in history if revision.storage_uri == storage_uri])


def undo_target(history: Sequence[Revision], storage_uri: str | None, to: int | None) -> Revision:
    """The revision that an undo brings back.

    Args:
        history: The revisions kept.
        storage_uri: What the service asks for now. Where the history's head says otherwise, a change was made but
            never recorded: an interrupted undo is then completed, and any other change taken back to the head.
        to: A revision's number; None for the newest that served another bundle than the head.

    Raises:
        InvalidConfig: There is no such revision, it never served, or there is nothing to go back to.
    """
    if to is not None:
        return _numbered(history, to)
    current = head(history)
    if current is None:
        raise InvalidConfig("there is nothing to undo: no revision has come into service yet")
    before = _before(history, current)
    unrecorded = storage_uri != current.storage_uri
    if unrecorded and not (before and before.storage_uri == storage_uri):
        return current
    if before is None:
        raise InvalidConfig(f"there is nothing to undo: no bundle was served before that of revision {current.number}")
    return before


def _numbered(history: Sequence[Revision], number: int) -> Revision:
    found = next((revision for revision in history if revision.number == number), None)
    served = ", ".join(str(revision.number) for revision in history if revision.outcome == "serving") or "none"
    if found is None:
        raise InvalidConfig(f"there is no revision {number}; those that can be gone back to: {served}")
    if found.outcome != "serving":
        raise InvalidConfig(f"revision {number} never came into service; those that did: {served}")
    return found


def _before(history: Sequence[Revision], current: Revision) -> Revision | None:
    return head([revision for revision in history if revision.storage_uri != current.storage_uri])


def forgettable(history: Sequence[Revision], storage_uri: str | None, keep: int) -> list[Revision]:
    """The revisions beyond the newest `keep`, oldest first, sparing the one in service and the one `undo` goes to.

    Args:
        history: All revisions kept.
        storage_uri: What the service asks for now.
        keep: At least 1.

    Raises:
        InvalidConfig: `keep` is less than 1.
    """
    if keep < 1:
        raise InvalidConfig(f"a history must keep at least 1 revision (got {keep})")
    ordered = sorted(history, key=lambda revision: revision.number)
    current = head(history)
    spared = {revision.number for revision in ordered[-keep:]}
    for needed in (in_service(history, storage_uri), current, _before(history, current) if current else None):
        if needed is not None:
            spared.add(needed.number)
    return [revision for revision in ordered if revision.number not in spared]
