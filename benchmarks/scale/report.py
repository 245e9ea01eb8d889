"""The tables of `docs/scale.md`, from what was measured."""

import itertools
import math
from collections.abc import Sequence
from typing import Final

from benchmarks.rows import Row
from benchmarks.scale.protocol import MANY_PHOTOGRAPHS, PHOTOGRAPHS, Measured
from forgery.config import DataOptions, RunConfig
from forgery.dataset.manifest import Picture
from forgery.evidence_parts import MOST_PARTS

STEPS: Final = ("ingest", "validate", "ela", "join", "evaluate")
_MB: Final = 1e6
_COMPUTED: Final = (10**6, 10**8)
# Linux hands a program no single argument longer than 32 pages (MAX_ARG_STRLEN, execve(2)), and the executor's input,
# with every collected artifact in it, is one argument.
MOST_ARGUMENT_BYTES: Final = 32 * 4096


def tables(rows: Sequence[Measured], machine: str) -> str:
    """Everything as Markdown."""
    return "\n\n".join(
        (
            f"Measured on {machine}; repeat it with `.venv/bin/python -m benchmarks.scale`. The pictures are "
            "generated, 96x64 pixels, and the recipe is small, so that what is not work on pixels shows. Processor "
            "time is that of a step's whole tree of processes; elapsed time depends on what else the machine did. Peak "
            "memory is that of the tree at one time, what it shares and the pages of libraries once.",
            _measured(rows),
            "How each step grows: the exponent of processor time and of peak memory from one size to the next. 1 is as "
            "the pictures, 0 is not at all; below 1 the start of a process is still seen.",
            _growth(rows),
            "Goals, as ratios within one run:",
            _goals(rows),
            "Computed from the difference of the two largest sizes, for one core and pictures as tiny:",
            _computed(rows),
        )
    )


def _measured(rows: Sequence[Measured]) -> str:
    head = "pictures | step | elapsed s | processor ms a picture | peak MB | disk MB | objects | MB read | MB written"
    lines = [
        f"| {row['size']}{'' if _tiny(row) else ' of 1024x768'} | {row['step']} "
        f"| {row['time_s']:.1f} | {1000 * row['cpu_s'] / row['size']:.2f} | {row['peak_mb']:.0f} "
        f"| {_or_none(row, 'disk_bytes', _MB)} | {_or_none(row, 'objects')} | {row['read_bytes'] / _MB:.0f} "
        f"| {row['written_bytes'] / _MB:.0f} | {_hits(row)} |"
        for row in rows
        if "read_bytes" in row
    ]
    return _table(f"{head} | maps from the cache", lines)


def _or_none(row: Measured, key: str, unit: float = 1) -> str:
    return f"{row[key] / unit:.0f}" if key in row else "-"


def _hits(row: Measured) -> str:
    return f"{row['reused']} of {row['maps']}" if "reused" in row else "-"


def _growth(rows: Sequence[Measured]) -> str:
    sizes = _sizes(rows)
    pairs = list(itertools.pairwise(sizes))
    head = " | ".join(f"{what}, {one} to {two}" for what in ("time", "memory") for one, two in pairs)
    lines = [
        f"| {step} | "
        + " | ".join(
            f"{_exponent(rows, step, key, one, two):.2f}" for key in ("cpu_s", "peak_mb") for one, two in pairs
        )
        + " |"
        for step in STEPS
    ]
    return _table(f"step | {head}", lines)


def _exponent(rows: Sequence[Measured], step: str, key: str, one: int, two: int) -> float:
    return math.log(_of(rows, step, two)[key] / _of(rows, step, one)[key]) / math.log(two / one)


def goals(rows: Sequence[Measured]) -> list[Row]:
    """What was set out to be reached, and was or was not."""
    few, many = _sizes(rows)[0], _sizes(rows)[-1]
    found = []
    for step in ("ingest", "ela", "evaluate"):
        ratio = (_of(rows, step, many)["cpu_s"] / many) / (_of(rows, step, few)["cpu_s"] / few)
        found.append(Row(name=f"{step}: processor time a picture, {many} / {few}", ratio=ratio, goal="<= 1.1"))
    for step in STEPS:
        ratio = _of(rows, step, many)["peak_mb"] / _of(rows, step, few)["peak_mb"]
        found.append(Row(name=f"{step}: peak memory, {many} / {few}", ratio=ratio, goal="<= 1.15"))
    for step in ("ingest", "ela"):
        ratio = _of(rows, f"{step}, 1 % more", many)["cpu_s"] / _of(rows, step, many)["cpu_s"]
        found.append(
            Row(name=f"{step}: second run with 1 % more, {many} tiny pictures / first", ratio=ratio, goal="<= 0.05")
        )
    read, mapped = (
        [row["cpu_s"] for row in rows if row["place"] == place] for place in (MANY_PHOTOGRAPHS, PHOTOGRAPHS)
    )
    for name, (first, second) in (("ingest", read), ("ela", mapped)):
        how = f" by {RunConfig().recipe}" if name == "ela" else ""
        name = f"{name}: second run with 1 % more, photographs{how} / first"
        found.append(Row(name=name, ratio=second / first, goal="<= 0.05"))
    return found


