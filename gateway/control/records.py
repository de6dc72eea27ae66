"""`/api/v1/records/{id}` and its explanation: what the prediction log has of one request.

Rule 1: a body is only given where the query asks for it (`payload=true`).
Rule 2: records are looked up in a thread: the files may be large, the loop goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from gateway.control.faults import Fault
from gateway.control.parts import Parts, Records
from gateway.explanation.explanation import RecordExplanation
from gateway.explanation.lookup import NoRecord

T = TypeVar("T")
_BODIES = ("request", "response")
_TRUE = {"1", "true", "yes"}


class LoggedRecord(Struct, frozen=True):
    """A line of the prediction log; its members are in docs/records.md."""


async def show(parts: Parts, key: str, query: Mapping[str, str]) -> bytes:
    """The record, as it was written; without its bodies, unless they are asked for."""
    line = await _looked_up(parts, lambda records: records.line(key))
    if query.get("payload", "").lower() in _TRUE:
        return line
    return msgspec.json.encode(without_bodies(msgspec.json.decode(line)))


async def explain(parts: Parts, key: str) -> RecordExplanation:
    """The record of an id in words."""
    return await _looked_up(parts, lambda records: records.explanation(key))


def without_bodies(record: dict[str, Any]) -> dict[str, Any]:
    """A decoded record that says of its bodies only how long they are."""
    for place in _BODIES:
        payload = record.get(place)
        if isinstance(payload, dict):
            record[place] = {name: value for name, value in payload.items() if name != "body"}
    return record


async def _looked_up(parts: Parts, look: Callable[[Records], T]) -> T:
    records = parts.records
    if records is None:
        raise Fault(503, "store_off", "The local store is off, so there is nothing to look in.")
    try:
        return await asyncio.to_thread(look, records)
    except NoRecord as error:
        raise Fault(404, error.reason, str(error)) from None
