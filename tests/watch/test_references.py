"""What is compared with what: versions and arms apart, like with like."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec
import numpy as np
import pytest

from gateway.profiles.profile import Profile
from gateway.profiles.reference import from_arrays
from gateway.profiles.slices import Source
from gateway.watch.basis import Basis
from gateway.watch.changes import HOUR, Key, encoded
from gateway.watch.references import WEEK, Pair, Span, Unit, pairs_of
from gateway.watch.view import Counted

NOW = 29_379_000 - 29_379_000 % HOUR
SPAN = Span(NOW, NOW + HOUR)
NAMES = ("amount", "prediction.score", "/usage/output_tokens")
RNG = np.random.default_rng(2)
REFERENCE = from_arrays({name: RNG.normal(size=500) for name in NAMES})
BASIS = Basis(name=REFERENCE.hash, route="r", origin="training", reference=REFERENCE)

Rows = Mapping[tuple[str, str, int], int]  # version, arm, minute: how many


def view_of(rows: Rows) -> Counted:
    values = {}
    for (version, arm, minute), count in rows.items():
        slot = {name: Profile(then.field) for name, then in REFERENCE.profiles.items()}
        for profile in slot.values():
            profile.update(RNG.normal(size=count))
        values[Key(BASIS.name, Source("r", version, arm), minute, HOUR)] = encoded(slot)
    return Counted(values, lambda: NOW + HOUR)


def judged(rows: Rows, kind: str) -> dict[Unit, Pair]:
    found = pairs_of(view_of(rows), BASIS, kind, NAMES, SPAN, 50)
    return {pair.unit: pair for pair in found.judged}


def test_champion_and_no_rollout_are_one_arm() -> None:
    found = judged({("7", "", NOW): 60, ("7", "champion", NOW): 40}, "training")
    assert list(found) == [Unit("7", "champion")]
    assert found["7", "champion"].now["amount"].rows == 100  # type: ignore[index]


def test_shadows_and_challengers_are_units_of_their_own() -> None:
    rows = {("7", "", NOW): 60, ("8", "challenger", NOW): 60, ("9", "shadow", NOW): 60}
    assert set(judged(rows, "training")) == {
        Unit("7", "champion"),
        Unit("8", "challenger"),
        Unit("9", "shadow"),
    }
    champion = judged(rows, "champion")
    assert set(champion) == {Unit("8", "challenger"), Unit("9", "shadow")}
    assert champion[Unit("9", "shadow")].then["amount"].rows == 60


@pytest.mark.parametrize("kind", ["training", "last_week", "champion", "before"])
def test_few_rows_are_not_judged(kind: str) -> None:
    rows = {
        ("7", "", NOW): 60,
        ("7", "", NOW - WEEK): 60,
        ("8", "challenger", NOW): 49,
    }
    found = pairs_of(view_of(rows), BASIS, kind, NAMES, SPAN, 50)
    assert "8" in found.unjudged
    assert Unit("8", "challenger") not in [pair.unit for pair in found.judged]


def test_before_is_what_came_before_of_the_same_version() -> None:
    rows = {
        ("7", "", NOW): 60,
        ("7", "", NOW - HOUR): 60,
        ("7", "challenger", NOW - 3 * HOUR): 50,
        ("8", "", NOW - HOUR): 90,
        ("7", "", NOW - 30 * HOUR): 900,  # longer ago than a day
    }
    pair = judged(rows, "before")[Unit("7", "champion")]
    assert pair.then["amount"].rows == 110
    assert pair.then_span == Span(NOW - 24 * HOUR, NOW)


def ended(minute: int) -> Basis:
    moment = datetime.fromtimestamp(minute * 60, UTC).isoformat()
    reference = msgspec.structs.replace(REFERENCE, ended=moment)
    return Basis(name=BASIS.name, route="r", origin="learned", reference=reference)


def test_rows_that_fields_were_learned_of_came_before() -> None:
    """Their inputs: whose answers they had is not known."""
    view = view_of({("7", "", NOW): 60, ("7", "", NOW - HOUR): 60})
    learned = pairs_of(view, ended(NOW - HOUR - 1), "before", NAMES, SPAN, 50).judged[0].then
    assert {name: one.rows for name, one in learned.items()} == {
        "amount": 560,
        "prediction.score": 60,
        "/usage/output_tokens": 60,
    }
    assert REFERENCE.profiles["amount"].rows == 500
    counted = pairs_of(view, ended(NOW - HOUR + 5), "before", NAMES, SPAN, 50).judged[0].then
    assert counted["amount"].rows == 60  # a backfill counted them
    old = pairs_of(view, ended(NOW - 25 * HOUR), "before", NAMES, SPAN, 50).judged[0].then
    assert old["amount"].rows == 60


def test_last_week_is_that_of_the_same_version_in_any_arm() -> None:
    rows = {
        ("8", "", NOW): 60,
        ("8", "challenger", NOW - WEEK): 55,
        ("7", "", NOW - WEEK): 500,
    }
    pair = judged(rows, "last_week")[Unit("8", "champion")]
    assert {profile.rows for profile in pair.then.values()} == {55}
    assert pair.then_span == Span(NOW - WEEK, NOW - WEEK + HOUR)


def test_inputs_of_a_new_version_are_compared_with_the_route_and_its_answers_with_none() -> None:
    rows = {("8", "", NOW): 60, ("7", "", NOW - WEEK): 70, ("7", "shadow", NOW - WEEK): 500}
    pair = judged(rows, "last_week")[Unit("8", "champion")]
    assert {name: profile.rows for name, profile in pair.then.items()} == {"amount": 70}
    assert set(pair.now) == {"amount"}


def test_without_a_week_of_data_nothing_is_judged() -> None:
    found = pairs_of(view_of({("8", "", NOW): 60}), BASIS, "last_week", NAMES, SPAN, 50)
    assert not found.judged
    assert found.unjudged == ("8",)
