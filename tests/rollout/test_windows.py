"""Windows by the clock on the wall, over both changes of the clock."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.rollout.windows import Window, is_open, opening, parsed

WORK = "Mon-Fri 09:00-17:00 Europe/Berlin"


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


@pytest.mark.parametrize(
    "window,moment,expected",
    [
        (WORK, "2026-11-20T09:00:00+01:00", True),  # a Friday in winter
        (WORK, "2026-11-20T08:59:59+01:00", False),
        (WORK, "2026-11-20T16:59:59+01:00", True),
        (WORK, "2026-11-20T17:00:00+01:00", False),
        (WORK, "2026-11-21T12:00:00+01:00", False),  # Saturday
        (WORK, "2026-07-17T09:00:00+02:00", True),  # 07:00 UTC in summer
        (WORK, "2026-07-17T08:00:00+00:00", True),
        (WORK, "2026-07-17T15:00:00+00:00", False),
        ("Fri 22:00-02:00 UTC", "2026-11-20T23:00:00+00:00", True),
        ("Fri 22:00-02:00 UTC", "2026-11-21T01:59:00+00:00", True),
        ("Fri 22:00-02:00 UTC", "2026-11-20T01:00:00+00:00", False),
        ("Sat-Mon 10:00-11:00", "2026-11-22T10:30:00+00:00", True),
        ("Mon,Wed 10:00-11:00", "2026-11-24T10:30:00+00:00", False),
        ("daily 00:00-24:00 Asia/Tokyo", "2026-11-24T15:30:00+00:00", True),
        # 2026-03-29: 02:00 becomes 03:00; 2026-10-25: 03:00 becomes 02:00
        ("Sun 02:00-03:00 Europe/Berlin", "2026-03-29T00:59:59+00:00", False),
        ("Sun 02:00-03:00 Europe/Berlin", "2026-03-29T01:00:00+00:00", False),
        ("Sun 02:00-03:00 Europe/Berlin", "2026-10-25T00:30:00+00:00", True),
        ("Sun 02:00-03:00 Europe/Berlin", "2026-10-25T01:30:00+00:00", True),
        ("Sun 02:00-03:00 Europe/Berlin", "2026-10-25T02:00:00+00:00", False),
    ],
)
def test_window_is_open_by_the_clock_on_the_wall(window: str, moment: str, expected: bool) -> None:
    assert Window.parse(window).is_open(at(moment)) is expected


@pytest.mark.parametrize(
    "text,message",
    [
        ("", "expected days, hours and a zone"),
        ("Mon 9-17", "expected days, hours and a zone"),
        ("Someday 09:00-17:00", "`Someday` is no day, such as Mon"),
        ("Mon- 09:00-17:00", "expected days, hours and a zone"),
        ("Mon,,Tue 09:00-17:00", "expected days, hours and a zone"),
        ("Mon--Tue 09:00-17:00", "`-Tue` is no day"),
        ("Mon 09:00-25:00", "25:00 is no time of the day"),
        ("Mon 09:60-10:00", "09:60 is no time of the day"),
        ("Mon 09:00-09:00", "it has no length"),
        ("Mon 24:00-09:00", "it has no length"),
        ("Mon 09:00-17:00 Europe/Nowhere", "`Europe/Nowhere` is no time zone"),
        ("Mon 09:00-17:00 ../etc/passwd", "is no time zone"),
    ],
)
def test_what_is_no_window_is_refused_in_a_sentence(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Window.parse(text)


def test_no_window_is_always_and_several_are_one() -> None:
    friday = at("2026-11-20T08:30:00+00:00").timestamp()
    assert is_open((), friday)
    assert not is_open(parsed(["Sat 00:00-24:00"]), friday)
    assert is_open(parsed(["Sat 00:00-24:00", WORK]), friday)


def test_next_opening_is_told_in_the_zone_of_its_window() -> None:
    saturday = at("2026-11-21T12:00:00+00:00").timestamp()
    assert opening(parsed([WORK, "Wed 01:00-02:00"]), saturday) == (
        "Weight may rise again on Mon 2026-11-23 at 09:00 Europe/Berlin."
    )


def test_window_that_begins_in_the_skipped_hour_opens_after_it() -> None:
    window = Window.parse("Sun 02:30-04:00 Europe/Berlin")
    opens = window.opens(at("2026-03-28T12:00:00+00:00"))
    assert opens == at("2026-03-29T03:00:00+02:00")


@given(
    st.sampled_from(
        [WORK, "Sun 01:30-02:30 Europe/Berlin", "Sat,Sun 22:00-03:00 America/New_York"]
    ),
    st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC)),  # noqa: DTZ001
)
def test_opening_is_open_and_nothing_before_it_is(text: str, moment: datetime) -> None:
    window = Window.parse(text)
    opens = window.opens(moment)
    assert opens >= moment
    assert window.is_open(opens)
    minutes = int((opens - moment).total_seconds() // 60)
    for share in range(10):
        between = moment + (opens - moment) * share / 10
        assert minutes == 0 or opens == moment or not window.is_open(between)
