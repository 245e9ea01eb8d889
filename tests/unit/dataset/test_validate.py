import io
import json
from pathlib import Path

import pytest
from PIL import Image

from forgery.config import DataOptions
from forgery.dataset.ingest import ingest
from forgery.dataset.validate import ValidationReport, validate

OPTIONS = DataOptions()


def validated(source: Path, out: Path, options: DataOptions = OPTIONS) -> ValidationReport:
    ingest(str(source), out, options, 0)
    return validate(out, options)


def codes(report: ValidationReport) -> dict[str, str]:
    return {finding.code: finding.severity for finding in report.findings}


def resaved(encoded: bytes, quality: int) -> bytes:
    copy = io.BytesIO()
    Image.open(io.BytesIO(encoded)).save(copy, "JPEG", quality=quality)
    return copy.getvalue()


def test_a_sound_image_set_has_no_errors(folder, two_classes, tmp_path: Path) -> None:
    report = validated(folder(two_classes), tmp_path / "out")
    assert codes(report) == {"split-size": "warning"}
    assert report.groups == {"train": 24, "validation": 8, "test": 8}
    assert report.baseline is not None
    assert not report.baseline.telling


def test_one_class_alone_is_an_error(folder, two_classes, tmp_path: Path) -> None:
    only = {name: data for name, data in two_classes.items() if name.startswith("authentic/")}
    report = validated(folder(only), tmp_path / "out")
    (error,) = report.errors
    assert error.message.startswith("no forged pictures, at least 10 of each class are needed")


def test_three_pictures_are_an_error_for_each_class(folder, picture, tmp_path: Path) -> None:
    files = {"real/a.jpg": picture(1), "real/b.jpg": picture(2), "fake/c.jpg": picture(3)}
    report = validated(folder(files), tmp_path / "out")
    assert [error.code for error in report.errors] == ["class-size", "class-size"]


def test_a_split_without_a_class_is_an_error(folder, two_classes, tmp_path: Path) -> None:
    table = "file,label,group\n" + "".join(f"{name},{name.split('/')[0]},one\n" for name in two_classes)
    report = validated(folder(two_classes | {"manifest.csv": table.encode()}), tmp_path / "out")
    assert {error.code for error in report.errors} == {"split-class"}
    assert "add source groups" in report.errors[0].message


def test_a_picture_under_both_labels_is_an_error(folder, two_classes, tmp_path: Path) -> None:
    files = two_classes | {"forged/same.jpg": two_classes["authentic/03.jpg"]}
    report = validated(folder(files), tmp_path / "out")
    (error,) = report.errors
    assert error.code == "label-conflict"
    assert "authentic/03.jpg and forged/same.jpg" in error.message


def test_equal_pixels_in_other_bytes_under_both_labels_are_an_error(folder, two_classes, tmp_path: Path) -> None:
    pixels = Image.open(io.BytesIO(two_classes["authentic/03.jpg"]))
    png = io.BytesIO()
    pixels.save(png, "PNG")
    report = validated(folder(two_classes | {"forged/same.png": png.getvalue()}), tmp_path / "out")
    assert [error.code for error in report.errors] == ["label-conflict"]


def test_a_group_in_two_splits_is_an_error(folder, two_classes, tmp_path: Path) -> None:
    out = tmp_path / "out"
    ingest(str(folder(two_classes)), out, OPTIONS, 0)
    rows = [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]
    changed = [row | {"group": "shared"} if number % 2 else row for number, row in enumerate(rows)]
    (out / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in changed))
    report = validate(out, OPTIONS)
    assert codes(report)["group-leak"] == "error"


def test_a_class_saved_by_another_program_is_a_warning(folder, two_classes, tmp_path: Path) -> None:
    files = {name: resaved(data, 60) if name.startswith("forged") else data for name, data in two_classes.items()}
    report = validated(folder(files), tmp_path / "out")
    assert not report.errors
    assert {"association", "header-baseline"} <= codes(report).keys()
    assert report.baseline is not None
    assert report.baseline.roc_auc.value == 1


def test_a_near_copy_in_another_group_is_a_warning(folder, two_classes, tmp_path: Path) -> None:
    files = two_classes | {"authentic/again.jpg": resaved(two_classes["authentic/03.jpg"], 70)}
    report = validated(folder(files), tmp_path / "out")
    (pair,) = report.pairs.first
    assert {pair.first.name, pair.second.name} == {"authentic/03.jpg", "authentic/again.jpg"}
    assert not pair.identical
    assert codes(report)["near-duplicate"] == "warning"


def test_near_copies_within_a_group_are_what_groups_are_for(folder, two_classes, tmp_path: Path) -> None:
    files = two_classes | {"authentic/again.jpg": resaved(two_classes["authentic/03.jpg"], 70)}
    same = {"authentic/03.jpg", "authentic/again.jpg"}
    table = "file,label,group\n" + "".join(
        f"{name},{name.split('/')[0]},{'same' if name in same else name}\n" for name in files
    )
    report = validated(folder(files | {"manifest.csv": table.encode()}), tmp_path / "out")
    assert report.pairs.count == 0


def test_copies_and_many_rejects_are_warnings(folder, two_classes, tmp_path: Path) -> None:
    files = two_classes | {f"forged/copy{i}.jpg": two_classes["forged/01.jpg"] for i in range(5)}
    report = validated(folder(files), tmp_path / "out")
    assert codes(report)["duplicate"] == codes(report)["rejects"] == "warning"


@pytest.mark.parametrize("name", ["<script>alert(1)</script>.jpg", "a&b.jpg"])
def test_the_page_says_what_was_found_and_runs_nothing(name: str, folder, two_classes, tmp_path: Path) -> None:
    page = validated(folder(two_classes | {f"forged/{name.replace('/', '_')}": b"x"}), tmp_path / "out").html()
    assert page.startswith("<!doctype html>")
    assert "<script" not in page
    assert "http://" not in page
    assert "https://" not in page
    assert "Accepted, with" in page
    assert "unreadable" in page


def test_the_page_of_a_refused_set_says_so(folder, picture, tmp_path: Path) -> None:
    page = validated(folder({"real/a.jpg": picture(1), "fake/b.jpg": picture(2)}), tmp_path / "out").html()
    assert "Refused." in page
    assert "data.min_class_pictures" in page
