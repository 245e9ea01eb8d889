"""TensorFlow prints to standard error while it is loaded, past every setting; a person's terminal is spared that."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


def load_tensorflow() -> None:
    """Import TensorFlow with standard error put aside; what fails is raised all the same."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with _muted():
        import tensorflow  # noqa: F401


@contextmanager
def _muted() -> Iterator[None]:
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
