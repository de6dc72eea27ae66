"""A body of signals, from its bytes to the log.

Rule: a body is checked whole before its first signal is written; if the log fails in the
      middle, the same body with the same idempotency key writes the rest only.
"""

from __future__ import annotations

from collections.abc import Callable

from gateway.errors import GatewayError
from gateway.feedback.reading import read_feedback
from gateway.feedback.writing import Accepted, Redact, records_of
from gateway.messages import Feedback


class LogOff(GatewayError):
    """The prediction log is switched off."""

    reason = "log_off"

    def __init__(self) -> None:
        super().__init__("The prediction log is off, so no feedback can be kept.")


def taken(
    body: bytes,
    content_type: str,
    key: str,
    append: Callable[[Feedback], int] | None,
    *,
    redact: Redact | None,
    now_s: float | None = None,
) -> Accepted:
    """Writes the signals of a body into the log; `append` is None where there is none.

    FeedbackError: the body is wrong; another GatewayError: it cannot be kept.
    """
    if append is None:
        raise LogOff
    records = records_of(read_feedback(body, content_type, key), now_s=now_s, redact=redact)
    for record in records:
        append(record)
    return Accepted(tuple(record.id for record in records))
