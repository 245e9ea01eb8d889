"""Driver of `test_interruptions.py`: one deploy, in a process that kills itself before or after a step.

Arguments: namespace, bundle folder, store, expected storageUri, expected generation, run id, moment.
"""

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from forgery.bundle import open_bundle
from forgery.rollout.kserve import connect
from forgery.rollout.port import ServiceState
from forgery.rollout.transaction import deploy


def dying(moment: str, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
    def wrapped(*arguments: Any) -> Any:
        if moment == f"before {name}":
            os.kill(os.getpid(), signal.SIGKILL)
        result = call(*arguments)
        if moment == f"after {name}":
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    return wrapped


def main() -> None:
    namespace, folder, bundles, uri, generation, run_id, moment = sys.argv[1:]
    service = connect(namespace, "forgery")
    for name in ("swap", "wait_served", "record", "prune"):
        setattr(service, name, dying(moment, name, getattr(service, name)))
    expected = ServiceState(uri or None, int(generation))
    revision = deploy(service, open_bundle(folder), bundles, expected, 0.9, run_id, lambda _: None, 180)
    print(revision.number)


if __name__ == "__main__":
    main()
