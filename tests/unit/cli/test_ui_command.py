"""`forgery ui` before the page starts."""

import pytest
from typer.testing import CliRunner

import cli.ui
from cli.__main__ import app
from forgery.errors import InvalidConfig


def test_an_endpoint_that_is_no_web_address_is_refused() -> None:
    result = CliRunner().invoke(app, ["ui", "--url", "grpc://127.0.0.1:8081"])
    assert isinstance(result.exception, InvalidConfig)
    assert "http://HOST:PORT" in str(result.exception)


def test_without_streamlit_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli.ui, "find_spec", lambda _: None)
    result = CliRunner().invoke(app, ["ui"])
    assert isinstance(result.exception, InvalidConfig)
    assert "forgery[ui]" in str(result.exception)
