"""The predictor refuses a bundle that lay under another one's digest."""

from collections.abc import Callable

import pytest

from forgery.bundle import Bundle
from forgery.errors import BundleError
from serving.predictor import check_origin


def test_a_bundle_under_its_own_digest_is_taken(make_light_bundle: Callable[[str], Bundle]) -> None:
    bundle = make_light_bundle("a")
    check_origin(str(bundle.path), f"s3://models/{bundle.digest}")


def test_a_bundle_under_another_digest_is_refused(make_light_bundle: Callable[[str], Bundle]) -> None:
    bundle, other = make_light_bundle("a"), make_light_bundle("b")
    with pytest.raises(BundleError, match=f"{other.digest} holds the bundle {bundle.digest}"):
        check_origin(str(bundle.path), f"s3://models/{other.digest}")


@pytest.mark.parametrize("storage_uri", ["", "s3://models/by-hand"])
def test_a_place_that_promises_no_digest_is_not_checked(
    storage_uri: str, make_light_bundle: Callable[[str], Bundle]
) -> None:
    check_origin(str(make_light_bundle("a").path), storage_uri)
