import csv
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from forgery.config import DataOptions
from forgery.dataset.demo import make_demo
from forgery.dataset.ingest import ingest
from forgery.dataset.photographs import regions
from forgery.dataset.traits import read_traits
from forgery.dataset.validate import ValidationReport, validate
from forgery.errors import InvalidConfig


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_demo(tmp_path_factory.mktemp("demo") / "pictures", 120, seed=0)


@pytest.fixture(scope="module")
def report(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> ValidationReport:
    out = tmp_path_factory.mktemp("demo-set") / "out"
    ingest(str(demo), out, DataOptions(), 0)
    return validate(out, DataOptions())


def rows(demo: Path) -> list[dict[str, str]]:
    with (demo / "manifest.csv").open(newline="") as lines:
        return list(csv.DictReader(lines))


def test_half_is_forged_by_every_edit_in_many_groups(demo: Path) -> None:
    found = rows(demo)
    assert Counter(row["label"] for row in found) == {"authentic": 60, "forged": 60}
    assert Counter(row["manipulation"] for row in found) == {"": 60, "splice": 30, "copy-move": 15, "removal": 15}
    assert len({row["group"] for row in found}) >= 40


def test_no_region_is_in_two_groups(demo: Path) -> None:
    parts = [part for group in {row["group"] for row in rows(demo)} for part in group.split("+")]
    assert len(parts) == len(set(parts))


def test_a_pair_differs_inside_the_mask_and_barely_outside(demo: Path) -> None:
    """What is left outside is the last compression's: it reaches a block or two beyond the edge."""
    for authentic, forged in zip(rows(demo)[0:24:2], rows(demo)[1:24:2], strict=True):
        assert authentic["group"] == forged["group"]
        images = [np.asarray(Image.open(demo / row["file"]), dtype=float) for row in (authentic, forged)]
        mask = np.asarray(Image.open(demo / forged["mask"]).convert("L")) > 0
        difference = np.abs(images[0] - images[1]).mean(axis=2)
        assert 0.03 < mask.mean() < 0.5
        assert difference[mask].mean() > 10 * difference[~mask].mean()


def test_both_of_a_pair_have_the_same_header(demo: Path) -> None:
    found = rows(demo)
    for authentic, forged in zip(found[::2], found[1::2], strict=True):
        assert read_traits((demo / authentic["file"]).read_bytes()) == read_traits((demo / forged["file"]).read_bytes())


def test_headers_alone_are_no_better_than_chance(report: ValidationReport) -> None:
    assert report.baseline is not None
    assert report.baseline.roc_auc.value == pytest.approx(0.5, abs=0.05)
    assert not any(association.strong for association in report.associations)


def test_the_demo_set_passes_validation(report: ValidationReport) -> None:
    assert not report.errors
    assert report.info.rejects == 0
    assert {finding.code for finding in report.findings} <= {"near-duplicate"}


def test_equal_seeds_give_equal_bytes_and_others_do_not(tmp_path: Path) -> None:
    def contents(name: str, seed: int) -> dict[str, bytes]:
        root = make_demo(tmp_path / name, 6, seed)
        return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}

    assert contents("a", 3) == contents("b", 3)
    assert contents("a2", 3) != contents("c", 4)


def test_an_odd_number_is_kept_to(tmp_path: Path) -> None:
    assert len(rows(make_demo(tmp_path / "odd", 7, 0))) == 7


def test_one_picture_is_no_data_set(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig, match="at least 2 pictures"):
        make_demo(tmp_path / "one", 1, 0)


def test_there_are_enough_regions_and_none_is_a_thumbnail() -> None:
    found = regions()
    assert len(found) >= 80
    assert len({region.name for region in found}) == len(found)
    assert min(min(region.pixels.size) for region in found) >= 180
