"""One structured log line a request, with digests of the pictures and never the pictures."""

import hashlib
import json
import logging
import re
import sys
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from serving import metrics, tracing
from serving.refusal import Refusal

logger = logging.getLogger("serving.request")

# Printable ASCII: what an HTTP header and gRPC metadata may both carry.
_HEADER_VALUE = re.compile(r"[\x20-\x7e]{1,256}")
_FORWARDED = ("x-request-id", "traceparent", "tracestate", "x-b3-traceid")
_ROUTE_LENGTH = 120


@dataclass
class Entry:
    """What is known of a request when it ends."""

    protocol: str
    route: str
    forwarded: Mapping[str, str]
    start: float = field(default_factory=time.perf_counter)
    code: str = "OK"
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def request_id(self) -> str:
        """The caller's `x-request-id`, or one made here; it goes through to the predictor and back."""
        return self.forwarded["x-request-id"]


_current: ContextVar[Entry | None] = ContextVar("entry", default=None)


def current() -> Entry | None:
    """The request being answered here, if any."""
    return _current.get()


def note(**facts: Any) -> None:
    """Add facts to the line of the request being answered here."""
    if (entry := _current.get()) is not None:
        entry.facts.update(facts)


def note_pictures(pictures: Sequence[bytes]) -> None:
    """Add the pictures' digests, enough of them to find a picture again."""
    note(pictures=[hashlib.sha256(picture).hexdigest()[:16] for picture in pictures])


@contextmanager
def request(protocol: str, route: str, headers: Mapping[str, str]) -> Iterator[Entry]:
    """Open the entry of one request; on leaving it is counted and logged."""
    forwarded = {
        name: headers[name] for name in _FORWARDED if name in headers and _HEADER_VALUE.fullmatch(headers[name])
    }
    forwarded.setdefault("x-request-id", uuid.uuid4().hex)
    entry = Entry(protocol, route[:_ROUTE_LENGTH], forwarded)
    token = _current.set(entry)
    with tracing.request(protocol, entry.route, forwarded) as attributes:
        try:
            yield entry
        finally:
            _current.reset(token)
            attributes |= {"forgery.code": entry.code, "forgery.request_id": entry.request_id}
            _close(entry)


def refuse(entry: Entry, refusal: Refusal) -> None:
    """Count a refusal; its sentence goes to the log."""
    metrics.REFUSALS.labels(refusal.reason.name.lower()).inc()
    entry.facts["error"] = refusal.message


def _close(entry: Entry) -> None:
    seconds = time.perf_counter() - entry.start
    metrics.REQUESTS.labels(entry.protocol, entry.code).inc()
    metrics.REQUEST_SECONDS.labels(entry.protocol).observe(seconds)
    logger.info(
        "request",
        extra={
            "facts": {
                "protocol": entry.protocol,
                "route": entry.route,
                "code": entry.code,
                "ms": round(seconds * 1000, 1),
                "request_id": entry.request_id,
                **entry.facts,
            }
        },
    )


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Time, level, logger, message, the entry's facts, and a traceback where there is one."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "facts", {}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=True, default=str)


def configure_logging(level: str = "INFO") -> None:
    """Structured lines on standard error for the whole process; servers call it once, at start."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # Decoders warn of whatever is odd in a file; whoever sends files would write the log.
    logging.captureWarnings(True)
    logging.getLogger("py.warnings").setLevel(logging.ERROR)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    logging.getLogger("httpx").setLevel(logging.WARNING)
