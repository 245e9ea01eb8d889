"""What a model costs: time for one picture, weights, bytes."""

import statistics
import time
import zipfile
from collections.abc import Sequence
from io import BytesIO

from forgery.bundle import KERAS_FILE, SAVED_MODEL, Bundle
from forgery.engine import Engine
from forgery.recipes import evidence
from forgery.scoring import NO_LIMITS

_ROUNDS = 3
_WEIGHTS = "model.weights.h5"  # inside a .keras file


def measure_latency(engines: Sequence[Engine], pictures: Sequence[bytes], rounds: int = _ROUNDS) -> list[float]:
    """Median milliseconds from a picture's bytes to its probability, one picture at a time, for each engine.

    The engines take turns on every picture, so that whatever else the machine does falls on all of them alike; one
    round before the first is not counted.
    """
    times: list[list[float]] = [[] for _ in engines]
    for turn in range(rounds + 1):
        for encoded in pictures:
            for engine, taken in zip(engines, times, strict=True):
                started = time.perf_counter()
                engine.predict(evidence(encoded, engine.recipe, NO_LIMITS)[None])
                if turn:
                    taken.append(1000 * (time.perf_counter() - started))
    return [statistics.median(taken) for taken in times]


def count_parameters(bundle: Bundle) -> int | None:
    """Weights of the network in `model.keras`, without those of the optimiser; None where it cannot be read."""
    import h5py  # type: ignore[import-untyped]

    total = 0

    def add(name: str, item: object) -> None:
        nonlocal total
        if isinstance(item, h5py.Dataset) and not name.startswith("optimizer") and "seed_generator" not in name:
            total += item.size

    try:
        with zipfile.ZipFile(bundle.path / KERAS_FILE) as archive:
            content = BytesIO(archive.read(_WEIGHTS))
        with h5py.File(content, "r") as weights:
            weights.visititems(add)
    except (OSError, KeyError, zipfile.BadZipFile):
        return None
    return total


def size_bytes(bundle: Bundle) -> int:
    """Bytes of the SavedModel."""
    return sum(path.stat().st_size for path in (bundle.path / SAVED_MODEL).rglob("*") if path.is_file())
