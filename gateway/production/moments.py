"""Times of the answer: as people write them, and as the log has them."""

from __future__ import annotations

from gateway.errors import ControlError, GatewayError
from gateway.store.moments import from_us, moment_us


class NotKnown(ControlError):
    """What production was at that time is not known."""

    status, reason = 404, "not_known"


class WrongTime(ControlError):
    """A time that is none, or has not come."""

    status, reason = 400, "bad_time"


def moment_of(text: str, now_s: float) -> float:
    """Seconds since 1970 of `2026-11-21`, `2026-11-21T14:30`, `2h`, `yesterday`; UTC."""
    try:
        at_s = moment_us(text, now_s) / 1e6
    except GatewayError as error:
        raise WrongTime(str(error)) from None
    if at_s > now_s:
        raise WrongTime(f"{stamp(at_s)} has not come yet")
    return at_s


def stamp(at_s: float) -> str:
    """RFC 3339, UTC, whole seconds."""
    return from_us(round(at_s * 1e6))
