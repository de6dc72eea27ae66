"""Figures of a shipper, as a test wants them."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.log.figures import LogFigures, SinkFigures

_SINK = SinkFigures(
    name="store",
    appended=1200,
    shipped=1000,
    waiting=200,
    dropped=0,
    waiting_bytes=160_000,
    lag_s=0.5,
    failures=0,
    retries=0,
    dead_letters=0,
    damaged_lines=0,
    error="",
    error_at_s=0.0,
)
_LOG = LogFigures(
    at_s=1_760_000_000.0,
    pid=4100,
    started_at_s=1_759_990_000.0,
    appended=1200,
    streams=2,
    open_segments=4,
    sealed_segments=1,
    segment_bytes=10 << 20,
    max_bytes=8 << 30,
    sealed=7,
    damaged_segments=0,
    cut_bytes=0,
    removed=6,
    made_room=0,
    error="",
    sinks=(),
)


def make_sink(name: str, **figures: Any) -> SinkFigures:
    return msgspec.structs.replace(_SINK, name=name, **figures)


def make_figures(*sinks: SinkFigures, **figures: Any) -> LogFigures:
    return msgspec.structs.replace(_LOG, sinks=sinks, **figures)
