"""Where limits come from."""

import argparse

import pytest

from forgery.errors import InvalidConfig
from serving.limits import ServingLimits


def read(*flags: str, **environment: str) -> ServingLimits:
    parser = argparse.ArgumentParser()
    ServingLimits.add_flags(parser)
    return ServingLimits.read(parser.parse_args(flags), environment)


def test_flags_win_over_the_environment_and_that_over_defaults() -> None:
    limits = read("--max_pictures", "3", FORGERY_MAX_PICTURES="4", FORGERY_MAX_PIXELS="5")
    assert (limits.max_pictures, limits.max_pixels, limits.max_requests) == (3, 5, ServingLimits().max_requests)


def test_there_is_at_least_one_decoder() -> None:
    assert read().decoders >= 1
    assert read("--concurrent_decodes", "7").decoders == 7


def test_formats_are_a_list_of_known_names() -> None:
    assert read("--formats", "jpeg, png").accepted_formats == ("JPEG", "PNG")


@pytest.mark.parametrize(
    ("flag", "value"), [("--max_pictures", "0"), ("--max_pixels", "many"), ("--formats", "jpeg,gif")]
)
def test_a_wrong_limit_is_named(flag: str, value: str) -> None:
    with pytest.raises(InvalidConfig, match=flag):
        read(flag, value)
