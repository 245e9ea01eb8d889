"""The frame around a pipeline step: logging set up once, failures ended by one clear line."""

import json
import logging
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from forgery.errors import ForgeryError
from forgery.steps.runner import end_with_runner

logger = logging.getLogger("forgery.steps")

# The command line names a file here to learn why a local step failed, without reading its log.
FAILURE_FILE_VARIABLE = "FORGERY_FAILURE_FILE"


class JsonFormatter(logging.Formatter):
    """One JSON object a line: `time` (UTC), `level`, `logger`, `message`."""

    def format(self, record: logging.LogRecord) -> str:
        """Render a record; a traceback goes into `exception`."""
        entry = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%SZ"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False)


def configure_logging() -> None:
    """Send the library's logs to standard error as JSON, once a process."""
    library = logging.getLogger("forgery")
    if library.handlers:
        return
    handler = logging.StreamHandler(sys.stderr)
    formatter = JsonFormatter()
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    library.addHandler(handler)
    library.setLevel(os.environ.get("FORGERY_LOG_LEVEL", "INFO"))
    library.propagate = False


@contextmanager
def step(name: str) -> Iterator[None]:
    """Run the body as the pipeline step `name`.

    An error written for people becomes the last line and the exit code; any other keeps its traceback and gets such a
    line as well.
    """
    configure_logging()
    end_with_runner()
    started = time.monotonic()
    logger.info("%s started", name)
    try:
        yield
    except ForgeryError as error:
        _fail(name, str(error))
        raise SystemExit(error.exit_code) from None
    except OSError as error:
        logger.exception("%s failed", name)
        _fail(name, f"{type(error).__name__}: {error}")
        raise SystemExit(1) from None
    except Exception as error:
        logger.exception("%s failed", name)
        _fail(name, f"unexpected {type(error).__name__}: {error}")
        raise SystemExit(1) from None
    logger.info("%s done in %.1f s", name, time.monotonic() - started)


def _fail(name: str, message: str) -> None:
    line = f"{name} failed: {' '.join(message.split())}"
    if path := os.environ.get(FAILURE_FILE_VARIABLE):
        Path(path).write_text(line + "\n")
    print(line, file=sys.stderr, flush=True)
