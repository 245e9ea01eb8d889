"""The tables of `docs/performance.md`."""

from collections.abc import Mapping, Sequence

from benchmarks.rows import Row
from benchmarks.serving.profile import Profile

BEGIN, END = "<!-- tables: written by benchmarks.serving -->", "<!-- /tables -->"


def tables(
    rows: Sequence[Row], profiles: Mapping[str, Profile], figures: Mapping[str, Mapping[str, float]], machine: str
) -> str:
    """Ratios, where the time goes, and the absolute figures, as Markdown."""
    parts = [f"Last run on {machine}.\n", ratios(rows), "## Where the time of a request goes\n", _profiles(profiles)]
    return "\n".join([*parts, "## Absolute figures of this run\n", _figures(figures)])


def ratios(rows: Sequence[Row]) -> str:
    """Each with its goal and whether it is met, as a Markdown table."""
    lines = "".join(f"| {row.name} | {row.ratio:.2f} | {row.goal} | {'yes' if row.met else 'no'} |\n" for row in rows)
    return f"| what | ratio | goal | met |\n|---|---|---|---|\n{lines}"


def _profiles(profiles: Mapping[str, Profile]) -> str:
    names = list(profiles)
    head = f"| mean ms of one request over gRPC | {' | '.join(names)} |\n|---|{'---|' * len(names)}\n"
    parts = list(next(iter(profiles.values())).parts)
    lines = [(part, [profiles[name].parts[part] for name in names]) for part in parts]
    lines.append(("**whole, as the caller sees it**", [profiles[name].whole for name in names]))
    return head + "".join(f"| {part} | {' | '.join(f'{ms:.1f}' for ms in found)} |\n" for part, found in lines)


def _figures(figures: Mapping[str, Mapping[str, float]]) -> str:
    names = list(figures)
    head = f"| figure | {' | '.join(names)} |\n|---|{'---|' * len(names)}\n"
    keys = list(next(iter(figures.values())))
    return head + "".join(f"| {key} | {' | '.join(f'{figures[name][key]:.3g}' for name in names)} |\n" for key in keys)
