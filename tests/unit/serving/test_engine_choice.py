"""The predictor's choice of what runs the model."""

import pytest

from serving.predictor import main


def test_an_unknown_engine_is_told_with_the_known_ones(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORGERY_ENGINE", "onnx")
    assert main([]) == 2
    assert "known are tensorflow, litert, auto" in capsys.readouterr().err
