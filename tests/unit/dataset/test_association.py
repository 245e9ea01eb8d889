import io

import numpy as np
import pytest
from PIL import Image

from forgery.dataset.association import Association, associate, header_baseline
from forgery.dataset.looked import Looked, Seen
from forgery.dataset.traits import TITLES, Traits, read_traits

FORGED = np.arange(200) % 2 == 1
GROUPS = [f"group-{index // 2}" for index in range(200)]


def traits(tables: list[str], sizes: list[str] | None = None) -> list[Traits]:
    return [
        Traits("JPEG", size, "RGB", luma_table=table)
        for table, size in zip(tables, sizes or ["8x8"] * len(tables), strict=True)
    ]


def associations(found: list[Traits]) -> list[Association]:
    pictures = (
        Seen("forged" if forged else "authentic", group, "train", "name", each, 0, index.to_bytes(4))
        for index, (forged, group, each) in enumerate(zip(FORGED, GROUPS, found, strict=True))
    )
    with Looked(pictures) as looked:
        return [each for name, title in TITLES.items() if (each := associate(title, looked.trait(name)))]


def test_a_table_that_decides_the_label_is_found_by_both_measures() -> None:
    telling = traits(["500" if forged else "900" for forged in FORGED])
    (association,) = associations(telling)
    baseline = header_baseline(telling, FORGED, GROUPS)
    assert association.v == pytest.approx(1, abs=0.01)
    assert association.strong
    assert set(association.values) == {("500", 0, 100), ("900", 100, 0)}
    assert baseline is not None
    assert baseline.roc_auc.value == 1
    assert baseline.telling


def test_headers_that_say_nothing_score_as_chance() -> None:
    random = np.random.default_rng(0)
    silent = traits([str(500 + 100 * step) for step in random.integers(0, 5, 200)])
    (association,) = associations(silent)
    baseline = header_baseline(silent, FORGED, GROUPS)
    assert association.v < 0.15
    assert not association.strong
    assert baseline is not None
    assert not baseline.telling
    assert baseline.balanced_accuracy < 0.55


def test_traits_with_one_value_are_not_listed() -> None:
    assert associations(traits(["500"] * 200)) == []


def test_a_value_each_is_no_association() -> None:
    unique = traits(["500"] * 200, [f"{100 + index}x80" for index in range(200)])
    (association,) = associations(unique)
    assert association.v == 0


def test_too_few_groups_have_no_baseline() -> None:
    assert header_baseline(traits(["500"] * 200), FORGED, ["one"] * 200) is None


@pytest.mark.parametrize(
    ("options", "field", "value"),
    [
        ({"quality": 100}, "luma_table", "64"),
        ({"subsampling": "4:4:4"}, "subsampling", "4:4:4"),
        ({"subsampling": "4:2:0"}, "subsampling", "4:2:0"),
        ({"progressive": True}, "progressive", "yes"),
        ({"comment": b"made by hand"}, "segments", "jfif+comment"),
        ({}, "size", "48x32"),
        ({"format": "PNG"}, "format", "PNG"),
        ({"format": "PNG"}, "luma_table", "none"),
    ],
)
def test_headers_are_read_as_they_are(options: dict, field: str, value: str, picture) -> None:
    assert getattr(read_traits(picture(0, **options)), field) == value


def test_the_software_an_editor_leaves_is_read() -> None:
    exif = Image.Exif()
    exif[305] = "Editor 9.0"
    encoded = io.BytesIO()
    Image.new("RGB", (8, 8)).save(encoded, "JPEG", exif=exif)
    assert read_traits(encoded.getvalue()).software == "Editor 9.0"
