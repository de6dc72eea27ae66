"""Violations of a route's contract, as records name them, as a sign of trouble."""

from __future__ import annotations

from collections import Counter

from gateway.alerts.kinds import Kind
from gateway.profiles.profile import Profile
from gateway.watch.sign import Sign, by_row, percent, share_of, shares

ANOMALIES = "/anomalies/0"  # the first of a record stands for all of it


def violations(then: Profile, now: Profile) -> Sign:
    """Violations of the route's contract: named, and of the kind that they are."""
    gained = Counter[tuple[str, str]]()
    for name, count in now.strangers.items():
        gained[_named(name)] += count
    gains = by_row(now) - by_row(then)
    for name, share in zip(then.field.categories, gains.tolist(), strict=False):
        gained[_named(name)] += round(share * now.rows)
    (anomaly, where), _count = max(gained.items(), key=lambda one: one[1], default=(("", ""), 0))
    before, after = 1 - share_of(then, "missing"), 1 - share_of(now, "missing")
    kind = next((kind for part, kind in _ANOMALY_KINDS.items() if part in anomaly), None)
    shown = f", most often {anomaly} of `{where}`" if anomaly else ""
    return Sign(
        kind=kind or "feature_drift",
        sentence=(
            f"has violations of the contract in {percent(after)} of records"
            f" ({percent(before)} before){shown}"
        ),
        facts=shares(anomaly, after, before) | {"place": where},
    )


def _named(anomaly: str) -> tuple[str, str]:
    """(what it is, of which field) of `input:NAME:/pointer`."""
    _side, _, rest = anomaly.partition(":")
    name, _, pointer = rest.partition(":")
    tokens = [token for token in pointer.split("/") if token and not token.isdecimal()]
    return name, "/".join(tokens[-2:])


# By a part of their names, the first that fits.
_ANOMALY_KINDS: dict[str, Kind] = {
    "MISSING_COLUMN": "data_missing",
    "FRACTION_PRESENT": "data_missing",
    "NO_VALUES": "data_missing",
    "UNEXPECTED_STRING_VALUES": "new_category",
    "_SMALL_": "out_of_range",
    "_BIG_": "out_of_range",
    "HAS_INF": "out_of_range",
    "TYPE_NOT_FLOAT": "type_changed",
    "INT_EXPECTED": "type_changed",
    "TYPE_NOW_": "type_changed",
    "BOOL_TYPE": "type_changed",
    "DATA_TYPE": "type_changed",
}
