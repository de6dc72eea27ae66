"""How the prediction log is: what the shipper says, and what follows from it in words.

`appended = shipped + waiting + dropped` for each sink. Nothing here reads a record.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import Struct

from gateway.control.parts import Parts
from gateway.log.figures import LogFigures, SinkFigures

LATE_S = 60.0
NEARLY_FULL = 0.8


class LogView(Struct, frozen=True, kw_only=True):
    """The prediction log now."""

    health: str  # "ok", "degraded", "off"
    sentence: str
    figures: LogFigures | None = None  # null while no shipper runs


def log_view(parts: Parts) -> LogView:
    """What `GET /api/v1/log` answers."""
    # Why first: figures of a shipper that ran before may still be there.
    if not parts.configuration.plan.log.enabled:
        return LogView(health="off", sentence="The prediction log is off.")
    figures = parts.log_figures()
    if figures is None:
        return LogView(health="degraded", sentence=_without_shipper(parts))
    complaints = list(complaints_of(figures))
    if not complaints:
        return LogView(health="ok", sentence=_in_order(figures), figures=figures)
    return LogView(health="degraded", sentence=" ".join(complaints), figures=figures)


def complaints_of(figures: LogFigures) -> list[str]:
    """One sentence for each thing that is not as it should be."""
    complaints = [f"The log's files: {figures.error}."] if figures.error else []
    for sink in figures.sinks:
        if sink.failures:
            complaints.append(f"{sink.name} takes no records: {sink.error}.")
        elif sink.lag_s > LATE_S:
            complaints.append(f"{sink.name} is {sink.lag_s:.0f} s behind.")
        elif sink.error:
            complaints.append(f"{sink.name}: {sink.error}.")
    if figures.segment_bytes > NEARLY_FULL * figures.max_bytes:
        complaints.append("What waits on disk has nearly reached log.max_size.")
    return complaints


def values_of(parts: Parts, figures: LogFigures | None) -> Mapping[str, float]:
    """The figures by the source that `telemetry.LOG_METRICS` names; none where the log is off."""
    if figures is None:
        return {"is_shipping": 0} if parts.configuration.plan.log.enabled else {}
    given = msgspec.structs.asdict(figures)
    return given | {"is_shipping": 1, "is_failing": int(bool(figures.error))}


def _without_shipper(parts: Parts) -> str:
    dropped = parts.board.seats().records_dropped
    rest = f"; {dropped:,} found no room and were dropped" if dropped else ""
    return f"The shipper does not run: records wait on disk{rest}."


def _in_order(figures: LogFigures) -> str:
    return "; ".join(["The log is in order", *map(_sink_line, figures.sinks)]) + "."


def _sink_line(sink: SinkFigures) -> str:
    waiting = f", {sink.waiting:,} on their way" if sink.waiting else ""
    dropped = f", {sink.dropped:,} dropped" if sink.dropped else ""
    return f"{sink.name} has {sink.shipped:,} records{waiting}{dropped}"
