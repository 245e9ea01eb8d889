"""The transaction against a service in memory whose every call can be made to fail."""

import contextlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from forgery.bundle import Bundle
from forgery.errors import BundleError, DeployConflict, DeployFailed, ForgeryError, InvalidConfig, ServiceUnavailable
from forgery.rollout.port import Revision, ServiceState
from forgery.rollout.revisions import HISTORY_LIMIT, forgettable, next_number
from forgery.rollout.transaction import deploy, undo
from forgery.stores import publish


class Killed(BaseException):
    """The process died here: nothing after it runs, as after kill -9."""


@dataclass
class MemoryService:
    """An InferenceService whose endpoint serves at once what it is asked for, unless the bundle is broken.

    Attributes:
        faults: Method name to what is raised: before it acts, or after it with a leading `after `; used once.
    """

    storage_uri: str | None = None
    generation: int = 1
    served: str | None = None
    entries: list[Revision] = field(default_factory=list)
    broken: set[str] = field(default_factory=set)
    faults: dict[str, BaseException] = field(default_factory=dict)
    swaps: list[str | None] = field(default_factory=list)
    meanwhile: Callable[[], None] = lambda: None

    def _fault(self, moment: str) -> None:
        if fault := self.faults.pop(moment, None):
            raise fault

    def describe(self) -> str:
        return "memory"

    def read(self) -> ServiceState:
        self._fault("read")
        return ServiceState(self.storage_uri, self.generation)

    def swap(self, expected: ServiceState, storage_uri: str | None) -> None:
        self._fault("swap")
        if self.storage_uri != storage_uri:
            if self.storage_uri != expected.storage_uri:
                raise DeployConflict(f"memory now asks for {self.storage_uri}")
            self.storage_uri, self.generation = storage_uri, self.generation + 1
            self.swaps.append(storage_uri)
        self._fault("after swap")

    def wait_served(self, storage_uri: str, model_version: str, timeout_s: float) -> str:
        self._fault("wait_served")
        self.meanwhile()
        if self.storage_uri != storage_uri:
            raise DeployConflict(f"memory now asks for {self.storage_uri}")
        if storage_uri in self.broken:
            raise BrokenBundle("the file saved_model.pb is missing")
        self.served = storage_uri
        self._fault("after wait_served")
        return "answers"

    def history(self) -> list[Revision]:
        self._fault("history")
        return list(self.entries)

    def record(self, revision: Revision) -> Revision:
        self._fault("record")
        numbered = revision.model_copy(update={"number": next_number(self.entries)})
        self.entries.append(numbered)
        self._fault("after record")
        return numbered

    def prune(self, keep: int) -> list[Revision]:
        self._fault("prune")
        forgotten = forgettable(self.entries, self.storage_uri, keep)
        self.entries = [entry for entry in self.entries if entry not in forgotten]
        return forgotten


class BrokenBundle(ForgeryError):
    """Stands for whatever an adapter found wrong with the new model."""


Deploy = Callable[..., Revision]
Undo = Callable[..., Revision]


@pytest.fixture
def service() -> MemoryService:
    return MemoryService()


@pytest.fixture
def checked() -> list[str]:
    """Digests that the golden check was asked for, in order."""
    return []


@pytest.fixture
def run_deploy(
    service: MemoryService, tmp_path: Path, make_light_bundle: Callable[[str], Bundle], checked: list[str]
) -> Deploy:
    """Deploy the bundle of a name as a run of that name, expecting the state the service is in unless told."""

    def run(name: str, expected: ServiceState | None = None, run_id: str | None = None) -> Revision:
        state = expected or ServiceState(service.storage_uri, service.generation)
        bundle, run_id = make_light_bundle(name), name if run_id is None else run_id
        bundles = f"file://{tmp_path}/bundles"
        return deploy(service, bundle, bundles, state, 0.8, run_id, lambda b: checked.append(b.digest), 5)

    return run


@pytest.fixture
def run_undo(service: MemoryService, tmp_path: Path, checked: list[str]) -> Undo:
    def run(to: int | None = None, run_id: str = "") -> Revision:
        return undo(service, to, lambda b: checked.append(b.digest), tmp_path / "cache", 5, run_id)

    return run


@pytest.fixture
def break_bundle(
    service: MemoryService, tmp_path: Path, make_light_bundle: Callable[[str], Bundle]
) -> Callable[[str], str]:
    """Let the bundle of a name never come into service; returns its URI."""

    def mark(name: str) -> str:
        uri = publish(make_light_bundle(name), f"file://{tmp_path}/bundles")
        service.broken.add(uri)
        return uri

    return mark


def told(service: MemoryService) -> list[tuple[int, str, str]]:
    """The history as number, reason, outcome."""
    return [(entry.number, entry.reason, entry.outcome) for entry in service.entries]


