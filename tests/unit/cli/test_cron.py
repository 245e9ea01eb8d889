"""Schedules as the Kubeflow Pipelines server reads them."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import assume, given, reject, settings
from hypothesis import strategies as st

from cli.kubeflow.cron import parse
from forgery.errors import InvalidConfig

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)  # a Wednesday


def next_times(text: str, count: int, after: datetime = NOW) -> list[str]:
    return [f"{moment:%Y-%m-%d %H:%M:%S}" for moment in itertools.islice(parse(text).next_times(after), count)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0 0 3 * * *", "at 03:00 every day"),
        ("30 0 3 * * *", "at 03:00:30 every day"),
        ("0 0 3,15 * * *", "at 03:00 and 15:00 every day"),
        ("0 0 3 * * 1-5", "at 03:00 on Monday to Friday"),
        ("0 0 3 * * MON,wed,Fri", "at 03:00 on Monday, Wednesday and Friday"),
        ("0 0 3 1,15 * ?", "at 03:00 on day 1 and 15 of the month"),
        ("0 0 3 1 * 1", "at 03:00 on day 1 of the month or on Monday"),
        ("0 0 3 */2 * 1", "at 03:00 on day 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29 and 31 of the month"
         " and on Monday"),
        ("0 0 3 1 JAN-MAR *", "at 03:00 on day 1 of the month in January to March"),
        ("0 3 * * * *", "every hour at minute 03"),
        ("20 3 * * * *", "every hour at minute 03 and 20 seconds"),
        ("0 */15 * * * *", "every 15 minutes"),
        ("0 */15 8-17 * * 1-5", "every 15 minutes of hour 8 to 17 on Monday to Friday"),
        ("0 5/20 * * * *", "minute 5, 25 and 45"),
        ("*/10 * * * * *", "every 10 seconds"),
        ("* 5 3 * * *", "every second of minute 5 of hour 3 every day"),
        ("0 0 */6 * * *", "at 00:00, 06:00, 12:00 and 18:00 every day"),
        ("0 0 */2 * * *", "minute 0 of every 2 hours every day"),
        ("@daily", "at 00:00 every day"),
        ("@weekly", "at 00:00 on Sunday"),
        ("@hourly", "every hour at minute 00"),
    ],
)  # fmt: skip
def test_schedule_is_explained_in_words(text: str, words: str) -> None:
    assert parse(text).words() == words


@pytest.mark.parametrize(
    ("text", "times"),
    [
        ("0 0 3 * * *", ["2026-03-05 03:00:00", "2026-03-06 03:00:00"]),
        ("7 6 5 * * *", ["2026-03-05 05:06:07"]),
        ("8 6 5 * * *", ["2026-03-04 05:06:08"]),
        ("0 0 0 29 2 *", ["2028-02-29 00:00:00"]),
        ("0 0 0 31 * *", ["2026-03-31 00:00:00", "2026-05-31 00:00:00"]),
        ("0 0 0 1 * 1", ["2026-03-09 00:00:00", "2026-03-16 00:00:00", "2026-03-23 00:00:00", "2026-03-30 00:00:00",
                         "2026-04-01 00:00:00"]),
        ("0 0 0 */2 * 1", ["2026-03-09 00:00:00", "2026-03-23 00:00:00"]),
        ("*/30 * * * * *", ["2026-03-04 05:06:30", "2026-03-04 05:07:00"]),
    ],
)  # fmt: skip
def test_next_times_follow_the_rules_of_the_server(text: str, times: list[str]) -> None:
    assert next_times(text, len(times)) == times


def test_five_fields_are_refused_with_what_the_server_would_do() -> None:
    with pytest.raises(InvalidConfig) as refused:
        parse("0 3 * * *")
    assert "would fire every hour at minute 03" in str(refused.value)
    assert "For at 03:00 every day write '0 0 3 * * *'" in str(refused.value)


def test_five_fields_that_the_server_would_refuse_name_the_six_field_form() -> None:
    with pytest.raises(InvalidConfig, match=r"Perhaps '0 30 3 1 1 1-5' is meant|write '0 30 3 1 1 1-5'"):
        parse("30 3 1 1 1-5")
    with pytest.raises(InvalidConfig, match="Perhaps '0 0 3 \\* \\* mon-fri' is meant"):
        parse("0 3 * * mon-fri")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has 0 fields"),
        ("0 0 3 * * * 2026", "has 7 fields"),
        ("60 0 3 * * *", "second '60' is not one of 0 to 59"),
        ("0 0 24 * * *", "hour '24'"),
        ("0 0 3 0 * *", "day of the month '0' is not one of 1 to 31"),
        ("0 0 3 * 13 *", "month '13' is not one of 1 to 12 or jan to dec"),
        ("0 0 3 * * 7", "day of the week '7' is not one of 0 to 6 or sun to sat"),
        ("0 0 3 * * 5-1", "runs backwards"),
        ("0 */0 3 * * *", "the step must be a whole number from 1"),
        ("0 0 3 30 2 *", "never fires"),
        ("0 0 x * * *", "hour 'x'"),
        ("0 0 1- * * *", "hour ''"),
        ("0 , 3 * * *", "minute is empty"),
        ("@never", "is unknown; accepted: @yearly"),
        ("@every 6h", "--every 6h"),
    ],
)
def test_wrong_schedule_is_refused_with_what_is_accepted(text: str, said: str) -> None:
    with pytest.raises(InvalidConfig) as refused:
        parse(text)
    assert said in str(refused.value)


FIELD_TEXT = [
    st.one_of(st.just("*"), st.integers(low, high).map(str), st.integers(2, 9).map("*/{}".format))
    for low, high in ((0, 59), (0, 23), (1, 28), (1, 12), (0, 6))
]


@settings(deadline=None, max_examples=50)
@given(st.tuples(*FIELD_TEXT), st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1)))
def test_next_time_is_the_first_minute_that_all_fields_allow(minute_fields: tuple[str, ...], naive: datetime) -> None:
    fields, after = ("0", *minute_fields), naive.replace(tzinfo=UTC)
    try:
        found = next(parse(" ".join(fields)).next_times(after), None)
    except InvalidConfig:  # such as the first of January if it is a Sunday, which the next five years may lack
        reject()
    assume(found is not None)
    moment = after.replace(second=0, microsecond=0) + timedelta(minutes=1)
    while not _allowed(fields, moment):
        moment += timedelta(minutes=1)
        while not _allowed_day(fields, moment):
            moment = moment.replace(hour=0, minute=0) + timedelta(days=1)
    assert found == moment


def _allowed(fields: tuple[str, ...], moment: datetime) -> bool:
    values = moment.second, moment.minute, moment.hour
    return _allowed_day(fields, moment) and all(
        _fits(text, value, 0) for text, value in zip(fields, values, strict=False)
    )


def _allowed_day(fields: tuple[str, ...], moment: datetime) -> bool:
    day, month, weekday = (
        _fits(text, value, low)
        for text, value, low in zip(
            fields[3:], (moment.day, moment.month, moment.isoweekday() % 7), (1, 1, 0), strict=True
        )
    )
    either = fields[3][0] != "*" and fields[5][0] != "*"
    return month and ((day or weekday) if either else (day and weekday))


def _fits(text: str, value: int, low: int) -> bool:
    if text == "*":
        return True
    return (value - low) % int(text[2:]) == 0 if text.startswith("*/") else value == int(text)
