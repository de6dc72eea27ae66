"""A window as it is written, such as `Mon-Fri 09:00-17:00 Europe/Berlin`: days, hours, a zone.

    WINDOW = DAYS " " HH:MM "-" HH:MM [" " ZONE]      DAYS = Mon | Mon-Fri | Mon,Wed,Fri | daily

Rule: what `read` refuses is a sentence without the text itself: the reader knows where it stands.
Knows nothing of clocks; `rollout.windows` says when one is open.
"""

from __future__ import annotations

import re
import zoneinfo
from typing import NamedTuple

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
DAY_MINUTES = 24 * 60
_EXPECTED = "expected days, hours and a zone, such as `Mon-Fri 09:00-17:00 Europe/Berlin`"
_SHAPE = re.compile(r"(\S+)\s+(\d\d):(\d\d)-(\d\d):(\d\d)(?:\s+(\S+))?", re.ASCII)


class Written(NamedTuple):
    """What the text says; days are those on which the window begins."""

    days: frozenset[int]  # 0 is Monday
    begin: int  # minutes after midnight
    end: int  # not above begin: on the next day
    zone: str


def read(text: str) -> Written:
    """ValueError with a sentence where it is none."""
    match = _SHAPE.fullmatch(text.strip())
    if match is None:
        raise ValueError(_EXPECTED)
    begin, end = _minutes(match[2], match[3]), _minutes(match[4], match[5])
    if begin in {end, DAY_MINUTES}:
        raise ValueError("it has no length; 00:00-24:00 is the whole day")
    zone = match[6] or "UTC"
    try:
        zoneinfo.ZoneInfo(zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"`{zone}` is no time zone, such as Europe/Berlin") from None
    return Written(_days(match[1]), begin, end, zone)


def fault(text: str) -> str:
    """What is wrong with it; "" if nothing is."""
    try:
        read(text)
    except ValueError as error:
        return str(error)
    return ""


def _minutes(hours: str, minutes: str) -> int:
    total = int(hours) * 60 + int(minutes)
    if int(minutes) > 59 or total > DAY_MINUTES:
        raise ValueError(f"{hours}:{minutes} is no time of the day")
    return total


def _days(word: str) -> frozenset[int]:
    if word.lower() in {"daily", "*"}:
        return frozenset(range(7))
    found: set[int] = set()
    for part in word.split(","):
        first, dash, last = part.partition("-")
        begin, end = _day(first), _day(last if dash else first)
        found.update((begin + number) % 7 for number in range((end - begin) % 7 + 1))
    return frozenset(found)


def _day(word: str) -> int:
    if not word:
        raise ValueError(_EXPECTED)
    if word.capitalize() not in DAYS:
        raise ValueError(f"`{word}` is no day, such as {', '.join(DAYS)}")
    return DAYS.index(word.capitalize())
