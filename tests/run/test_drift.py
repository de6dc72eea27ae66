"""What the controller's watch knows of the shipper."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.log.figures import LogFigures, SinkFigures
from gateway.run.drift import LiveDrift
from gateway.watch.sink import WatchSink


def figures(**more: Any) -> LogFigures:
    numbers: dict[str, Any] = dict.fromkeys(SinkFigures.__struct_fields__, 0) | {"error": ""}
    rest: dict[str, Any] = dict.fromkeys(LogFigures.__struct_fields__, 0) | {"error": ""}
    sinks = tuple(SinkFigures(**numbers | one) for one in more.pop("sinks"))
    return LogFigures(**rest | {"sinks": sinks})


@pytest.mark.parametrize(
    "sinks, is_counted",
    [
        ([{"name": WatchSink.name}], True),
        ([{"name": WatchSink.name}, {"name": "kafka", "waiting": 5}], True),
        ([{"name": WatchSink.name, "waiting": 1}], False),
        ([{"name": WatchSink.name, "failures": 1}], False),
        ([{"name": "store"}], False),
        (None, False),
    ],
)
def test_all_is_counted_where_nothing_waits_for_the_sink_that_counts(
    sinks: list[dict[str, Any]] | None,
    is_counted: bool,
    tmp_path: Path,
) -> None:
    said = None if sinks is None else figures(sinks=sinks)
    unused: Any = None
    live = LiveDrift(tmp_path, unused, unused, lambda: said)
    assert live._is_counted() is is_counted
