"""What a wire format says of a path, in a form that tests can compare."""

from __future__ import annotations

import orjson

from gateway.errors import OUTCOMES, Outcome
from gateway.protocols import WireFormat

BY_REASON = {outcome.reason: outcome for outcome in OUTCOMES}
Meaning = tuple[str, str | None]


def meaning(wire_format: WireFormat, method: str, path: str) -> Meaning | None:
    """The operation's name and the model in the path; None: not of this protocol."""
    found = wire_format.resolve(method, path)
    return None if found is None else (found[0].name, found[1])


def error(wire_format: WireFormat, reason: str, sentence: str = "So it is.") -> object:
    outcome = BY_REASON[reason]
    body: object = orjson.loads(wire_format.error(outcome.status or 502, outcome, sentence))
    return body


def event(wire_format: WireFormat, outcome: Outcome, *, ndjson: bool) -> bytes:
    return wire_format.stream_error(outcome, ndjson=ndjson)
