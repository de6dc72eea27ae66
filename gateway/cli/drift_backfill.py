"""`gateway drift backfill`: what was recorded before its route was watched is counted.

Reads and writes the state directory; a gateway that runs goes on counting meanwhile.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.log_search import place_of, store_of
from gateway.cli.places import DEFAULT_FILE, ConfigFile, StateDirectory
from gateway.cli.verbs import FAILED
from gateway.config.document import load
from gateway.errors import ConfigError, Problem
from gateway.log.names import DIRECTORY as LOG_DIRECTORY

if TYPE_CHECKING:
    from gateway.config import Config
    from gateway.watch.basis import Bases

MINUTE_S, MINUTE_NS, MINUTE_US = 60, 60 * 10**9, 60 * 10**6
TELL_S = 2.0

Last = Annotated[str, typer.Option("--last", help="How far back: such as 12h, 7d; 9d at most.")]


def backfill(
    last: Last = "7d", config: ConfigFile = DEFAULT_FILE, state: StateDirectory = None
) -> None:
    """Count what was recorded before, on the fields that the rules of `drift` look at.

    Each record counts once, however often this runs, and whatever the gateway counts meanwhile.
    """
    from gateway.store.moments import moment_us  # noqa: PLC0415  numpy takes its time
    from gateway.watch.backfill import Backfill  # noqa: PLC0415
    from gateway.watch.kept import BACKFILL, FILE, Kept  # noqa: PLC0415

    now_s = time.time()
    since_minute = moment_us(last, now_s) // MINUTE_US
    loaded = load(config, os.environ).config
    place = place_of(config, state)
    bases = _bases(loaded, place, config, state)
    consumer = loaded.drift.consumer
    run = Backfill(
        bases.all,
        Kept(place / FILE, BACKFILL),
        store_of(config, state),
        place / LOG_DIRECTORY,
        keep=max(1, consumer.keep // MINUTE_NS),
        lateness=consumer.lateness // MINUTE_NS,
    )
    before = run.told()
    segments = lines = 0
    told_at_s = time.monotonic()
    for piece in run.run(since_minute, int(now_s // MINUTE_S)):
        segments, lines = segments + bool(piece.bases), lines + piece.lines
        if time.monotonic() - told_at_s > TELL_S:
            told_at_s = time.monotonic()
            print(f"{lines:,} lines of {segments} segments", file=sys.stderr)
    print(f"{lines:,} lines of {segments} segments were read that were not counted before")
    for result, count in sorted(run.told().items(), key=lambda one: -one[1]):
        if count > before.get(result, 0):
            print(f"{count - before.get(result, 0):>12,} {result}")


def _bases(loaded: Config, place: Path, config: Path, state: Path | None) -> Bases:
    """What there is to count on; exits where there is nothing."""
    from gateway.watch.basis import DIRECTORY, BasisFiles, bases_of, recorded_in  # noqa: PLC0415

    if loaded.drift.consumer.source != "log":
        sentence = "profiles come from Kafka: a new group reads the topic from its beginning"
        raise ConfigError((Problem(sentence, "drift.consumer.source"),))
    bases = bases_of(
        loaded.drift,
        tuple(loaded.routes),
        BasisFiles(place / DIRECTORY),
        recorded=recorded_in(store_of(config, state)),
    )
    for problem in bases.problems:
        print(f"note: {problem}", file=sys.stderr)
    for route in bases.learning:
        print(
            f"note: what {route} is counted on is still to be learned from its traffic",
            file=sys.stderr,
        )
    if not bases.all:
        print("gateway: no rule of `drift` has a reference that there is", file=sys.stderr)
        raise typer.Exit(FAILED)
    return bases
