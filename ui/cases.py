"""What the page knows of a file after asking: a verdict, or why there is none; and both as rows for a download."""

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from ui.endpoint import Answer, Endpoint, EndpointError

COLUMNS = (
    "file",
    "verdict",
    "probability_forged",
    "threshold",
    "band_low",
    "band_high",
    "confidence",
    "model_version",
    "sha256",
    "bytes",
    "asked_at",
    "error",
)
# Spreadsheets run cells that begin so as formulas, and a stranger chose the file's name.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True)
class Chosen:
    """A file somebody chose, exactly as it came."""

    name: str
    encoded: bytes

    @cached_property
    def sha256(self) -> str:
        """Hex digest of the bytes chosen, which are the bytes sent."""
        return hashlib.sha256(self.encoded).hexdigest()


@dataclass(frozen=True)
class Case:
    """A file and what the endpoint said of it: `answer`, or `error` as a sentence."""

    chosen: Chosen
    sha256: str
    asked_at: datetime
    answer: Answer | None = None
    error: str = ""

    def record(self) -> dict[str, Any]:
        """One row with the keys `COLUMNS`; None where there is nothing to say."""
        row: dict[str, Any] = dict.fromkeys(COLUMNS)
        row.update(
            file=self.chosen.name,
            sha256=self.sha256,
            bytes=len(self.chosen.encoded),
            asked_at=self.asked_at.isoformat(timespec="seconds"),
            error=self.error or None,
        )
        if self.answer is not None:
            row.update(
                verdict=self.answer.label,
                probability_forged=round(self.answer.probability_forged, 6),
                threshold=round(self.answer.threshold, 6),
                confidence=round(self.answer.confidence, 6),
                model_version=self.answer.model_version,
            )
            if self.answer.band is not None:
                low, high = self.answer.band
                row.update(band_low=round(low, 6), band_high=round(high, 6))
        return row


def open_case(endpoint: Endpoint, chosen: Chosen, outputs: tuple[str, ...]) -> Case:
    """Ask the endpoint about one file; a refusal becomes the case's error."""
    asked_at = datetime.now(UTC)
    try:
        return Case(chosen, chosen.sha256, asked_at, endpoint.ask(chosen.encoded, outputs))
    except EndpointError as error:
        return Case(chosen, chosen.sha256, asked_at, error=str(error))


def as_csv(cases: Iterable[Case]) -> bytes:
    """All cases as CSV with a header, in UTF-8 with the mark that spreadsheets look for."""
    text = io.StringIO()
    rows = csv.DictWriter(text, COLUMNS)
    rows.writeheader()
    rows.writerows(_without_formulas(case.record()) for case in cases)
    return text.getvalue().encode("utf-8-sig")


def as_json(cases: Iterable[Case]) -> bytes:
    """All cases as a JSON array."""
    return json.dumps([case.record() for case in cases], ensure_ascii=False, indent=2).encode()


def _without_formulas(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA_STARTS) else value
        for key, value in row.items()
    }
