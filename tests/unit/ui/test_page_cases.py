"""Rows of a batch and its downloads."""

import csv
import hashlib
import io
import json
from typing import Any

import httpx
import pytest

from ui.cases import COLUMNS, Chosen, as_csv, as_json, open_case
from ui.endpoint import VERDICT, Endpoint


def rows(encoded: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(encoded.decode("utf-8-sig"))))


def test_every_row_has_every_column_with_and_without_a_verdict(make_case: Any) -> None:
    scored, refused = rows(as_csv([make_case(), make_case("b.gif", "GIF is not accepted.")]))
    assert list(scored) == list(refused) == list(COLUMNS)
    assert (scored["verdict"], scored["probability_forged"], scored["band_low"]) == ("forged", "0.934", "0.4")
    assert (refused["verdict"], refused["error"]) == ("", "GIF is not accepted.")


def test_json_and_csv_tell_the_same(make_case: Any) -> None:
    cases = [make_case(), make_case("ü.jpg", band=None)]
    told = [
        {key: "" if value is None else str(value) for key, value in row.items()} for row in json.loads(as_json(cases))
    ]
    assert told == rows(as_csv(cases))


@pytest.mark.parametrize("name", ["=cmd|' /C calc'!A0.jpg", "+1.png", "-x", "@sum"])
def test_a_file_name_is_never_a_formula(make_case: Any, name: str) -> None:
    assert rows(as_csv([make_case(name)]))[0]["file"] == f"'{name}"
    assert json.loads(as_json([make_case(name)]))[0]["file"] == name


def test_a_case_is_named_by_the_digest_of_the_bytes_chosen() -> None:
    endpoint = Endpoint(
        "http://x", transport=httpx.MockTransport(lambda _: httpx.Response(503, json={"error": "away"}))
    )
    case = open_case(endpoint, Chosen("a.jpg", b"bytes"), VERDICT)
    assert case.sha256 == hashlib.sha256(b"bytes").hexdigest()
    assert (case.answer, case.error) == (None, "Away.")
