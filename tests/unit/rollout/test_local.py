import json
import os
import subprocess
import threading
import time
from pathlib import Path

import pytest
from filelock import FileLock

from forgery.errors import DeployConflict, DeployFailed, InvalidConfig, ServiceUnavailable
from forgery.rollout.local import LocalService
from forgery.rollout.port import Revision, ServiceState
from forgery.rollout.service import open_service

ENTRY = Revision(
    number=0,
    storage_uri="file:///b/1",
    model_version="1",
    f1=0.8,
    run_id="r",
    created_at="2026-01-01T00:00:00+00:00",
    reason="deploy",
    outcome="serving",
)


@pytest.fixture
def service(tmp_path: Path) -> LocalService:
    return LocalService(tmp_path / "state")


def write_status(folder: Path, **status: object) -> None:
    said = {"pid": os.getpid(), "generation": 1, "storageUri": None, "modelVersion": None, "state": "loading"} | status
    (folder / ".status").write_text(json.dumps(said | {"message": said.get("message", ""), "httpPort": 1}))
    (folder / ".status").replace(folder / "status.json")


def test_an_empty_folder_asks_for_no_model(service: LocalService) -> None:
    assert service.read() == ServiceState(None, 0)
    assert service.history() == []


def test_a_swap_sets_the_uri_and_raises_the_generation(service: LocalService, tmp_path: Path) -> None:
    service.swap(service.read(), "file:///b/1")
    assert service.read() == ServiceState("file:///b/1", 1)
    assert json.loads((tmp_path / "state/spec.json").read_text()) == {"storageUri": "file:///b/1", "generation": 1}


def test_a_repeated_swap_changes_nothing(service: LocalService) -> None:
    state = service.read()
    service.swap(state, "file:///b/1")
    service.swap(state, "file:///b/1")
    assert service.read().generation == 1


def test_a_model_can_be_taken_away_again(service: LocalService) -> None:
    service.swap(service.read(), "file:///b/1")
    service.swap(service.read(), None)
    assert service.read() == ServiceState(None, 2)


def test_of_many_swaps_at_once_exactly_one_wins(service: LocalService) -> None:
    state, lost = service.read(), []

    def swap(number: int) -> None:
        try:
            service.swap(state, f"file:///b/{number}")
        except DeployConflict as error:
            lost.append(str(error))

    threads = [threading.Thread(target=swap, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    winner = service.read()
    assert winner.generation == 1
    assert len(lost) == 7
    assert all(f"it now asks for {winner.storage_uri}" in message for message in lost)


def test_the_loser_is_told_who_won(service: LocalService) -> None:
    state = service.read()
    service.swap(state, "file:///b/1")
    service.record(ENTRY)
    with pytest.raises(DeployConflict, match=r"file:///b/1 \(revision 1, run r\)"):
        service.swap(state, "file:///b/2")


def test_revisions_are_numbered_in_order(service: LocalService) -> None:
    assert [service.record(ENTRY).number for _ in range(3)] == [1, 2, 3]
    assert [entry.number for entry in service.history()] == [1, 2, 3]


def test_pruning_keeps_what_is_in_service(service: LocalService) -> None:
    service.swap(service.read(), "file:///b/1")
    service.record(ENTRY)
    for number in range(2, 6):
        service.record(ENTRY.model_copy(update={"storage_uri": f"file:///b/{number}"}))
    assert [entry.number for entry in service.prune(2)] == [2, 3]
    assert [entry.number for entry in service.history()] == [1, 4, 5]


def test_a_damaged_state_is_named(service: LocalService, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state/spec.json").write_text("{")
    with pytest.raises(ServiceUnavailable, match=r"spec\.json is damaged"):
        service.read()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ServiceUnavailable, match="cannot be"):
        LocalService(tmp_path / "file" / "state").swap(ServiceState(None, 0), "file:///b/1")


def test_waiting_for_a_service_that_is_stopped_ends_at_once(service: LocalService) -> None:
    service.swap(service.read(), "file:///b/1")
    assert "is stopped" in service.wait_served("file:///b/1", "1", 60)


def test_a_status_left_by_a_dead_supervisor_is_not_believed(service: LocalService, tmp_path: Path) -> None:
    service.swap(service.read(), "file:///b/1")
    dead = subprocess.Popen(["true"])
    dead.wait()
    write_status(tmp_path / "state", pid=dead.pid, state="loading")
    assert "is stopped" in service.wait_served("file:///b/1", "1", 60)
    write_status(tmp_path / "state", pid=os.getpid(), state="loading")  # the number was given to another process
    assert "is stopped" in service.wait_served("file:///b/1", "1", 60)


def test_waiting_ends_when_the_supervisor_serves_the_new_model(service: LocalService, tmp_path: Path) -> None:
    service.swap(service.read(), "file:///b/1")
    write_status(tmp_path / "state", state="serving", modelVersion="0", generation=0)
    with FileLock(tmp_path / "state/supervisor.lock"):
        later = threading.Timer(0.3, write_status, [tmp_path / "state"], {"state": "serving", "modelVersion": "1"})
        later.start()
        begin = time.monotonic()
        assert "answers with 1" in service.wait_served("file:///b/1", "1", 30)
    assert 0.25 < time.monotonic() - begin < 10


def test_a_failure_of_an_earlier_generation_is_not_this_ones(service: LocalService, tmp_path: Path) -> None:
    service.swap(service.read(), "file:///b/1")
    service.swap(service.read(), None)
    service.swap(service.read(), "file:///b/1")
    write_status(tmp_path / "state", state="failed", generation=1, message="it crashed")
    with FileLock(tmp_path / "state/supervisor.lock"):
        with pytest.raises(DeployFailed, match="not in service after 0 s"):
            service.wait_served("file:///b/1", "1", 0.3)
        write_status(tmp_path / "state", state="failed", generation=3, message="it crashed")
        with pytest.raises(DeployFailed, match="it crashed"):
            service.wait_served("file:///b/1", "1", 30)


def test_another_change_while_waiting_is_a_conflict(service: LocalService, tmp_path: Path) -> None:
    service.swap(service.read(), "file:///b/1")
    service.swap(service.read(), "file:///b/2")
    with pytest.raises(DeployConflict, match="file:///b/2"):
        service.wait_served("file:///b/1", "1", 30)


@pytest.mark.parametrize(
    "text", ["", "local:", "kserve:", "kserve:name", "kserve:UPPER/x", "kserve:a/b/c", "file:///x"]
)
def test_a_service_of_no_known_form_is_refused(text: str) -> None:
    with pytest.raises(InvalidConfig, match="local:PATH and kserve:NAMESPACE/NAME"):
        open_service(text)


def test_a_local_service_is_opened_by_its_path(tmp_path: Path) -> None:
    assert open_service(f"local:{tmp_path}").describe() == f"local:{tmp_path}"
