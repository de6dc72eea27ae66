"""`POST /api/v1/feedback`: the same bodies as the data port's `/v1/feedback`.

Rule: a body is checked whole before its first signal is written; if the log fails in the
      middle, the same body with the same idempotency key writes the rest only.
"""

from __future__ import annotations

from collections.abc import Mapping

from gateway.control.faults import Fault
from gateway.control.parts import Parts
from gateway.errors import GatewayError
from gateway.feedback import Accepted, FeedbackError, read_feedback, records_of

KEY_HEADER = "idempotency-key"


def take(parts: Parts, body: bytes, headers: Mapping[str, str]) -> Accepted:
    """Writes the signals of a body into the log; the answer has their ids."""
    if parts.feedback is None:
        raise Fault(503, "log_off", "The prediction log is off, so no feedback can be kept.")
    try:
        signals = read_feedback(body, headers.get("content-type", ""), headers.get(KEY_HEADER, ""))
    except FeedbackError as error:
        raise Fault(error.status, error.reason, str(error)) from None
    records = records_of(signals, now_s=parts.now_s(), redact=parts.redact)
    try:
        for record in records:
            parts.feedback.append(record)
    except GatewayError as error:
        raise Fault(503, error.reason, str(error)) from None
    return Accepted(tuple(record.id for record in records))
