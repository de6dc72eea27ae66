"""What the product says later about an earlier answer: read, checked, made into Feedback.

    accepted = taken(body, content_type, idempotency_key, writer.append, redact=…)
    FeedbackError: one sentence

Both ports take the same bodies. Knows nothing of HTTP; whether the request that a signal
names exists is for those who join the two.
"""

from gateway.feedback.reading import MAX_BODY_BYTES, FeedbackError, TooMuchFeedback, read_feedback
from gateway.feedback.signals import SIGNALS, GivenSignal, Signal
from gateway.feedback.taking import LogOff, taken
from gateway.feedback.writing import Accepted, Redact, records_of

__all__ = [
    "MAX_BODY_BYTES",
    "SIGNALS",
    "Accepted",
    "FeedbackError",
    "GivenSignal",
    "LogOff",
    "Redact",
    "Signal",
    "TooMuchFeedback",
    "read_feedback",
    "records_of",
    "taken",
]
