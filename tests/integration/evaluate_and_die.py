"""An evaluation that is killed once so many blocks of answers are kept: image set, draft, out, cache, blocks."""

import os
import signal
import sys
from pathlib import Path

from forgery.config import RunConfig
from forgery.evaluation import answers
from forgery.evaluation.evaluate import evaluate
from forgery.evaluation.kept import KeptAnswers

image_set, draft, out, config, blocks = sys.argv[1:]
left = int(blocks)
write = KeptAnswers.write


def write_and_die(self: KeptAnswers, name: str, found: object) -> None:
    global left
    write(self, name, found)
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)


KeptAnswers.write = write_and_die
answers._BLOCK = 5
evaluate(Path(image_set), Path(draft), None, Path(out), RunConfig.model_validate_json(config))
