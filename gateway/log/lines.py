"""A line of the log as a Record or Feedback, or one sentence that says why it is neither.

Fields that this program does not know are passed over: a newer gateway may add some. A
line whose version is newer than RECORD_VERSION is refused: there, a field that we know may
mean something else.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

from gateway.errors import GatewayError
from gateway.messages import RECORD_VERSION, Feedback, Record

FORGOTTEN = "forgotten"  # kind of what stands where a person's line was deleted


class LineError(GatewayError):
    """The line cannot be used; whoever reads on counts it under `reason`."""

    reason = "line"


class MalformedLine(LineError):
    reason = "malformed_line"


class NewerLine(LineError):
    reason = "newer_line"


class ForgottenLine(LineError):
    reason = "forgotten_line"


class Place(Struct, frozen=True):
    """Where a line stands in its stream, and when its exchange began."""

    stream: str
    seq: int
    time: str = ""


class _Head(Struct, frozen=True):
    v: int
    kind: str


_heads = msgspec.json.Decoder(_Head)
_places = msgspec.json.Decoder(Place)
_records = msgspec.json.Decoder(Record)
_feedback = msgspec.json.Decoder(Feedback)


def decode(line: bytes) -> Record | Feedback:
    """The line as what it is; LineError where it is nothing this program can read."""
    try:
        head = _heads.decode(line)
        if 1 <= head.v <= RECORD_VERSION and head.kind != FORGOTTEN:
            return _feedback.decode(line) if head.kind == "feedback" else _records.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedLine(f"This line is no record: {_told(error)}.") from None
    raise _refusal(head)


def place_of(line: bytes) -> Place:
    """Where the line stands, whatever its version and kind; MalformedLine where it does not say."""
    try:
        return _places.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedLine(f"This line has no place in the log: {_told(error)}.") from None


def tombstone(line: bytes) -> bytes:
    """What stands where a line was deleted: its place, and spaces up to the same length."""
    place = place_of(line)
    grave = {"v": RECORD_VERSION, "kind": FORGOTTEN, "stream": place.stream, "seq": place.seq}
    text = msgspec.json.encode(grave | ({"time": place.time} if place.time else {}))
    return text[:-1].ljust(len(line) - 1) + b"}"


def _refusal(head: _Head) -> LineError:
    if head.v > RECORD_VERSION:
        return NewerLine(
            f"This line was written by a newer gateway: it has version {head.v}, "
            f"and this one reads versions up to {RECORD_VERSION}."
        )
    if head.v < 1:
        return MalformedLine(f"This line is no record: there is no version {head.v}.")
    return ForgottenLine("This line was deleted on request; only its place in the log is left.")


def _told(error: Exception) -> str:
    """The reason without the line's data: a record may hold what a log must not show."""
    if isinstance(error, msgspec.ValidationError | msgspec.DecodeError):
        return str(error).rstrip(".").replace("`", "")
    return "it is nested too deeply" if isinstance(error, RecursionError) else "it is not UTF-8"
