"""From a body to its signals: one object, a list of them, or one a line (NDJSON).

Rule 1: a body is taken whole or not at all.
Rule 2: what is wrong is one sentence: which signal, which member, what is expected.
"""

from __future__ import annotations

import re
from collections import Counter

import msgspec
from msgspec import Raw

from gateway.config.problems import meant
from gateway.errors import BodyTooLarge, Refused
from gateway.feedback.signals import GivenSignal, Signal, WrongSignal, signal_of

MAX_BODY_BYTES = 1 << 20
MOST_SIGNALS = 1000
MOST_KEY = 256


class FeedbackError(Refused):
    """Feedback that cannot be taken; nothing of its body was."""

    status, reason = 400, "bad_body"


class TooMuchFeedback(FeedbackError, BodyTooLarge):
    """More than one body may hold."""

    status, reason = 413, "body_too_large"


_given = msgspec.json.Decoder(GivenSignal)
_list = msgspec.json.Decoder(list[Raw])


def read_feedback(body: bytes, content_type: str = "", key: str = "") -> list[Signal]:
    """The signals of a body; `key` is the header `idempotency-key`. FeedbackError says all else."""
    if len(body) > MAX_BODY_BYTES:
        raise TooMuchFeedback(f"The body is larger than {MAX_BODY_BYTES >> 10} KiB; send less.")
    if len(key) > MOST_KEY:
        raise FeedbackError(f"The header `idempotency-key` is longer than {MOST_KEY} characters.")
    texts, noun = _texts_of(body, content_type)
    if not texts:
        raise FeedbackError("The body holds no signal.")
    if len(texts) > MOST_SIGNALS:
        raise TooMuchFeedback(f"The body holds more than {MOST_SIGNALS} signals; send fewer.")
    signals, seen = [], Counter[tuple[str, str]]()
    for place, text in texts:
        try:
            signal = signal_of(_decoded(text))
        except WrongSignal as wrong:
            where = f"{noun} {place}: " if noun else ""
            raise FeedbackError(f"{where}{wrong}."[:500]) from None
        if key and not signal.key:
            about = (signal.request_id, signal.signal)
            seen[about] += 1  # Why: a body may say two things of the same kind under one header
            signal = msgspec.structs.replace(signal, key=f"{key}\n{seen[about]}")
        signals.append(signal)
    return signals


def _texts_of(body: bytes, content_type: str) -> tuple[list[tuple[int, bytes | Raw]], str]:
    """Each signal's JSON with its place, and what a place is called; "" there is only one."""
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type.endswith(("ndjson", "jsonl", "json-lines")):
        lines = enumerate(body.split(b"\n"), 1)
        return [(place, line) for place, line in lines if line.strip()], "line"
    text = body.strip()
    if not text.startswith(b"["):
        return [(1, text)] if text else [], ""
    try:
        return list(enumerate(_list.decode(text), 1)), "item"
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise FeedbackError("The body is not JSON.") from None


def _decoded(text: bytes | Raw) -> GivenSignal:
    try:
        return _given.decode(text)
    except msgspec.ValidationError as error:
        raise WrongSignal(_sentence(str(error))) from None
    except RecursionError:
        raise WrongSignal("this is nested too deeply") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        is_lines = b"}\n{" in bytes(text).replace(b"\r", b"")
        hint = "; for one signal a line send `content-type: application/x-ndjson`"
        raise WrongSignal(f"this is not JSON{hint if is_lines else ''}") from None


_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_AT = re.compile(r"(?P<what>.*) - at `\$\.?(?P<member>[^`]+)`", re.DOTALL)
_MEMBERS = GivenSignal.__struct_fields__


def _sentence(message: str) -> str:
    """The decoder's message with the member first."""
    if found := _UNKNOWN.match(message):
        name = found[1][:64]
        return f"`{name}` is not a member of feedback{meant(name, _MEMBERS).rstrip('?')}"
    if found := _AT.fullmatch(message):
        member = found["member"]
        if "regex" in message and member in {"request_id", "inference_id"}:
            return f"`{member}` has 1 to 64 letters, digits and . _ -"
        return f"`{member}`: {found['what'][:1].lower()}{found['what'][1:]}"
    return 'each signal is a JSON object, such as {"request_id": "…", "signal": "accept"}'
