"""Traffic of a route that scores payments, as lines of the log, and what can befall it.

fraud   amount (lognormal), age (normal), country (of four); a score that follows both
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from msgspec.structs import replace

from gateway.alerts.book import Book
from gateway.config.units import Duration
from gateway.config.watching import Drift, DriftReference, DriftRule
from gateway.profiles.recorded import from_lines
from gateway.profiles.reference import Reference
from gateway.watch.basis import Bases, Basis
from gateway.watch.looks import Looker
from gateway.watch.tally import Tally
from gateway.watch.view import Counted
from tests.profiles.samples import at

MINUTE_NS = 60 * 10**9
START = 29_379_000  # minute: where current traffic begins
COUNTRIES = ("DE", "FR", "IT", "ES")
LATENESS = 10

Columns = dict[str, Any]  # by name, an array or list each
Befall = Callable[[Columns, int, np.random.Generator], None]  # columns of a minute, and which


def columns_of(rng: np.random.Generator, rows: int) -> Columns:
    amount = rng.lognormal(3.0, 0.6, rows)
    age = rng.normal(45.0, 12.0, rows)
    score = 1 / (1 + np.exp(-(0.02 * (amount - 20) + 0.03 * (age - 45) + rng.normal(0, 1, rows))))
    return {
        "amount": amount.round(2).tolist(),
        "age": age.round(1).tolist(),
        "country": rng.choice(COUNTRIES, rows, p=(0.5, 0.3, 0.15, 0.05)).tolist(),
        "score": score.round(6).tolist(),
    }


class Traffic:
    """Lines, one stream, minute after minute."""

    def __init__(self, *, rows: int = 120, seed: int = 7, befall: Befall | None = None) -> None:
        self._rng, self._rows, self._befall = np.random.default_rng(seed), rows, befall
        self._seq = 0

    def minute(self, minute: int, **more: Any) -> list[bytes]:
        columns = columns_of(self._rng, self._rows)
        if self._befall is not None:
            self._befall(columns, minute, self._rng)
        return list(self._lines(columns, minute, more))

    def _lines(self, columns: Columns, minute: int, more: Mapping[str, Any]) -> Iterator[bytes]:
        for row in range(self._rows):
            features = {
                name: columns[name][row]
                for name in ("amount", "age", "country")
                if columns[name][row] is not ...
            }
            self._seq += 1
            yield json.dumps(
                {
                    "v": 1,
                    "id": f"r-{self._seq}",
                    "stream": "s",
                    "seq": self._seq,
                    "time": at(minute, 60.0 * row / self._rows),
                    "kind": "prediction",
                    "outcome": "ok",
                    "route": "fraud",
                    "version": "7",
                    "response": {"body": {"score": columns["score"][row]}},
                    "features": features,
                    **more,
                },
                separators=(",", ":"),
            ).encode()


SCORE = "/response/body/score"


def trained(rows: int = 12_000) -> Reference:
    """What training had: of the same world."""
    traffic = Traffic(rows=rows, seed=1)
    kinds = {SCORE: "score"}
    return from_lines(traffic.minute(START - 100_000), "fraud", kinds=kinds, signals=())  # type: ignore[arg-type]


def rule(**fields: Any) -> DriftRule:
    usual = {
        "reference": "train",
        "every": Duration(5 * MINUTE_NS),
        "window": Duration(60 * MINUTE_NS),
    }
    return replace(DriftRule(), **usual | fields)


def drift_of(reference: DriftReference | None = None, **rules: DriftRule) -> Drift:
    train = reference or DriftReference(kind="training", file="train.csv")
    return Drift(references={"train": train}, rules=rules or {"inputs": rule()})


def bases_of(drift: Drift, reference: Reference) -> Bases:
    basis = Basis(name=reference.hash, route="fraud", origin="training", reference=reference)
    return Bases(all=(basis,), of_rule={(name, "fraud"): basis for name in drift.rules})


class Watch:
    """Lines in, alerts out: tally, looker and book, with the clock of the lines."""

    def __init__(self, drift: Drift, reference: Reference, examples: Any = None) -> None:
        self.drift, self.book = drift, Book()
        self.bases = bases_of(drift, reference)
        self.tally = Tally(self.bases.all, lateness=LATENESS)
        self.looker = Looker(drift, self.bases, examples=examples)
        self.looks: list[Any] = []

    @property
    def view(self) -> Counted:
        return Counted(self.tally.values, lambda: self.tally.newest - LATENESS)

    def take(self, minute: int, lines: list[bytes]) -> None:
        self.tally.count(b"\n".join([*lines, b""]), minute)
        self.tally.drain()
        for look in self.looker.looks(self.view):
            self.looks.append(look)
            self.book.take(look, self.drift.rules[look.rule], self.drift.alerts.group)

    def run(self, traffic: Traffic, minutes: int, first: int = START, **more: Any) -> None:
        for minute in range(first, first + minutes):
            self.take(minute, traffic.minute(minute, **more))
