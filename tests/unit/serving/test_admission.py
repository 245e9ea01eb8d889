"""How many requests, and how many bytes of them, are inside."""

import pytest

from serving.gate import Admission
from serving.limits import ServingLimits
from serving.refusal import Reason, Refusal


def test_bytes_of_all_requests_count_together_and_are_given_back() -> None:
    admission = Admission(ServingLimits(max_inside_bytes=100))
    with admission.admit() as first:
        first.hold(40)
        first.hold(30)
        with admission.admit() as second:
            second.hold(30)
            with pytest.raises(Refusal) as caught:
                second.hold(1)
        assert (caught.value.reason, caught.value.limit) == (Reason.BUSY, "max_inside_bytes=100")
        assert caught.value.retry_after_s == 1
        with admission.admit() as third:
            third.hold(30)
    with admission.admit() as alone:
        alone.hold(100)


def fail_inside(admission: Admission) -> None:
    with admission.admit():
        with pytest.raises(Refusal, match="1 requests are being answered"), admission.admit():
            pass
        raise ZeroDivisionError


def test_places_are_given_back_whatever_happens_inside() -> None:
    admission = Admission(ServingLimits(max_requests=1))
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            fail_inside(admission)
