"""One step as the pipeline runs it, in a process of its own; prints what it did as JSON."""

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from benchmarks.scale.memory import own_peak_bytes
from forgery.config import RunConfig
from forgery.dataset.manifest import read_info

RECIPE: Final = "ela1_q90_gain15_48_bilinear"
CONFIG: Final = RunConfig.read(
    {"recipe": RECIPE, "variants": ["matched"], "backbone": "cnn", "training": {"epochs": 3}}
    | {"data": {"split_by": "digest"}, "rule": {"views": ["raw"]}}
    | {"cache": "", "checkpoints": "", "tracking": ""}
)


def list_source(place: Path) -> dict[str, Any]:
    """List the folder `source`."""
    from forgery.steps.ingest import list_files

    return {"parts": list_files(place / "listing", _kept(place))}


def read_part(place: Path, part: str) -> dict[str, Any]:
    """Read one part of what was listed."""
    from forgery.steps.ingest import read_one

    return read_one(place / "listing", part, place / "parts" / part, _kept(place))


def assemble(place: Path) -> dict[str, Any]:
    """Join the parts to `set`."""
    from forgery.steps.ingest import join

    info = join(place / "listing", sorted((place / "parts").iterdir()), place / "set", _kept(place))
    return {"digest": info.digest, "pictures": info.pictures}


def _kept(place: Path) -> RunConfig:
    """The configuration with everything in a cache beside `source`."""
    data = CONFIG.data.model_copy(update={"shards_in": "cache"})
    changed = {"source": str(place / "source"), "cache": f"file://{place}/cache", "data": data}
    return CONFIG.model_copy(update=changed)


def validate(place: Path) -> dict[str, Any]:
    """Check `set`."""
    from forgery.dataset.validate import validate as check

    return {"findings": [finding.code for finding in check(place / "set", CONFIG.data).findings]}


def ela(place: Path, part: str, recipe: str = RECIPE) -> dict[str, Any]:
    """Compute one part of the evidence of `set`."""
    from forgery.steps.ela import compute_part

    config = _kept(place).model_copy(update={"recipe": recipe})
    return compute_part(place / "set", place / "evidence" / part, part, config)


def join(place: Path) -> dict[str, Any]:
    """What training does first."""
    import tempfile

    from forgery.evidence_parts import join_parts

    with tempfile.TemporaryDirectory(dir=place) as folder:
        info = join_parts(sorted((place / "evidence").iterdir()), Path(folder))
    return {"digest": info.digest, "maps": info.maps, "reused": info.reused}


def train(place: Path) -> dict[str, Any]:
    """A small network, so that there is something to evaluate."""
    from forgery.steps.champion import find_champion
    from forgery.steps.train import train as fit

    find_champion(f"local:{place}/service", place / "champion")
    parts = sorted((place / "evidence").iterdir())
    paths = (place / name for name in ("champion", "draft", "curves", "logs"))
    fit(parts, *paths, config=CONFIG, run_id="scale")
    return {}


def evaluate(place: Path, draft: str) -> dict[str, Any]:
    """Score the test split of `set` with one model."""
    from forgery.evaluation.evaluate import evaluate as measure

    measure(place / "set", Path(draft), None, place / "bundle", CONFIG)
    return {"test": sum(read_info(place / "set").counts["test"].values())}


STEPS: Final[Mapping[str, Callable[..., dict[str, Any]]]] = {
    each.__name__: each for each in (list_source, read_part, assemble, validate, ela, join, train, evaluate)
}


def _moved() -> dict[str, int]:
    """Bytes this process and the children it waited for read and wrote, page cache or not."""
    found = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return {"read_bytes": int(found["rchar"]), "written_bytes": int(found["wchar"])}


def main() -> None:
    """Run the step named first in the folder named second, with what else it takes."""
    name, place, *more = sys.argv[1:]
    before = _moved()
    told = STEPS[name](Path(place), *more)
    moved = {key: value - before[key] for key, value in _moved().items()}
    print(json.dumps(told | moved | {"own_peak_bytes": own_peak_bytes()}))


if __name__ == "__main__":
    main()
