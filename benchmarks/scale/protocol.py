"""What is measured, in which order; each result is kept, so that a protocol that was stopped goes on."""

import json
import logging
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from benchmarks.scale.memory import Peak
from benchmarks.scale.pictures import write_pictures
from benchmarks.scale.step import CONFIG, RECIPE
from forgery.config import RunConfig
from forgery.dataset.manifest import read_info
from forgery.evidence_parts import part_names

logger = logging.getLogger(__name__)

Measured = dict[str, Any]
_NEW: Final = 0.01
# Kinds of places besides those of tiny pictures, which are called by their sizes.
PHOTOGRAPHS: Final = "photographs"
MANY_PHOTOGRAPHS: Final = "many photographs"
# A map of a photograph takes a third of a second; reading one takes so little that of fewer the second run would be
# the start of its processes.
_PHOTOGRAPHS: Final = {PHOTOGRAPHS: 200, MANY_PHOTOGRAPHS: 20_000}
_PHOTOGRAPH_SIZE: Final = (1024, 768)


class Place:
    """One size: its folder, and the results that are there already."""

    def __init__(self, work: Path, name: str, size: int) -> None:
        self.folder = work / name
        self.size = size
        self.rows: list[Measured] = []
        self.folder.mkdir(parents=True, exist_ok=True)

    @property
    def done(self) -> bool:
        """Whether all is measured."""
        return (self.folder / "done").exists()

    def measure(self, step: str, run: Callable[[], Measured]) -> None:
        """Run a step unless its result is there."""
        path = self.folder / f"{step}.json"
        if not path.exists():
            result = {"place": self.folder.name, "size": self.size, "step": step} | run()
            path.write_text(json.dumps(result))
            logger.info("%s", result)
        self.rows.append(json.loads(path.read_text()))

    def finish(self) -> list[Measured]:
        """Remove what is large."""
        (self.folder / "done").touch()
        for name in ("source", "listing", "parts", "set", "evidence", "cache", "bundle"):
            shutil.rmtree(self.folder / name, ignore_errors=True)
        return self.rows


def measure(work: Path, sizes: list[int]) -> list[Measured]:
    """Run every step on every size below `work`, or take what is there; smallest sizes first."""
    rows = [row for size in sorted(sizes) for row in _tiny(work, size, work / str(min(sizes)) / "draft")]
    return rows + _read_photographs(work) + _photographs(work)


def _tiny(work: Path, size: int, draft: Path) -> list[Measured]:
    """All steps on tiny pictures; the network that is evaluated is trained on the smallest set."""
    place = Place(work, str(size), size)
    folder = place.folder
    if not place.done:
        write_pictures(folder / "source", size)
    place.measure("ingest", lambda: _ingest(folder))
    place.measure("validate", lambda: _run("validate", folder))
    place.measure("ela", lambda: _parts(folder, RECIPE))
    place.measure("join", lambda: _run("join", folder))
    if not draft.exists():
        _run("train", folder)
    place.measure("evaluate", lambda: _run("evaluate", folder, str(draft), out=folder / "bundle"))
    if not place.done:
        write_pictures(folder / "source", size + round(size * _NEW))
    place.measure("ingest, 1 % more", lambda: _ingest(folder))
    place.measure("ela, 1 % more", lambda: _parts(folder, RECIPE))
    return place.finish()


def _read_photographs(work: Path) -> list[Measured]:
    """What is not read twice where reading is work: ingest of pictures of usual size."""
    size = _PHOTOGRAPHS[MANY_PHOTOGRAPHS]
    place = Place(work, MANY_PHOTOGRAPHS, size)
    for count, note in ((size, ""), (round(size * (1 + _NEW)), ", 1 % more")):
        if not place.done:
            write_pictures(place.folder / "source", count, _PHOTOGRAPH_SIZE)
        place.measure(f"ingest{note}", lambda: _ingest(place.folder))
    return place.finish()


def _photographs(work: Path) -> list[Measured]:
    """What the cache saves where a picture is work: the default recipe on pictures of usual size."""
    size = _PHOTOGRAPHS[PHOTOGRAPHS]
    place = Place(work, PHOTOGRAPHS, size)
    folder = place.folder
    for count, note in ((size, ""), (round(size * (1 + _NEW)), ", 1 % more")):
        if not place.done:
            write_pictures(folder / "source", count, _PHOTOGRAPH_SIZE)
            _ingest(folder)
        place.measure(f"ela{note}", lambda: _parts(folder, RunConfig().recipe))
    return place.finish()


def _ingest(place: Path) -> Measured:
    """The image set as the pipeline has it made: a process for the listing, one a part, one that joins them."""
    for name in ("listing", "parts", "set"):
        shutil.rmtree(place / name, ignore_errors=True)
    listed = _run("list_source", place)
    read = [_run("read_part", place, part) for part in listed["parts"]]
    runs = [listed, *read, _run("assemble", place)]
    folders = [place / name for name in ("listing", "parts", "set", "cache/pictures", "cache/reads")]
    return _together(runs, ("time_s", "cpu_s", "read_bytes", "written_bytes")) | _held(*folders)


def _parts(place: Path, recipe: str) -> Measured:
    """The evidence as the pipeline has it computed: a process a part."""
    shutil.rmtree(place / "evidence", ignore_errors=True)
    names = part_names(read_info(place / "set"), CONFIG.data.shard_mb, CONFIG.data.shard_pictures)
    runs = [_run("ela", place, part, recipe) for part in names]
    total = _together(runs, ("time_s", "cpu_s", "read_bytes", "written_bytes", "maps", "reused"))
    return total | {"parts": len(runs)} | _held(place / "cache" / "evidence", place / "evidence")


def _together(runs: list[Measured], summed: tuple[str, ...]) -> Measured:
    return {key: sum(run[key] for run in runs) for key in summed} | {"peak_mb": max(run["peak_mb"] for run in runs)}


def _run(step: str, place: Path, *more: str, out: Path | None = None) -> Measured:
    command = [sys.executable, "-m", "benchmarks.scale.step", step, str(place), *more]
    begin, before = time.perf_counter(), _children_s()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        peak = Peak(process.pid)
        told = process.communicate()[0]
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}")
    times = {"time_s": time.perf_counter() - begin, "cpu_s": _children_s() - before}
    found: Measured = json.loads(told.splitlines()[-1])
    most = max(peak.mb(), found.pop("own_peak_bytes") / 1e6)
    return found | times | {"peak_mb": most} | (_held(out) if out else {})


def _children_s() -> float:
    """Processor time of the children waited for and of theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _held(*folders: Path) -> Measured:
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    return {"objects": len(files), "disk_bytes": sum(path.stat().st_size for path in files)}