def digest(storage_uri: str | None) -> str:
    return (storage_uri or "").rpartition("/")[2]


def test_first_bundle_comes_into_service(service: MemoryService, run_deploy: Deploy, checked: list[str]) -> None:
    revision = run_deploy("a")
    assert service.served == service.storage_uri == revision.storage_uri
    assert (revision.number, revision.reason, revision.outcome, revision.run_id) == (1, "deploy", "serving", "a")
    assert checked == [revision.model_version] == [digest(revision.storage_uri)]


def test_a_bundle_that_fails_its_check_changes_nothing(
    service: MemoryService, tmp_path: Path, make_light_bundle: Callable[[str], Bundle]
) -> None:
    def refuse(bundle: Bundle) -> None:
        raise BundleError("the golden answer differs")

    state = service.read()
    with pytest.raises(BundleError, match="golden"):
        deploy(service, make_light_bundle("a"), f"file://{tmp_path}/b", state, None, "r", refuse, 5)
    assert (service.swaps, service.entries) == ([], [])


def test_a_broken_bundle_is_taken_back_and_the_history_says_so(
    service: MemoryService, run_deploy: Deploy, break_bundle: Callable[[str], str]
) -> None:
    first = run_deploy("a")
    broken = break_bundle("b")
    with pytest.raises(DeployFailed, match=r"saved_model.pb is missing; .* was put back"):
        run_deploy("b")
    assert service.storage_uri == service.served == first.storage_uri
    assert told(service) == [(1, "deploy", "serving"), (2, "deploy", "failed")]
    assert service.entries[-1].storage_uri == broken
    assert "saved_model.pb" in service.entries[-1].message


def test_a_first_bundle_that_is_broken_leaves_no_model(service: MemoryService, run_deploy: Deploy) -> None:
    service.faults["wait_served"] = DeployFailed("crashed")
    with pytest.raises(DeployFailed, match="no model, as before, was put back"):
        run_deploy("a")
    assert service.storage_uri is None


def test_a_broken_deploy_run_again_adds_no_second_entry(
    service: MemoryService, run_deploy: Deploy, break_bundle: Callable[[str], str]
) -> None:
    run_deploy("a")
    break_bundle("b")
    for _ in range(2):
        with pytest.raises(DeployFailed):
            run_deploy("b")
    assert told(service) == [(1, "deploy", "serving"), (2, "deploy", "failed")]


def test_a_deploy_decided_on_another_champion_changes_nothing(service: MemoryService, run_deploy: Deploy) -> None:
    decided_on = service.read()
    winner = run_deploy("a")
    with pytest.raises(DeployConflict, match=winner.storage_uri):
        run_deploy("b", expected=decided_on)
    assert service.storage_uri == winner.storage_uri
    assert told(service) == [(1, "deploy", "serving")]


def test_a_change_of_somebody_else_while_waiting_stands(service: MemoryService, run_deploy: Deploy) -> None:
    run_deploy("a")

    def somebody_else() -> None:
        service.storage_uri = "s3://theirs/x"

    service.meanwhile = somebody_else
    with pytest.raises(DeployConflict, match="s3://theirs/x"):
        run_deploy("b")
    assert service.storage_uri == "s3://theirs/x"


def test_a_failure_after_somebody_elses_change_does_not_undo_theirs(service: MemoryService, run_deploy: Deploy) -> None:
    run_deploy("a")

    def somebody_else() -> None:
        service.storage_uri = "s3://theirs/x"
        raise DeployFailed("the new pod crashes")

    service.meanwhile = somebody_else
    with pytest.raises(DeployFailed, match=r"crashes; nothing was put back: .*s3://theirs/x"):
        run_deploy("b")
    assert service.storage_uri == "s3://theirs/x"


def test_what_is_in_service_is_not_deployed_again(service: MemoryService, run_deploy: Deploy) -> None:
    first = run_deploy("a")
    assert run_deploy("a", run_id="another run") == first
    assert len(service.swaps) == len(service.entries) == 1


MOMENTS = [
    "read", "history", "swap", "after swap", "wait_served", "after wait_served", "record", "after record", "prune"
]  # fmt: skip


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("fault", [Killed(), ServiceUnavailable("no answer")], ids=["killed", "away"])
def test_a_deploy_that_broke_off_and_is_repeated_ends_in_one_revision(
    service: MemoryService, run_deploy: Deploy, moment: str, fault: BaseException
) -> None:
    run_deploy("a")
    state = ServiceState(service.storage_uri, service.generation)
    service.faults[moment] = fault
    with contextlib.suppress(Killed, ServiceUnavailable, DeployFailed):
        run_deploy("b", expected=state)
    revision = run_deploy("b", expected=state)
    serving = [entry for entry in service.entries if entry.outcome == "serving"]
    assert [entry.run_id for entry in serving] == ["a", "b"]
    assert service.storage_uri == service.served == revision.storage_uri == serving[-1].storage_uri


