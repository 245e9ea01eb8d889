import contextlib
import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from forgery.errors import PictureRejected
from forgery.picture import Limits, decode, read_header

RANDOM = np.random.default_rng(0)
COLOUR = RANDOM.integers(0, 256, (24, 32, 3), dtype=np.uint8)
SIXTEEN = RANDOM.integers(0, 65536, (24, 32), dtype=np.uint16)


def saved(image: Image.Image, format: str, **options: object) -> bytes:
    encoded = io.BytesIO()
    image.save(encoded, format, **options)
    return encoded.getvalue()


def pixels(encoded: bytes, **options: object) -> np.ndarray:
    image = decode(encoded, **options)
    assert image.mode == "RGB"
    return np.asarray(image)


def big_endian_tiff(grey: np.ndarray) -> bytes:
    """One strip of 16-bit grey as a Macintosh would write it; Pillow writes none such."""
    height, width = grey.shape
    data = grey.astype(">u2").tobytes()
    short, long = 3, 4
    offset = 8 + 2 + 9 * 12 + 4
    tags = [
        (256, long, width),
        (257, long, height),
        (258, short, 16 << 16),
        (259, short, 1 << 16),
        (262, short, 1 << 16),
        (273, long, offset),
        (277, short, 1 << 16),
        (278, long, height),
        (279, long, len(data)),
    ]
    directory = b"".join(struct.pack(">HHII", tag, kind, 1, value) for tag, kind, value in tags)
    return b"MM\0*" + struct.pack(">IH", 8, len(tags)) + directory + struct.pack(">I", 0) + data


@pytest.mark.parametrize("format", ["PNG", "BMP", "TIFF"])
def test_colour_is_taken_as_stored(format: str) -> None:
    assert np.array_equal(pixels(saved(Image.fromarray(COLOUR), format)), COLOUR)


@pytest.mark.parametrize("format", ["PNG", "BMP", "TIFF"])
def test_grey_becomes_three_equal_channels(format: str) -> None:
    grey = COLOUR[:, :, 0]
    assert np.array_equal(pixels(saved(Image.fromarray(grey), format)), np.stack([grey] * 3, axis=2))


@pytest.mark.parametrize(
    "encoded",
    [
        saved(Image.fromarray(SIXTEEN), "PNG"),
        saved(Image.fromarray(SIXTEEN), "TIFF"),
        big_endian_tiff(SIXTEEN),
    ],
    ids=["png", "tiff", "big-endian tiff"],
)
def test_sixteen_bit_grey_keeps_its_high_byte(encoded: bytes) -> None:
    assert np.array_equal(pixels(encoded)[:, :, 1], SIXTEEN >> 8)


