"""What a segment amounts to, as the manifest holds it; `tally` finds it out.

Apart from `tally`, so that a worker, which only drops segments, imports no numpy.
"""

from __future__ import annotations

from msgspec import Struct


class Content(Struct, frozen=True, kw_only=True):
    """What a run of lines amounts to."""

    bytes: int
    records: int
    first_seq: int
    last_seq: int
    first_time: str  # of the earliest; lines end up in the order in which exchanges ended
    last_time: str  # of the latest
    sha256: str
    check: str
