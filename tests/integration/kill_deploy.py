"""Driver of `test_deploy_kill.py`: deploy in a child that is killed before its N-th change to the disk, for every N.

For each N: a child process that has not got there yet is ended by SIGKILL; what it left is looked at; the same call is
made again; what that ends in is looked at. Prints one JSON line per N and ends with the first N that kills nobody.
"""

import json
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

from forgery.bundle import open_bundle
from forgery.rollout.local import LocalService
from forgery.rollout.port import Revision, ServiceState
from forgery.rollout.transaction import deploy, undo
from forgery.stores import exists

CHANGES = {"os.rename", "os.mkdir", "os.rmdir", "os.remove", "os.truncate", "os.link", "os.symlink"}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def die_at(number: int) -> None:
    """Kill this process before its change of that number to the file system."""
    seen = 0

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal seen
        if event in CHANGES or (event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITING):
            seen += 1
            if seen == number:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)


def act(what: str, work: Path, drafts: Path) -> Revision:
    """The call that is killed and repeated: the same arguments every time."""
    service, bundles = LocalService(work / "state"), f"file://{work}/bundles"
    if what == "undo":
        return undo(service, None, lambda _: None, work / "cache", 5, "undo")
    expected = ServiceState(**json.loads((work / "expected.json").read_text()))
    return deploy(service, open_bundle(drafts / "b"), bundles, expected, 0.9, "run-b", lambda _: None, 5)


def prepare(what: str, work: Path, drafts: Path) -> None:
    """One revision in service, and for an undo a second one."""
    service, bundles = LocalService(work / "state"), f"file://{work}/bundles"
    for name in ("a", "b") if what == "undo" else ("a",):
        deploy(service, open_bundle(drafts / name), bundles, service.read(), 0.8, f"run-{name}", lambda _: None, 5)
    state = service.read()
    (work / "expected.json").write_text(json.dumps({"storage_uri": state.storage_uri, "generation": state.generation}))


def look(work: Path) -> dict[str, Any]:
    """What the service asks for, whether that bundle is whole, and the history."""
    service = LocalService(work / "state")
    uri = service.read().storage_uri or ""
    return {
        "model": uri.rpartition("/")[2],
        "whole": exists(uri) and open_bundle(uri.removeprefix("file://")).digest == uri.rpartition("/")[2],
        "history": [[entry.number, entry.run_id, entry.outcome] for entry in service.history()],
    }


def killed(what: str, work: Path, drafts: Path, number: int) -> bool:
    child = os.fork()
    if child == 0:
        die_at(number)
        act(what, work, drafts)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return True
    if os.WEXITSTATUS(status):
        raise SystemExit(f"the child failed by itself at {number}")
    return False


def main(what: str, root: Path, drafts: Path) -> None:
    work = root / "work"
    for number in range(1, 1000):
        # The same absolute path each time, since URIs hold it.
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        prepare(what, work, drafts)
        if not killed(what, work, drafts, number):
            print(json.dumps({"number": number, "killed": False, "after": look(work)}))
            return
        left = look(work)
        act(what, work, drafts)
        print(json.dumps({"number": number, "killed": True, "left": left, "after": look(work)}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
