"""Where lines are counted for `drift`: a sink of the shipper, and what the controller shows of it.

Why imports inside: numpy is for those who watch.
"""

from __future__ import annotations

from pathlib import Path

from gateway.config import Config
from gateway.errors import GatewayError
from gateway.shipper.sink import Sink
from gateway.shipper.sinks import Wanted

WATCH = "watch"  # the sink that counts
SEQUENTIAL = {"adwin", "page_hinkley"}  # tests of labels, which need no counts


def watched_of(config: Config) -> dict[str, object]:
    """What the sink that counts is made of, where it is wanted."""
    drift = config.drift
    has_reference = any(
        rule.reference and rule.test not in SEQUENTIAL for rule in drift.rules.values()
    )
    if not (drift.enabled and drift.consumer.source == "log" and has_reference):
        return {}
    of_rules = {
        name: (rule.reference, rule.routes, rule.test) for name, rule in drift.rules.items()
    }
    return {WATCH: (drift.references, of_rules, drift.consumer, tuple(config.routes))}


def watch_sink(config: Config, made: Wanted) -> Sink:
    """The sink that counts."""
    from gateway.watch.sink import Watched, WatchSink  # noqa: PLC0415

    return WatchSink(
        Watched(drift=config.drift, routes=tuple(config.routes), state=made.state, log=made.log)
    )


def counted_lines(state: Path) -> dict[str, int]:
    """Lines by what became of them, since counting began; empty where nobody counts."""
    from gateway.watch.kept import FILE, Kept  # noqa: PLC0415

    kept = state / FILE
    if not kept.exists():
        return {}
    try:
        parts = Kept(kept).told().values()
    except GatewayError:  # the shipper says so, and sets it aside
        return {}
    return {
        result: sum(part.get(result, 0) for part in parts)
        for result in {one for part in parts for one in part}
    }
