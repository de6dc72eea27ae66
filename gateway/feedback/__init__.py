"""What the product says later about an earlier answer: read, checked, made into Feedback.

    signals = read_feedback(body, content_type, idempotency_key)   FeedbackError: one sentence
    for feedback in records_of(signals, redact=…): writer.append(feedback)
    answer 202 with Accepted(ids)

Both ports take the same bodies. Knows nothing of HTTP; whether the request that a signal
names exists is for those who join the two.
"""

from gateway.feedback.reading import MAX_BODY_BYTES, FeedbackError, TooMuchFeedback, read_feedback
from gateway.feedback.signals import SIGNALS, GivenSignal, Signal
from gateway.feedback.writing import Accepted, Redact, records_of

__all__ = [
    "MAX_BODY_BYTES",
    "SIGNALS",
    "Accepted",
    "FeedbackError",
    "GivenSignal",
    "Redact",
    "Signal",
    "TooMuchFeedback",
    "read_feedback",
    "records_of",
]
