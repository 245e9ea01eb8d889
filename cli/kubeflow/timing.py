"""When a schedule's runs start: by cron, or by an interval."""

import itertools
import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from cli.kubeflow.cron import Cron, parse
from forgery.errors import InvalidConfig

_INTERVAL = re.compile(r"(\d+)\s*([smhd])")
_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True)
class Timing:
    """When runs start: by `cron`, or `every_s` seconds."""

    cron: Cron | None = None
    every_s: int | None = None

    def words(self) -> str:
        """In English; the server counts in UTC unless it is told another zone."""
        return f"{self.cron.words()}, UTC" if self.cron else f"every {interval_words(self.every_s or 0)}"

    def next_times(self, since: datetime, now: datetime, count: int) -> list[datetime]:
        """The next times after `now`; an interval counts from `since`."""
        if self.cron:
            return list(itertools.islice(self.cron.next_times(now), count))
        step = timedelta(seconds=self.every_s or 1)
        first = since + step * ((now - since) // step + 1)
        return [first + step * n for n in range(count)]


def parse_timing(expression: str | None, every: str | None) -> Timing:
    """Read `--cron` or `--every`, just one of them.

    Raises:
        InvalidConfig: None or both are given, or it cannot be read.
    """
    if (expression is None) == (every is None):
        raise InvalidConfig("give either --cron '0 0 3 * * *' or --every 24h")
    if expression is not None:
        return Timing(cron=parse(expression))
    match = _INTERVAL.fullmatch((every or "").strip())
    seconds = int(match[1]) * _UNIT_S[match[2]] if match else 0
    if seconds < 60:
        raise InvalidConfig(f"--every {every!r} is no interval of a minute or more, e.g. 90m, 24h or 7d")
    return Timing(every_s=seconds)


def interval_words(seconds: int) -> str:
    """Like `24 hours`, `90 minutes` or `7 days`, in the largest unit that comes out even."""
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second")):
        if seconds % size == 0 and (unit != "day" or seconds != 86400):
            count = seconds // size
            return f"{count} {unit}s" if count != 1 else unit
    raise AssertionError("unreachable")
