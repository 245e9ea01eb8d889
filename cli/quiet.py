"""TensorFlow prints to standard error while it is loaded, past every setting; a person's terminal is spared that."""

import os

from forgery.muted import muted


def load_tensorflow() -> None:
    """Import TensorFlow with standard error put aside; what fails is raised all the same."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with muted():
        import tensorflow  # noqa: F401