def _goals(rows: Sequence[Measured]) -> str:
    return _table(
        "what | ratio | goal | met",
        [f"| {row.name} | {row.ratio:.2f} | {row.goal} | {'yes' if row.met else 'no'} |" for row in goals(rows)],
    )


def _computed(rows: Sequence[Measured]) -> str:
    lines = []
    for step in STEPS:
        times = [f"{_extrapolated(rows, step, 'cpu_s', size) / 3600:.2f}" for size in _COMPUTED]
        peaks = [f"{_extrapolated(rows, step, 'peak_mb', size) / 1000:.1f}" for size in _COMPUTED]
        lines.append(f"| {step} | {' | '.join(times)} | {' | '.join(peaks)} |")
    others = [
        ("manifest, GB", [f"{size * manifest_row_bytes() / 1e9:.2f}" for size in _COMPUTED]),
        ("parts, data.shard_pictures as it is", [str(parts(size)) for size in _COMPUTED]),
        (
            "their artifacts as one argument, kB",
            [f"{parts(size) * collected_bytes() / 1000:.0f}" for size in _COMPUTED],
        ),
    ]
    sizes = " | ".join(f"{what}, {size:.0e}" for what in ("core hours", "peak GB") for size in _COMPUTED)
    head = " | ".join(f"{size:.0e}" for size in _COMPUTED)
    more = _table(f"what | {head}", [f"| {name} | {' | '.join(values)} |" for name, values in others])
    return f"{_table(f'step | {sizes}', lines)}\n\n{more}".replace("e+0", "e")


def _extrapolated(rows: Sequence[Measured], step: str, key: str, size: int) -> float:
    """Along the line through the two largest sizes; never below the largest."""
    one, two = _sizes(rows)[-2:]
    low, high = _of(rows, step, one)[key], _of(rows, step, two)[key]
    return float(high + max(0.0, high - low) / (two - one) * (size - two))


def parts(pictures: int) -> int:
    """Tasks of the ELA step for so many small pictures."""
    data = DataOptions()
    return min(MOST_PARTS, math.ceil(pictures * (1 - data.test_fraction) / data.shard_pictures))


def manifest_row_bytes() -> int:
    """Of a row without manipulation or mask."""
    digest = "0" * 64
    row = Picture(
        digest=digest,
        label="authentic",
        group=f"picture-{digest[:16]}",
        split="train",
        name="authentic/000/0000000.jpg",
        format="JPEG",
        width=1024,
        height=768,
        bytes=100_000,
        shard="train-00000",
        pack=f"{digest[:32]}.tar",
        offset=100_000_000,
        length=100_000,
        member=f"{digest}.jpg",
    )
    return len(row.model_dump_json()) + 1


def collected_bytes() -> int:
    """Of one collected artifact as Kubeflow Pipelines writes it into the executor's input."""
    from google.protobuf import json_format  # type: ignore[import-untyped]
    from kfp.pipeline_spec import pipeline_spec_pb2

    run = task = "0" * 36
    artifact = pipeline_spec_pb2.RuntimeArtifact(
        name="1234567", uri=f"s3://mlpipeline/v2/artifacts/forgery-training/{run}/compute-ela/{task}/evidence_set"
    )
    artifact.type.schema_title, artifact.type.schema_version = "system.Dataset", "0.0.1"
    part = {"part": f"00000-of-{MOST_PARTS:05d}", "maps": 10**7, "reused": 10**7, "digest": "0" * 64}
    artifact.metadata.update(part)
    return len(json_format.MessageToJson(artifact, indent=None))


def _tiny(row: Measured) -> bool:
    return row["place"] not in (PHOTOGRAPHS, MANY_PHOTOGRAPHS)


def _sizes(rows: Sequence[Measured]) -> list[int]:
    return sorted({row["size"] for row in rows if _tiny(row)})


def _of(rows: Sequence[Measured], step: str, size: int) -> Measured:
    return next(row for row in rows if row["step"] == step and row["size"] == size and _tiny(row))


def _table(head: str, lines: Sequence[str]) -> str:
    return "\n".join([f"| {head} |", f"|{'---|' * (head.count('|') + 1)}", *lines])
