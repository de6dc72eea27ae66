"""Times as people write them: `2h`, `2h ago`, `yesterday`, `2026-11-21`, `2026-11-21T14:30:00Z`.

Times are UTC unless they say otherwise, as the records' are.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from gateway.store.database import WrongQuestion

_AGO = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|h|d|w)[a-z]*(?:\s+ago)?")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def moment_us(text: str, now_s: float) -> int:
    """Microseconds since 1970; WrongQuestion where the text is no time."""
    words = text.strip().lower()
    now = _EPOCH + timedelta(seconds=now_s)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    named = {"now": now, "today": midnight, "yesterday": midnight - timedelta(days=1)}
    if words in named:
        return to_us(named[words])
    try:
        if match := _AGO.fullmatch(words):
            return to_us(now - timedelta(seconds=float(match[1]) * _SECONDS[match[2]]))
        moment = datetime.fromisoformat(text.strip())
    except (ValueError, OverflowError):
        raise WrongQuestion(
            f"`{text}` is no time; write 2026-11-21, 2026-11-21T14:30, 2h or yesterday (UTC)"
        ) from None
    return to_us(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def to_us(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)


def from_us(moment_us: int) -> str:
    """RFC 3339, UTC, to the second."""
    moment = _EPOCH + timedelta(microseconds=moment_us)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def day_of(moment_us: int) -> str:
    return (_EPOCH + timedelta(microseconds=moment_us)).strftime("%Y-%m-%d")