@pytest.mark.parametrize("moment", MOMENTS)
def test_an_undo_that_was_killed_and_is_repeated_ends_in_one_revision(
    service: MemoryService, run_deploy: Deploy, run_undo: Undo, moment: str
) -> None:
    first, _ = run_deploy("a"), run_deploy("b")
    service.faults[moment] = Killed()
    with contextlib.suppress(Killed):
        run_undo(run_id="u")
    revision = run_undo(run_id="u")
    assert told(service) == [(1, "deploy", "serving"), (2, "deploy", "serving"), (3, "rollback", "serving")]
    assert service.storage_uri == service.served == revision.storage_uri == first.storage_uri


def test_ctrl_c_while_waiting_puts_the_old_bundle_back(service: MemoryService, run_deploy: Deploy) -> None:
    first = run_deploy("a")
    service.faults["wait_served"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        run_deploy("b")
    assert service.storage_uri == first.storage_uri
    assert told(service) == [(1, "deploy", "serving")]


def test_a_service_away_from_the_wait_on_is_said_to_be_half_done(service: MemoryService, run_deploy: Deploy) -> None:
    run_deploy("a")

    def gone() -> None:
        service.faults["read"] = ServiceUnavailable("no answer")
        raise ServiceUnavailable("no answer")

    service.meanwhile = gone
    with pytest.raises(DeployFailed, match=r"could NOT be put back .* run this again or undo it"):
        run_deploy("b")


def test_undo_after_a_deploy_that_nobody_finished_goes_back_to_what_was_recorded(
    service: MemoryService, run_deploy: Deploy, run_undo: Undo
) -> None:
    first = run_deploy("a")
    service.faults["after swap"] = Killed()
    with pytest.raises(Killed):
        run_deploy("b")
    assert service.storage_uri != first.storage_uri
    run_undo()
    assert service.storage_uri == service.served == first.storage_uri


def test_a_deploy_repeated_after_somebody_rolled_it_back_stays_rolled_back(
    service: MemoryService, run_deploy: Deploy, run_undo: Undo
) -> None:
    first = run_deploy("a")
    state = ServiceState(service.storage_uri, service.generation)
    second = run_deploy("b", expected=state)
    run_undo()
    assert run_deploy("b", expected=state) == second
    assert service.storage_uri == first.storage_uri


def test_undo_is_checked_like_a_deploy(
    service: MemoryService, run_deploy: Deploy, run_undo: Undo, checked: list[str]
) -> None:
    first, _ = run_deploy("a"), run_deploy("b")
    checked.clear()
    assert run_undo().model_version == first.model_version
    assert checked == [first.model_version]


def test_undo_twice_returns_to_where_it_began(service: MemoryService, run_deploy: Deploy, run_undo: Undo) -> None:
    _, second = run_deploy("a"), run_deploy("b")
    run_undo()
    assert run_undo().storage_uri == second.storage_uri == service.served


def test_undo_to_a_bundle_that_was_deleted_changes_nothing(
    service: MemoryService, run_deploy: Deploy, run_undo: Undo
) -> None:
    first, second = run_deploy("a"), run_deploy("b")
    shutil.rmtree(first.storage_uri.removeprefix("file://"))
    with pytest.raises(BundleError, match="there is no bundle"):
        run_undo()
    assert service.storage_uri == second.storage_uri


def test_undo_to_a_bundle_that_was_altered_changes_nothing(
    service: MemoryService, run_deploy: Deploy, run_undo: Undo
) -> None:
    first, second = run_deploy("a"), run_deploy("b")
    (Path(first.storage_uri.removeprefix("file://")) / "saved_model" / "saved_model.pb").write_text("altered")
    with pytest.raises(BundleError, match="altered"):
        run_undo(to=1)
    assert service.storage_uri == second.storage_uri


def test_undo_of_nothing_says_so(run_undo: Undo) -> None:
    with pytest.raises(InvalidConfig, match="nothing to undo"):
        run_undo()


def test_the_history_stays_bounded_and_old_revisions_can_be_gone_back_to(
    service: MemoryService, run_deploy: Deploy, run_undo: Undo
) -> None:
    for number in range(1, 31):
        run_deploy(f"m{number}")
    third = service.entries[2]
    assert run_undo(to=3).storage_uri == third.storage_uri == service.served
    for number in range(31, HISTORY_LIMIT + 10):
        run_deploy(f"m{number}")
    assert len(service.entries) == HISTORY_LIMIT
    with pytest.raises(InvalidConfig, match="there is no revision 3"):
        run_undo(to=3)
