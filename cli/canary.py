"""Steps of a canary, for services that can split their traffic."""

from typing import Protocol, runtime_checkable

from forgery.errors import InvalidConfig
from forgery.rollout.port import InferenceServices


@runtime_checkable
class SplitsTraffic(Protocol):
    """A service whose requests can be shared between the newest revision and the one before."""

    def set_canary(self, percent: int | None) -> None:
        """Percent of the newest revision; None gives it all requests."""


def parse_step(step: str) -> int | None:
    """`promote` is None, `abort` 0, a number itself.

    Raises:
        InvalidConfig: It is none of these.
    """
    if step == "promote":
        return None
    if step == "abort":
        return 0
    if not (step.isascii() and step.isdigit() and int(step) <= 100):
        raise InvalidConfig(f"a canary step is 0 to 100, promote or abort (got {step!r})")
    return int(step)


def take_step(service: InferenceServices, step: str) -> str:
    """Carry out a step and say what holds now.

    Raises:
        InvalidConfig: The step is none, or the service cannot split its traffic.
    """
    percent = parse_step(step)
    if not isinstance(service, SplitsTraffic):
        raise InvalidConfig(
            f"{service.describe()} serves one model at a time and has no canary; deploy and undo instead"
        )
    service.set_canary(percent)
    if percent is None:
        return f"{service.describe()}: all requests go to the newest revision"
    said = f"{service.describe()}: {percent} % of the requests go to the newest revision, the rest to the one before"
    if percent:
        return said
    return f"{said}; `forgery rollout undo` and then `forgery rollout canary promote` make that last"
