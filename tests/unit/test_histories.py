"""Both classes of a training set get one file history."""

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from forgery.histories import ForgedSaves, Save, SaveList, read_forged_saves, read_save, resaved, save_text, saved

DIGESTS = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(20_000)]


@pytest.fixture(scope="module")
def photograph() -> Image.Image:
    return Image.fromarray(data.astronaut()).resize((192, 128), Image.Resampling.LANCZOS)


def file(picture: Image.Image, kind: str = "JPEG", **options: object) -> bytes:
    encoded = io.BytesIO()
    picture.save(encoded, kind, **options)
    return encoded.getvalue()


def save_of(picture: Image.Image, **options: object) -> Save:
    found = read_save(file(picture, **options))
    assert found is not None
    return found


@pytest.mark.parametrize(("quality", "subsampling"), [(63, "4:4:4"), (80, "4:2:2"), (95, "4:2:0")])
def test_a_save_read_from_a_file_is_the_save_it_went_through(
    photograph: Image.Image, quality: int, subsampling: str
) -> None:
    encoded = file(photograph, quality=quality, subsampling=subsampling)
    again = save_of(photograph, quality=quality, subsampling=subsampling).apply(photograph)
    assert np.array_equal(np.asarray(again), np.asarray(Image.open(io.BytesIO(encoded))))


def test_a_file_that_is_no_jpeg_has_no_save(photograph: Image.Image) -> None:
    assert read_save(file(photograph, "PNG")) is None


def test_authentic_pictures_go_through_the_save_of_a_forged_one(photograph: Image.Image) -> None:
    editor = save_of(photograph, quality=60, subsampling="4:4:4")
    encoded, saves = file(photograph, "PNG"), ForgedSaves.of([editor])
    authentic, forged = (
        Image.open(io.BytesIO(resaved(encoded, saves.drawn(DIGESTS[0], label)))) for label in ("authentic", "forged")
    )
    last = {"quality": 90, "subsampling": "4:2:0"}
    assert np.array_equal(np.asarray(authentic), np.asarray(saved(editor.apply(photograph), **last)))
    assert np.array_equal(np.asarray(forged), np.asarray(saved(photograph, **last)))
    assert authentic.quantization == forged.quantization


def with_counts(counts: Sequence[int]) -> ForgedSaves:
    return ForgedSaves([Save({0: [number] * 64}, 0) for number in range(len(counts))], counts)


def drawn(saves: ForgedSaves) -> list[int]:
    """Numbers of the saves that authentic pictures draw."""
    found = (saves.drawn(digest, "authentic") for digest in DIGESTS)
    return [save.tables[0][0] for save in found if save is not None]


def test_each_save_is_drawn_as_often_as_forged_pictures_have_it() -> None:
    counts = np.asarray([1, 7, 40, 152, 800])
    expected = counts / counts.sum() * len(DIGESTS)
    found = np.bincount(drawn(with_counts(counts)), minlength=len(counts))
    assert len(drawn(with_counts(counts))) == len(DIGESTS)
    # Four standard deviations of a fair draw.
    assert (abs(found - expected) < 4 * np.sqrt(expected)).all(), found


@pytest.mark.parametrize("kinds", [5, 1000])
def test_one_percent_more_pictures_change_one_percent_of_the_draws(kinds: int) -> None:
    """At most two, should all the new ones have a save that none had."""
    random = np.random.default_rng(0)
    pictures = np.minimum(random.zipf(1.3, 10_000), kinds) - 1
    before, more = (np.bincount(found, minlength=kinds) for found in (pictures, random.choice(pictures, 100)))
    saves = with_counts(before + 1)
    changed = np.not_equal(drawn(saves), drawn(with_counts(before + 1 + more))).mean()
    assert changed < 0.011
    assert 0.015 < np.not_equal(drawn(saves), drawn(with_counts([*(before + 1), len(pictures) // 50]))).mean() < 0.025


def test_what_is_drawn_depends_on_pictures_and_counts_alone(photograph: Image.Image, tmp_path: Path) -> None:
    files = [file(photograph, quality=quality) for quality in (30, 50, 70, 50)]
    with SaveList(tmp_path) as written:
        for encoded in [*files, file(photograph, "PNG")]:
            written.add(save_text(encoded))
    listed = read_forged_saves(tmp_path)
    collected = ForgedSaves.of(save for encoded in files[::-1] if (save := read_save(encoded)))
    first = [listed.drawn(digest, "authentic") for digest in DIGESTS[:100]]
    assert first == [collected.drawn(digest, "authentic") for digest in DIGESTS[:100]]
    assert len({str(save) for save in first}) == 3


def test_without_saves_both_classes_get_the_last_one() -> None:
    assert ForgedSaves.of([]).drawn(DIGESTS[0], "authentic") is None


def test_orientation_stays_for_recipes_that_apply_it(photograph: Image.Image) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    copy = resaved(file(photograph, quality=90, exif=exif), None)
    assert Image.open(io.BytesIO(copy)).getexif()[0x0112] == 6
