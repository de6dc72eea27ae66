"""A quiet week of seasonal traffic raises nothing; chance alone is seldom believed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gateway.alerts.book import Book
from gateway.config.units import Duration
from gateway.config.watching import Drift, DriftReference, DriftRule
from gateway.profiles.profile import Profile
from gateway.profiles.reference import Reference, from_arrays
from gateway.profiles.slices import Source
from gateway.watch.basis import Bases, Basis
from gateway.watch.changes import HOUR, Key, encoded
from gateway.watch.looks import Looker
from gateway.watch.view import Counted
from tests.watch import seasons
from tests.watch.seasons import A_MONDAY, WEEK
from tests.watch.world import COUNTRIES, MINUTE_NS

MONDAY = 29_379_000 - 29_379_000 % WEEK + A_MONDAY
HOUR_NS = 60 * MINUTE_NS
Columns = dict[str, Any]


def season(minute: int, rng: np.random.Generator) -> Columns:
    """An hour of customers."""
    columns = seasons.season(minute, rng, night=200, day=1800)
    return {name: columns[name] for name in ("amount", "age")} | {
        "country": columns["country"].tolist()
    }


class Weeks:
    """Hours of traffic as slices, and looks at them."""

    def __init__(self, hours: int, *sources: Source, seed: int = 11) -> None:
        rng = np.random.default_rng(seed)
        trained = [season(MONDAY - WEEK + at * HOUR, rng) for at in range(168)]
        self.reference = from_arrays(
            {
                name: np.concatenate([np.array(each[name]) for each in trained])
                for name in ("amount", "age", "country")
            }
        )
        self.basis = Basis(
            name=self.reference.hash, route="fraud", origin="training", reference=self.reference
        )
        self.values = {
            Key(self.basis.name, source, MONDAY + at * HOUR, HOUR): encoded(
                slot_of(self.reference, season(MONDAY + at * HOUR, rng))
            )
            for at in range(hours)
            for source in sources
        }
        self.end = MONDAY + hours * HOUR

    def watched(self, kind: str, window_h: int = 1) -> tuple[Book, int]:
        """The alerts of a rule over all of it, and how many looks it made."""
        rule = DriftRule(
            reference="it", every=Duration(HOUR_NS), window=Duration(window_h * HOUR_NS)
        )
        drift = Drift(
            references={"it": DriftReference(kind=kind)},  # type: ignore[arg-type]
            rules={"watch": rule},
        )
        bases = Bases(all=(self.basis,), of_rule={("watch", "fraud"): self.basis})
        book, looks = Book(), 0
        for look in Looker(drift, bases).looks(Counted(self.values, lambda: self.end)):
            book.take(look, rule, drift.alerts.group)
            looks += 1
        return book, looks


def slot_of(reference: Reference, columns: Columns) -> dict[str, Profile]:
    slot = {}
    for name, then in reference.profiles.items():
        slot[name] = Profile(then.field)
        slot[name].update(columns[name])
    return slot


HERE = Source("fraud", "7", "")
THERE = Source("fraud", "8", "challenger")


@pytest.fixture(scope="module")
def weeks() -> Weeks:
    return Weeks(2 * 168, HERE)


def test_quiet_week_raises_nothing_against_the_week_before(weeks: Weeks) -> None:
    book, looks = weeks.watched("last_week")
    assert looks == 168
    assert not book.alerts
    assert not book.symptoms


def test_quiet_days_raise_nothing_against_the_champion() -> None:
    book, looks = Weeks(72, HERE, THERE).watched("champion")
    assert looks == 72
    assert not book.alerts


def test_training_data_know_no_seasons_and_hours_are_unlike_them(weeks: Weeks) -> None:
    """Why docs/drift.md says: against training data, windows of whole days; or last_week."""
    book, _looks = weeks.watched("training")
    assert book.alerts


def looked(draws: int, rows: int, days: float) -> float:
    """How often a look at chance alone finds something, of a rule that may be wrong that often."""
    rng, found = np.random.default_rng(5), 0
    rule = DriftRule(reference="it", every=Duration(HOUR_NS), window=Duration(HOUR_NS),
                     effect=0.0, false_alarm_days=days)  # fmt: skip
    drift = Drift(references={"it": DriftReference(kind="pinned")}, rules={"watch": rule})
    for _ in range(draws):
        reference = from_arrays(chance(rng, 5_000))
        basis = Basis(name="it", route="fraud", origin="pinned", reference=reference)
        bases = Bases(all=(basis,), of_rule={("watch", "fraud"): basis})
        slot = slot_of(reference, chance(rng, rows))
        view = Counted({Key("it", HERE, MONDAY, HOUR): encoded(slot)}, lambda: MONDAY + HOUR)
        (look,) = Looker(drift, bases).looks(view)
        found += bool(look.findings)
    return found / draws


def chance(rng: np.random.Generator, rows: int) -> Columns:
    columns: Columns = {f"x{at}": rng.normal(size=rows) for at in range(4)}
    columns |= {f"y{at}": rng.lognormal(size=rows) for at in range(2)}
    columns["kind"] = rng.choice(COUNTRIES, rows).tolist()
    return columns


@pytest.mark.parametrize("rows", [200, 2_000])
def test_looks_at_chance_alone_are_false_as_seldom_as_the_rule_says(rows: int) -> None:
    """Of 40 looks that may each be false with 5%, whatever the effect: seldom more than 6 are."""
    assert looked(40, rows, days=1 / 24 / 0.05) <= 6 / 40
