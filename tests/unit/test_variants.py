import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from forgery.errors import InvalidConfig
from forgery.variants import Variant, parse_variants

COLOUR = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)


def saved(format: str = "PNG", **options: object) -> bytes:
    encoded = io.BytesIO()
    Image.fromarray(COLOUR).save(encoded, format, **options)
    return encoded.getvalue()


def opened(encoded: bytes) -> Image.Image:
    return Image.open(io.BytesIO(encoded))


@given(st.integers(10, 200), st.none() | st.integers(1, 100))
def test_names_come_back_as_the_same_variant(percent: int, quality: int | None) -> None:
    variant = Variant(percent, quality)
    if variant.name:
        assert Variant.parse(variant.name) == variant


@pytest.mark.parametrize(
    "name", ["", "original", "q", "q0", "q101", "x9", "x201", "x100", "x100q85", "q85x50", "x050", "Q85", "q85 "]
)
def test_an_unknown_variant_is_refused_with_the_accepted_form(name: str) -> None:
    with pytest.raises(InvalidConfig, match=r"accepted are q<quality 1-100>.*x50q85"):
        Variant.parse(name)


def test_drawn_copies_stand_among_the_others() -> None:
    names = ["q85", "varied", "x50", "pasted"]
    assert [each.name for each in parse_variants(names)] == names


def test_the_same_variant_twice_is_refused() -> None:
    with pytest.raises(InvalidConfig, match="'q85' stands twice"):
        parse_variants(["q85", "x50", "q85"])


def test_a_recompressed_copy_is_a_jpeg_of_that_quality() -> None:
    copy = Variant.parse("q70").copy(saved())
    reference = saved("JPEG", quality=70, subsampling="4:2:0")
    assert opened(copy).quantization == opened(reference).quantization
    assert np.array_equal(np.asarray(opened(copy)), np.asarray(opened(reference)))


def test_a_resized_copy_is_handed_on_without_loss() -> None:
    copy = opened(Variant.parse("x50").copy(saved()))
    expected = Image.fromarray(COLOUR).resize((16, 12), Image.Resampling.LANCZOS)
    assert np.array_equal(np.asarray(copy), np.asarray(expected))


def test_both_resizes_first() -> None:
    copy = opened(Variant.parse("x150q90").copy(saved()))
    assert (copy.format, copy.size) == ("JPEG", (48, 36))


def test_orientation_is_applied_only_when_asked_for() -> None:
    rotated = Image.Exif()
    rotated[0x0112] = 6
    variant = Variant.parse("x50")
    assert opened(variant.copy(saved(exif=rotated))).size == (16, 12)
    assert opened(variant.copy(saved(exif=rotated), upright=True)).size == (12, 16)
