import logging

from forgery import progress


def test_without_a_terminal_progress_is_logged(monkeypatch, caplog):
    monkeypatch.setattr(progress, "_LOG_EVERY_S", 0)
    with caplog.at_level(logging.INFO, "forgery.progress"):
        assert list(progress.track("abcd", 4, "counting")) == list("abcd")
    assert caplog.messages[1] == "counting: 2 of 4 (50 %)"


def test_short_work_logs_nothing(caplog):
    with caplog.at_level(logging.INFO, "forgery.progress"):
        assert list(progress.track(iter("ab"), None, "counting")) == ["a", "b"]
    assert caplog.messages == []
