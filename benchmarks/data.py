"""Evidence of one picture, the ELA step on two cores, and memory as data sets grow: `python -m benchmarks.data`."""

import argparse
import io
import logging
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_image

from benchmarks.rows import Row
from forgery.config import DataOptions
from forgery.dataset.ingest import ingest
from forgery.evidence import build_evidence
from forgery.recipes import Recipe, evidence
from forgery.recipes.ela import ElaRecipe

logger = logging.getLogger(__name__)

_SIDE_PX = 1024
_STEPS = ("ingest", "ela")


def measure(quick: bool = False) -> list[Row]:
    """All ratios; `quick` measures on less, to see that it works."""
    recipes = dict.fromkeys((ElaRecipe(), ElaRecipe(resample="pooled")))
    rows = [_one_picture(recipe, 5 if quick else 40) for recipe in recipes]
    rows.append(_two_workers(100 if quick else 400, 1 if quick else 3))
    few = 100 if quick else 1000
    return rows + [_memory(step, few) for step in _STEPS]


def _one_picture(recipe: Recipe, repeats: int) -> Row:
    encoded = _photograph()
    ours = _cpu_seconds(lambda: evidence(encoded, recipe), lambda: _bare(encoded), repeats)
    return Row(
        name=f"evidence of a {_SIDE_PX}x{_SIDE_PX} JPEG by {recipe.name} / decode, encode, decode of the same bytes",
        ratio=ours,
        goal="<= 1.35",
    )


def _photograph() -> bytes:
    encoded = io.BytesIO()
    photograph = Image.fromarray(load_sample_image("china.jpg"))
    photograph.resize((_SIDE_PX, _SIDE_PX), Image.Resampling.LANCZOS).save(encoded, "JPEG", quality=92)
    return encoded.getvalue()


def _bare(encoded: bytes) -> None:
    """What error levels cannot do without."""
    picture = Image.open(io.BytesIO(encoded))
    picture.load()
    copy = io.BytesIO()
    picture.save(copy, "JPEG", quality=90, subsampling="4:2:0")
    copy.seek(0)
    Image.open(copy).load()


def _cpu_seconds(first: Callable[[], object], second: Callable[[], object], repeats: int) -> float:
    """Ratio of the least processor times, taken in turn: what else runs on the machine can only add to one."""
    times: list[tuple[float, float]] = []
    for _ in range(repeats):
        begin = time.process_time()
        first()
        between = time.process_time()
        second()
        times.append((between - begin, time.process_time() - between))
    return min(first for first, _ in times) / min(second for _, second in times)


def _two_workers(pictures: int, repeats: int) -> Row:
    with tempfile.TemporaryDirectory() as folder:
        image_set = _image_set(Path(folder), pictures, (768, 512))
        seconds: dict[int, list[float]] = {1: [], 2: []}
        for _ in range(repeats):
            for workers, found in seconds.items():
                begin = time.perf_counter()
                build_evidence(image_set, Path(folder, "maps"), ElaRecipe(), workers=workers)
                found.append(time.perf_counter() - begin)
    return Row(
        name=f"ELA step, {pictures} pictures, one worker / two workers",
        ratio=min(seconds[1]) / min(seconds[2]),
        goal=">= 1.8",
    )


def _memory(step: str, few: int) -> Row:
    peaks = [_peak_mb(step, count) for count in (few, 10 * few)]
    logger.info("%s: peak memory %.1f MB for %d pictures, %.1f MB for ten times as many", step, peaks[0], few, peaks[1])
    return Row(name=f"peak memory of {step}, {10 * few} / {few} pictures", ratio=peaks[1] / peaks[0], goal="<= 1.1")


def _peak_mb(step: str, pictures: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        if step == "ingest":
            _write_source(Path(folder, "source"), pictures, (96, 64))
        else:
            _image_set(Path(folder), pictures, (96, 64))
        command = [sys.executable, "-m", "benchmarks._data_step", step, folder]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout)


def _image_set(folder: Path, pictures: int, size: tuple[int, int]) -> Path:
    _write_source(folder / "source", pictures, size)
    ingest(str(folder / "source"), folder / "set", DataOptions(), 0)
    return folder / "set"


def _write_source(folder: Path, pictures: int, size: tuple[int, int]) -> None:
    for number, encoded in enumerate(_pictures(pictures, size)):
        path = folder / ("authentic", "forged")[number % 2] / f"{number:06d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded)


def _pictures(count: int, size: tuple[int, int]) -> Iterator[bytes]:
    random = np.random.default_rng(0)
    for _ in range(count):
        coarse = random.integers(0, 256, (size[1] // 8, size[0] // 8, 3), dtype=np.uint8)
        encoded = io.BytesIO()
        Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).save(encoded, "JPEG", quality=90)
        yield encoded.getvalue()


def main() -> None:
    """Print a JSON row per ratio."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.data", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="measure on less, to see that it works")
    quick = parser.parse_args().quick
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    sys.stdout.writelines(f"{row.model_dump_json()}\n" for row in measure(quick))


if __name__ == "__main__":
    main()