def test_dark_sixteen_bit_grey_is_not_stretched() -> None:
    dark = (SIXTEEN // 256).astype(np.uint16)
    assert not pixels(saved(Image.fromarray(dark), "PNG")).any()


@pytest.mark.parametrize("mode", ["I", "F"])
def test_pixels_without_a_known_range_are_refused(mode: str) -> None:
    with pytest.raises(PictureRejected, match="8 or 16 bits") as caught:
        decode(saved(Image.new(mode, (8, 8), 1), "TIFF"))
    assert caught.value.reason == "format"


def test_a_palette_is_looked_up() -> None:
    palette = Image.fromarray(COLOUR).quantize(16)
    assert np.array_equal(pixels(saved(palette, "PNG")), np.asarray(palette.convert("RGB")))


def test_a_transparent_palette_entry_keeps_its_colour() -> None:
    palette = Image.new("P", (4, 4), 1)
    palette.putpalette([0, 0, 0, 10, 20, 30])
    assert np.array_equal(pixels(saved(palette, "PNG", transparency=1)), np.full((4, 4, 3), (10, 20, 30)))


def test_alpha_is_dropped_not_composited() -> None:
    alpha = RANDOM.integers(0, 256, (24, 32, 1), dtype=np.uint8)
    encoded = saved(Image.fromarray(np.concatenate([COLOUR, alpha], axis=2)), "PNG")
    assert np.array_equal(pixels(encoded), COLOUR)


def test_cmyk_is_converted() -> None:
    cmyk = Image.fromarray(COLOUR).convert("CMYK")
    assert np.array_equal(pixels(saved(cmyk, "TIFF")), COLOUR)
    smooth = Image.linear_gradient("L").convert("RGB")
    found = pixels(saved(smooth.convert("CMYK"), "JPEG", quality=95)).astype(int)
    assert np.abs(found - np.asarray(smooth)).mean() < 3


def test_one_bit_becomes_black_and_white() -> None:
    bits = Image.fromarray(COLOUR[:, :, 0] > 127)
    assert set(np.unique(pixels(saved(bits, "PNG")))) == {0, 255}


def test_orientation_is_an_explicit_choice() -> None:
    rotated = Image.Exif()
    rotated[0x0112] = 6
    encoded = saved(Image.fromarray(COLOUR), "PNG", exif=rotated)
    assert np.array_equal(pixels(encoded), COLOUR)
    assert np.array_equal(pixels(encoded, upright=True), np.rot90(COLOUR, -1))


def test_the_header_says_what_the_content_is() -> None:
    header = read_header(saved(Image.fromarray(COLOUR), "WEBP"))
    assert (header.format, header.width, header.height) == ("WEBP", 32, 24)


def test_a_phones_mpo_is_a_jpeg() -> None:
    frames = [Image.fromarray(COLOUR), Image.fromarray(255 - COLOUR)]
    encoded = saved(frames[0], "MPO", save_all=True, append_images=frames[1:])
    assert read_header(encoded).format == "JPEG"
    assert pixels(encoded).shape == COLOUR.shape


@pytest.mark.parametrize(
    ("encoded", "limits", "reason"),
    [
        (b"", Limits(), "empty"),
        (b"GIF89a" + bytes(20), Limits(), "unreadable"),
        (saved(Image.fromarray(COLOUR), "GIF"), Limits(), "format"),
        (saved(Image.fromarray(COLOUR), "BMP"), Limits(max_bytes=100), "bytes"),
        (saved(Image.fromarray(COLOUR), "PNG"), Limits(max_pixels=24 * 32 - 1), "pixels"),
        (saved(Image.fromarray(COLOUR), "JPEG")[:-300], Limits(), "truncated"),
        (saved(Image.fromarray(COLOUR), "PNG")[:-300], Limits(), "truncated"),
    ],
)
def test_each_cause_of_refusal_has_its_code(encoded: bytes, limits: Limits, reason: str) -> None:
    with pytest.raises(PictureRejected) as caught:
        decode(encoded, limits)
    assert caught.value.reason == reason


def test_a_tiff_of_two_pages_is_refused() -> None:
    pages = [Image.fromarray(COLOUR)] * 2
    with pytest.raises(PictureRejected) as caught:
        decode(saved(pages[0], "TIFF", save_all=True, append_images=pages[1:]))
    assert (caught.value.reason, caught.value.limit) == ("animated", "frames=1")


def test_size_is_checked_before_anything_is_decoded() -> None:
    """A PNG header that promises 60 000 x 60 000 pixels and holds none."""
    ihdr = b"IHDR" + struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + ihdr + struct.pack(">I", zlib.crc32(ihdr))
    bomb += struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))
    with pytest.raises(PictureRejected) as caught:
        decode(bomb)
    assert caught.value.reason == "pixels"


JPEG = saved(Image.fromarray(COLOUR), "JPEG")


@given(st.integers(0, len(JPEG) - 1), st.binary(min_size=1, max_size=8))
@settings(max_examples=200, deadline=None)
def test_damaged_bytes_give_a_picture_or_a_refusal_and_nothing_else(position: int, noise: bytes) -> None:
    damaged = JPEG[:position] + noise + JPEG[position + len(noise) :]
    # Any other error would fail the test.
    with contextlib.suppress(PictureRejected):
        assert decode(damaged, Limits(max_pixels=1_000_000)).mode == "RGB"
