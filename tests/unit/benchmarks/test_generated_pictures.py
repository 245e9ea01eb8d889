"""Pictures enlarged as generators enlarge theirs."""

import csv
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.generated.pictures import make_pictures, transposed_convolution


def test_a_transposed_convolution_keeps_the_mean_and_leaves_a_chequerboard() -> None:
    flat = np.full((32, 32, 3), 100, np.uint8)
    enlarged = transposed_convolution(flat)
    assert enlarged.shape == (64, 64, 3)
    inner = enlarged[4:-4, 4:-4, 0].astype(float)
    assert abs(inner.mean() - 100) < 2
    spectrum = np.abs(np.fft.fft2(inner - inner.mean()))
    half = inner.shape[0] // 2
    # All of what is not flat repeats every second pixel.
    peaks = spectrum[[0, half, half], [half, 0, half]]
    assert peaks.min() > 100
    assert np.square(peaks).sum() > 0.99 * np.square(spectrum).sum()


def test_both_classes_come_from_each_photograph_in_one_format(tmp_path: Path) -> None:
    folder = tmp_path / "photographs"
    folder.mkdir()
    random = np.random.default_rng(0)
    for name in ("a", "b"):
        Image.fromarray(random.integers(0, 256, (600, 700, 3), np.uint8)).save(folder / f"{name}.jpg")
    make_pictures(tmp_path / "out", folder)
    with (tmp_path / "out" / "manifest.csv").open() as file:
        rows = list(csv.DictReader(file))
    for group in ("a", "b"):
        of_group = [row for row in rows if row["group"] == group]
        assert [row["label"] for row in of_group] == ["authentic"] * 8 + ["forged"] * 8
        assert {row["manipulation"] for row in of_group if row["label"] == "forged"} == {"smooth", "chequerboard"}
    assert {Image.open(tmp_path / "out" / row["file"]).size for row in rows} == {(256, 256)}
    assert {Path(row["file"]).suffix for row in rows} == {".png"}
