"""Weeks of customers: more by day than by night, other ones at the weekend, no two hours alike.

fraud   amount, age, country follow the hour and the day; channel does not; a score follows all
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec
import numpy as np

from tests.profiles.samples import at
from tests.watch.world import COUNTRIES

HOUR = 60  # minutes
DAY = 24 * HOUR
WEEK = 7 * DAY
A_MONDAY = 4 * DAY  # 1970 began on a Thursday
MINUTES = 4  # of each hour in which requests come
CHANNELS = ("web", "app", "shop")

Columns = dict[str, Any]  # by name, a list or array each
Befall = Callable[[Columns, int, np.random.Generator], None]  # columns of an hour, its minute


def day_of(minute: int) -> float:
    """0 at night, 1 in the afternoon."""
    return 0.5 + 0.5 * math.sin(2 * math.pi * (minute // HOUR % 24 - 8) / 24)


def is_weekend(minute: int) -> bool:
    return (minute - A_MONDAY) % WEEK >= 5 * DAY


def season(minute: int, rng: np.random.Generator, *, night: int, day: int) -> Columns:
    """An hour's requests; `night` and `day` are how many there are at least, and more by day."""
    light, is_free = day_of(minute), is_weekend(minute)
    usual = night + day * light * (0.6 if is_free else 1.0)
    # Why: no two weeks are alike; each hour's number and mean is a little off.
    rows = int(rng.poisson(usual * rng.lognormal(0.0, 0.05)))
    off = rng.normal(0, 0.02)
    abroad = 0.1 + 0.15 * (1 - light) + (0.1 if is_free else 0.0)
    amount = rng.lognormal(3.0 + 0.4 * light + 0.2 * is_free + off, 0.6, rows)
    age = rng.normal(45.0 - 8 * (1 - light), 12.0, rows)
    risk = 0.02 * (amount - 30) + 0.03 * (age - 45) + rng.normal(0, 1, rows)
    return {
        "amount": amount.round(2),
        "age": age.round(1),
        "country": rng.choice(COUNTRIES, rows, p=(0.9 - abroad, 0.06, 0.04, abroad)),
        "channel": rng.choice(CHANNELS, rows, p=(0.5, 0.4, 0.1)),
        "score": (1 / (1 + np.exp(-risk))).round(6),
    }


class Seasons:
    """Lines of a route, one stream, hour after hour."""

    def __init__(
        self,
        route: str,
        *,
        night: int,
        day: int,
        seed: int,
        arm: str = "champion",
        befall: Befall | None = None,
    ) -> None:
        self._rng, self._befall = np.random.default_rng(seed), befall
        self._night, self._day, self._seq = night, day, 0
        self._same: Mapping[str, Any] = {
            "v": 1,
            "stream": f"{route}-{arm}",
            "kind": "prediction",
            "outcome": "ok",
            "route": route,
            "version": "7" if arm == "champion" else "8",
            "decisions": [{"arm": arm}],
        }
        self.stream = f"{route}-{arm}"

    def hour(self, minute: int) -> list[bytes]:
        columns = season(minute, self._rng, night=self._night, day=self._day)
        if self._befall is not None:
            self._befall(columns, minute, self._rng)
        return list(self._lines({name: list(each) for name, each in columns.items()}, minute))

    def _lines(self, columns: Mapping[str, list[Any]], minute: int) -> Iterator[bytes]:
        rows = len(columns["score"])
        names = [name for name in columns if name != "score"]
        for row in range(rows):
            self._seq += 1
            # Why together: a minute costs what it costs, however little is in it.
            part, share = divmod(MINUTES * row / rows, 1.0)
            more = {
                "id": f"{self.stream}.{self._seq}",
                "request_id": f"{self.stream}.{self._seq}",
                "seq": self._seq,
                "time": at(minute + HOUR // MINUTES * int(part), 59.0 * share),
                "features": {name: _plain(columns[name][row]) for name in names},
                "predictions": {"score": float(columns["score"][row])},
            }
            yield msgspec.json.encode({**self._same, **more})


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
