import pytest

from cli.canary import parse_step, take_step
from forgery.errors import InvalidConfig
from forgery.rollout.service import open_service


class Splitting:
    def __init__(self):
        self.percents = []

    def describe(self):
        return "kserve:a/b"

    def set_canary(self, percent):
        self.percents.append(percent)


@pytest.mark.parametrize(("step", "percent"), [("10", 10), ("0", 0), ("100", 100), ("promote", None), ("abort", 0)])
def test_a_step_is_a_share(step, percent):
    assert parse_step(step) == percent


@pytest.mark.parametrize("step", ["101", "-1", "ten", "", "1.5", "²"])
def test_another_step_is_refused(step):
    with pytest.raises(InvalidConfig, match="0 to 100, promote or abort"):
        parse_step(step)


def test_a_step_is_carried_out_and_said():
    service = Splitting()
    said = take_step(service, "10")
    assert said == "kserve:a/b: 10 % of the requests go to the newest revision, the rest to the one before"
    assert "rollout undo" in take_step(service, "abort")
    take_step(service, "promote")
    assert service.percents == [10, 0, None]


def test_a_local_service_has_no_canary(tmp_path):
    with pytest.raises(InvalidConfig, match="has no canary"):
        take_step(open_service(f"local:{tmp_path}"), "10")
