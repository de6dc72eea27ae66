"""Wire formats, one module each: what can be asked, and how errors are said.

Clients choose a route by the name of a model; where that name stands, which operation a
path means and what an error looks like is all that differs between protocols here. A
request of one protocol goes to backends of the same one; a translator between two would
stand beside these modules and use both.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from gateway._fast import Operation
from gateway.errors import Outcome
from gateway.protocols.http import Http
from gateway.protocols.kserve import KServe
from gateway.protocols.openai import OpenAI

Found = tuple[Operation, str | None]


class WireFormat(Protocol):
    """What a module here offers."""

    name: str
    content_type: bytes

    def resolve(self, method: str, path: str) -> Found | None:
        """The operation a path means and the model it names; None: not of this protocol."""

    def own_answers(self, routes: Sequence[str]) -> dict[str, tuple[int, bytes]]:
        """Paths that the gateway answers itself: status and body."""

    def error(self, status: int, outcome: Outcome, sentence: str, place: str = "") -> bytes:
        """The body of a refusal; `place` is what it is about, for formats that say so."""

    def stream_error(self, outcome: Outcome, *, ndjson: bool) -> bytes:
        """The event that ends a stream which went wrong after its first byte."""


# Rule: the order decides where paths overlap (`/v1/models/x:predict` before `/v1/*`).
WIRE_FORMATS: tuple[WireFormat, ...] = (KServe(), Http(), OpenAI())
BY_NAME = {wire_format.name: wire_format for wire_format in WIRE_FORMATS}
