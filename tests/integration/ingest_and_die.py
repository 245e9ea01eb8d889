"""An ingest that is killed once so many blocks of what it read are kept: source, out, cache, blocks."""

import os
import signal
import sys
from pathlib import Path

from forgery.config import DataOptions
from forgery.dataset import kept
from forgery.dataset.ingest import ingest

source, out, cache, blocks = sys.argv[1:]
left = int(blocks)
keep = kept.KeptReads._keep


def keep_and_die(self: kept.KeptReads, name: str, results: list[kept.Result]) -> None:
    global left
    keep(self, name, results)
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)


kept.KeptReads._keep = keep_and_die
kept._FILES = 4
ingest(source, Path(out), DataOptions(), 0, cache)
