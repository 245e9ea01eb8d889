"""A training in a process of its own that may kill itself: `train_and_die.py EVIDENCE OUT CONFIG_JSON WHEN`.

WHEN is empty, or a checkpoint's number of steps: SIGKILL comes when that one has been written; or `+N`: N steps after
the process has taken its first.
"""

import json
import logging
import os
import signal
import sys
from pathlib import Path
from typing import Any

from forgery.config import RunConfig
from forgery.training import checkpoints, learner
from forgery.training.train import train

evidence, out, config, when = sys.argv[1:]


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Dying(checkpoints.Checkpoints):
    def write(self, steps: int, *rest: Any) -> None:
        super().write(steps, *rest)
        if when == str(steps):
            die()


class DyingLearner(learner.Learner):
    taken = 0

    def learn(self, batches: Any, rate: float, on_step: Any) -> None:
        def counted() -> None:
            on_step()
            DyingLearner.taken += 1
            if when == f"+{DyingLearner.taken}":
                die()

        super().learn(batches, rate, counted)


import forgery.training.fit as fit  # noqa: E402
import forgery.training.setup as setup  # noqa: E402

setup.Checkpoints = Dying  # type: ignore[attr-defined]
fit.Learner = DyingLearner  # type: ignore[attr-defined]
logging.basicConfig(level=logging.INFO)
result = train(Path(evidence), Path(out), RunConfig.read(json.loads(config)), None, "run")
print(json.dumps({"history": result.history, "best_epoch": result.best_epoch, "steps": DyingLearner.taken}))
