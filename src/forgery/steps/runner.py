"""A step that was started on this machine ends with the run that started it."""

import logging
import os
import signal
import threading
import time
from typing import Final, Never

logger = logging.getLogger("forgery.steps")

# The process number of a local run; in a pod there is none, and Kubernetes ends what is to end.
RUNNER_VARIABLE: Final = "FORGERY_RUNNER_PID"
_LOOK_EVERY_S: Final = 1.0


def end_with_runner() -> None:
    """End this process, files and workers put away, soon after its run is gone: it would work on for nobody.

    To be called on the main thread.
    """
    if runner := os.environ.get(RUNNER_VARIABLE):
        # Not SIGINT, which processes in the background of a script ignore.
        signal.signal(signal.SIGTERM, _end)
        threading.Thread(target=_watch, args=(int(runner),), name="runner", daemon=True).start()


def _watch(runner: int) -> None:
    while _lives(runner):
        time.sleep(_LOOK_EVERY_S)
    logger.warning("the run that started this step is gone: the step ends too")
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)


def _end(number: int, _: object) -> Never:
    raise SystemExit(128 + number)


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except OSError:  # none has that number any more, or somebody else's
        return False
    return True
