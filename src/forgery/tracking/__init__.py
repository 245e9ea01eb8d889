"""MLflow, thinly: one run per pipeline run, versions in the registry, the alias `champion`.

Tracking never costs a training. If the server does not answer, `open_run` and a `Run` log one warning and go on
without it; `register_version` and `set_champion` raise, and their caller decides. An empty tracking URI turns
everything here into a no-op.
"""

from forgery.tracking.client import NOTE_TAG, RUN_TAG
from forgery.tracking.runs import Run, open_run
from forgery.tracking.versions import register_version, set_champion

__all__ = ["NOTE_TAG", "RUN_TAG", "Run", "open_run", "register_version", "set_champion"]
