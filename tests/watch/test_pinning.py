"""Which lines of a stretch are drawn for its reference."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from gateway.watch.basis import Pin
from gateway.watch.group.pinning import Draw
from tests.profiles.samples import MINUTE
from tests.watch.lines import placed

pytest.importorskip("aiokafka")

PIN = Pin(
    name="it",
    reference="then",
    route="iris",
    since=datetime.fromtimestamp(MINUTE * 60, UTC),
    until=datetime.fromtimestamp((MINUTE + 10) * 60, UTC),
)


def line(seq: int, minute: int = MINUTE, **more: object) -> bytes:
    return placed({"x": 1.0}, seq=seq, minute=minute, **more).rstrip(b"\n")


def test_lines_of_the_route_and_the_stretch_are_drawn_once_each() -> None:
    draw = Draw(PIN)
    meant = [line(1), line(2, MINUTE + 9)]
    strange = [
        line(3, MINUTE - 1),
        line(4, MINUTE + 10),
        line(5, route="other"),
        line(6, kind="shadow"),
        line(7, time="yesterday"),
        b"{",
        b"",
    ]
    for each in [*reversed(meant), *strange, *meant]:
        draw.add(each)
    assert draw.lines() == meant


def test_of_many_lines_a_draw_is_spread_over_the_stretch_and_does_not_depend_on_their_order() -> (
    None
):
    lines = [line(seq, MINUTE + seq // 100) for seq in range(1000)]
    drawn = []
    for seed in (1, 2):
        draw = Draw(PIN, most=200)
        for at in np.random.default_rng(seed).permutation(1000):
            draw.add(lines[at])
        drawn.append(draw.lines())
    assert drawn[0] == drawn[1]
    assert len(drawn[0]) == 200
    halves = sum(each in set(lines[:500]) for each in drawn[0])
    assert 70 <= halves <= 130


def test_draw_is_bounded_in_bytes() -> None:
    draw = Draw(PIN, most_bytes=10 * len(line(100)))
    for seq in range(100, 200):
        draw.add(line(seq))
    assert len(draw.lines()) == 10
