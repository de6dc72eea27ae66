"""`POST /api/v1/feedback`: the same bodies as the data port's `/v1/feedback`."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.control.faults import Fault
from gateway.control.parts import Parts
from gateway.errors import GatewayError
from gateway.feedback import Accepted, FeedbackError, taken

KEY_HEADER = "idempotency-key"


def take(parts: Parts, body: bytes, headers: Mapping[str, str]) -> Accepted:
    """Writes the signals of a body into the log; the answer has their ids."""
    append = parts.feedback.append if parts.feedback else None
    key = headers.get(KEY_HEADER, "")
    try:
        return taken(
            body,
            headers.get("content-type", ""),
            key,
            append,
            now_s=parts.now_s(),
            redact=parts.redact,
        )
    except FeedbackError as error:
        raise Fault(error.status, error.reason, str(error)) from None
    except GatewayError as error:
        raise Fault(503, error.reason, str(error)) from None
