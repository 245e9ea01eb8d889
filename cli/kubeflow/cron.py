"""Cron expressions as the Kubeflow Pipelines server reads them: six fields, seconds first.

The server parses with robfig/cron v1.2.0. Its rules differ from Unix cron in ways that matter: a Unix expression of
five fields is accepted there and means something else; `?` is `*`; Sunday is 0 alone, never 7; and a day of the month
together with a day of the week means "either", unless one of them starts with `*`. Hence no general cron library.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from forgery.errors import InvalidConfig

MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
          "December")  # fmt: skip
WEEKDAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
DESCRIPTORS = {
    "@yearly": "0 0 0 1 1 *",
    "@annually": "0 0 0 1 1 *",
    "@monthly": "0 0 0 1 * *",
    "@weekly": "0 0 0 * * 0",
    "@daily": "0 0 0 * * *",
    "@midnight": "0 0 0 * * *",
    "@hourly": "0 0 * * * *",
}
# The server, too, gives up looking for the next time after five years (robfig/cron, SpecSchedule.Next).
HORIZON_DAYS = 5 * 366


@dataclass(frozen=True)
class Field:
    """One place of the expression: its name, the range of its numbers and names that stand for them."""

    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()  # the first one stands for `low`

    def number(self, text: str) -> int:
        """The number `text` stands for. Raises InvalidConfig."""
        short = [name[:3].lower() for name in self.names]
        if text.lower() in short:
            return short.index(text.lower()) + self.low
        if not (text.isascii() and text.isdigit() and self.low <= int(text) <= self.high):
            names = f" or {short[0]} to {short[-1]}" if short else ""
            raise InvalidConfig(f"{self.name} {text!r} is not one of {self.low} to {self.high}{names}")
        return int(text)


FIELDS = (
    Field("second", 0, 59),
    Field("minute", 0, 59),
    Field("hour", 0, 23),
    Field("day of the month", 1, 31),
    Field("month", 1, 12, MONTHS),
    Field("day of the week", 0, 6, WEEKDAYS),
)


@dataclass(frozen=True)
class Values:
    """The numbers a field allows, ascending; `starred` if it was written with `*` or `?`."""

    numbers: tuple[int, ...]
    starred: bool

    @property
    def one(self) -> bool:
        """Whether a single number is allowed."""
        return len(self.numbers) == 1

    def step(self, field: Field) -> int | None:
        """The n of `*/n`, where the numbers are just those; None otherwise."""
        if len(self.numbers) < 2:
            return None
        step = self.numbers[1] - self.numbers[0]
        return step if self.numbers == tuple(range(field.low, field.high + 1, step)) else None


@dataclass(frozen=True)
class Cron:
    """A schedule: `text` as the server gets it, and the values of its six fields."""

    text: str
    second: Values
    minute: Values
    hour: Values
    day: Values
    month: Values
    weekday: Values

    def next_times(self, after: datetime) -> Iterator[datetime]:
        """The times it fires later than `after`, in the zone of `after`; ends where none follows in five years."""
        first = after.date()
        days = (first + timedelta(days=n) for n in range(HORIZON_DAYS))
        moments = (datetime.combine(day, moment, after.tzinfo) for day in days if self._runs_on(day)
                   for moment in self._moments())  # fmt: skip
        return (moment for moment in moments if moment > after)

    def words(self) -> str:
        """When it fires, in English."""
        return " ".join(part for part in (self._time_words(), self._day_words(), self._month_words()) if part)

    def _runs_on(self, day: date) -> bool:
        in_month = day.day in self.day.numbers
        in_week = (day.weekday() + 1) % 7 in self.weekday.numbers
        either = in_month or in_week
        both = in_month and in_week
        return day.month in self.month.numbers and (both if self.day.starred or self.weekday.starred else either)

    def _moments(self) -> Iterator[time]:
        triples = itertools.product(self.hour.numbers, self.minute.numbers, self.second.numbers)
        return (time(*triple) for triple in triples)

    def _time_words(self) -> str:
        if self.second.one and self.minute.one and len(self.hour.numbers) <= 4:
            return f"at {_listed([_clock(moment) for moment in self._moments()])}"
        if not self.second.one:
            return f"{_repeated(self.second, FIELDS[0])} {self._minute_words()} {self._hour_words()}".strip()
        late = f" and {self.second.numbers[0]} seconds" if self.second.numbers[0] else ""
        if self.minute.one and len(self.hour.numbers) == 24:
            return f"every hour at minute {self.minute.numbers[0]:02d}{late}"
        return f"{_repeated(self.minute, FIELDS[1])}{late} {self._hour_words()}".strip()

    def _minute_words(self) -> str:
        return "" if len(self.minute.numbers) == 60 else f"of {_repeated(self.minute, FIELDS[1])}"

    def _hour_words(self) -> str:
        return "" if len(self.hour.numbers) == 24 else f"of {_repeated(self.hour, FIELDS[2])}"

    def _day_words(self) -> str:
        any_day, any_weekday = len(self.day.numbers) == 31, len(self.weekday.numbers) == 7
        of_month = f"on day {_ranges(self.day.numbers)} of the month"
        of_week = f"on {_ranges(self.weekday.numbers, WEEKDAYS)}"
        if any_day and any_weekday:
            return "every day" if len(self.hour.numbers) < 24 else ""
        if any_day or any_weekday:
            return of_week if any_day else of_month
        return f"{of_month} {'and' if self.day.starred or self.weekday.starred else 'or'} {of_week}"

    def _month_words(self) -> str:
        return "" if len(self.month.numbers) == 12 else f"in {_ranges(self.month.numbers, MONTHS, first=1)}"


def parse(expression: str) -> Cron:
    """Read a schedule of six fields, or a name such as @daily.

    Raises:
        InvalidConfig: It is none, never fires, or has the five fields of Unix cron; the message says what the server
            would make of those.
    """
    text = " ".join(expression.split())
    if text.startswith("@"):
        return _named(text)
    count = len(text.split())
    if count == 5:
        raise InvalidConfig(_five_fields(text))
    if count != len(FIELDS):
        raise InvalidConfig(
            f"cron {text!r} has {count} fields; accepted are six: second minute hour day month weekday, e.g. "
            "'0 0 3 * * *' for every day at 03:00, or @daily"
        )
    cron = _six_fields(text)
    if next(cron.next_times(datetime.now(UTC)), None) is None:
        raise InvalidConfig(f"cron {text!r} never fires: {cron.words()}")
    return cron


def _named(text: str) -> Cron:
    if text.startswith("@every"):
        raise InvalidConfig(f"for {text!r} use an interval: --every {text.removeprefix('@every').strip() or '24h'}")
    if text not in DESCRIPTORS:
        raise InvalidConfig(f"cron {text!r} is unknown; accepted: {', '.join(DESCRIPTORS)}")
    return _six_fields(DESCRIPTORS[text])


def _six_fields(text: str) -> Cron:
    try:
        return Cron(text, *(_values(part, field) for part, field in zip(text.split(), FIELDS, strict=True)))
    except InvalidConfig as error:
        raise InvalidConfig(f"cron {text!r}: {error}") from error


def _five_fields(text: str) -> str:
    line = f"cron {text!r} has the five fields of Unix cron; Kubeflow wants six, seconds first"
    try:
        # With the seconds first, a missing sixth field is `*`: that is what the server takes it for.
        taken, meant = _six_fields(f"{text} *").words(), _six_fields(f"0 {text}").words()
    except InvalidConfig:
        return f"{line}. Perhaps '0 {text}' is meant"
    return f"{line}: it would fire {taken}. For {meant} write '0 {text}'"


def _values(part: str, field: Field) -> Values:
    numbers: set[int] = set()
    pieces = [piece for piece in part.split(",") if piece]
    if not pieces:
        raise InvalidConfig(f"{field.name} is empty")
    for piece in pieces:
        numbers.update(_range(piece, field))
    return Values(tuple(sorted(numbers)), any(piece[0] in "*?" for piece in pieces))


def _range(piece: str, field: Field) -> range:
    span, slash, step_text = piece.partition("/")
    low_text, hyphen, high_text = span.partition("-")
    if span in ("*", "?"):
        low, high = field.low, field.high
    else:
        low = field.number(low_text)
        # "5/10" means from 5 to the end in steps of 10.
        high = field.number(high_text) if hyphen else field.high if slash else low
    if slash and not (step_text.isascii() and step_text.isdigit() and int(step_text)):
        raise InvalidConfig(f"{field.name} {piece!r}: the step must be a whole number from 1")
    if low > high:
        raise InvalidConfig(f"{field.name} {piece!r}: the range runs backwards; write it as two, comma between")
    return range(low, high + 1, int(step_text) if slash else 1)


def _clock(moment: time) -> str:
    return moment.strftime("%H:%M:%S" if moment.second else "%H:%M")


def _repeated(values: Values, field: Field) -> str:
    step = values.step(field)
    if step:
        return f"every {field.name}" if step == 1 else f"every {step} {field.name}s"
    return f"{field.name} {_ranges(values.numbers)}"


def _ranges(numbers: tuple[int, ...], names: tuple[str, ...] = (), first: int = 0) -> str:
    def word(number: int) -> str:
        return names[number - first] if names else str(number)

    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    parts = [f"{word(run[0])} to {word(run[-1])}" if len(run) > 2 else _listed([word(n) for n in run]) for run in runs]
    return _listed(parts)


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
