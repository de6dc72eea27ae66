"""What kind of trouble a field is in: one profile against another, once a test said "drift".

Each sign is a pure question to both profiles, asked in the order of how near it is to the
source of the data; the first that holds names the trouble, and the last one always does.

    type_changed, data_missing   a share of what is no value rose
    prediction_collapse          a prediction's spread, or entropy, is half of what it was
    unit_changed                 moments and shape are those of the reference, times a factor
    sentinel                     one value, rare before, took most of what was lost elsewhere
    out_of_range                 more is outside of all that the reference had
    new_category                 more is of categories that the reference never had
    …_drift, llm_signals         anything else

Rule: signs add no false alarms: they are asked only where a test was significant and large.
A category's name is told only where so many rows share it that it is nobody's own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from gateway.alerts.finding import Fact
from gateway.alerts.kinds import Kind
from gateway.profiles.fields import NAMED, SPECIALS, Field
from gateway.profiles.profile import Profile
from gateway.profiles.signals import where_of
from gateway.watch.scales import factor_of
from gateway.watch.sign import Sign, by_row, percent, share_of, shares
from gateway.watch.violations import ANOMALIES, violations

SHARE = 0.01  # that rose, to be worth a word
FEW = 30  # values, below which moments say nothing
RARE = 0.05  # share before of what may be a sentinel
CONCENTRATED = 0.7  # of all that was gained anywhere, in one bin
SHARED_BY = 5  # rows, of a category whose name is told
SHORT = 40  # characters, likewise
HALF = 0.5

CODES = (-1, -9, -99, -999, -9999, 9, 99, 999, 9999, 99_999, 999_999, 2**31 - 1)
WORDS = {"", "-", "-1", "?", "0", "n/a", "na", "nan", "nil", "none", "null", "unknown", "undefined"}

_NAMES = {"missing": "missing", "null": "null", "nan": "NaN"}


def is_prediction(name: str) -> bool:
    """Whether a field is what a model answered."""
    return where_of(name)[0] == "predictions" or name.startswith(("/response/body", "/confidence"))


def is_output(name: str) -> bool:
    """Whether a field comes from the model, or the way of a request, and not from who asks."""
    return where_of(name)[0] != "features"


def signs_of(then: Profile, now: Profile, broken: Sequence[str]) -> list[Sign]:
    """All that hold, the nearest to the source first; never none.

    `now` are the values since it began; `broken` the shares that a test found changed.
    """
    found: list[Sign] = []
    if then.rows and now.rows:
        if then.field.name == ANOMALIES:
            return [violations(then, now)]
        for ask in _ASKED:
            found += [sign for sign in ask(then, now) if _is_told(sign, broken)]
    return [*found, _drift(then, now)]


def _is_told(sign: Sign, broken: Sequence[str]) -> bool:
    return not sign.tests or any(test in broken for test in sign.tests)


def _type_changed(then: Profile, now: Profile) -> Iterator[Sign]:
    before, after = share_of(then, "violation"), share_of(now, "violation")
    if after - before >= SHARE:
        yield Sign(
            kind="type_changed",
            sentence=f"is of another type in {percent(after)} of rows ({percent(before)} before)",
            facts={"share": round(after, 6), "reference_share": round(before, 6)},
            tests=("violation",),
        )


def _missing(then: Profile, now: Profile) -> Iterator[Sign]:
    names = [name for name in _NAMES if share_of(now, name) - share_of(then, name) >= SHARE]
    if not names:
        return
    worst = max(names, key=lambda name: share_of(now, name) - share_of(then, name))
    before, after = share_of(then, worst), share_of(now, worst)
    yield Sign(
        kind="data_missing",
        sentence=f"is {_NAMES[worst]} in {percent(after)} of rows ({percent(before)} before)",
        facts=shares(_NAMES[worst], after, before),
        tests=tuple(names),
    )


def _unit(then: Profile, now: Profile) -> Iterator[Sign]:
    factor = 0.0 if is_output(then.field.name) else factor_of(then, now)
    if factor:
        yield Sign(
            kind="unit_changed",
            sentence=f"is {factor:.6g} times what it was: mean {now.mean:.6g}, was {then.mean:.6g}",
            facts={"factor": factor, "mean": now.mean, "reference_mean": then.mean},
        )


def _sentinel(then: Profile, now: Profile) -> Iterator[Sign]:
    if then.field.kind in NAMED:
        yield from _word(then, now)
        return
    if not then.field.is_ordered:
        return
    before, after = by_row(then), by_row(now)
    gained = after - before
    place = int(np.argmax(gained[: then.field.bins]))
    # Why less the noise: of few rows, what all bins gain by chance together is as much.
    noise = 2 * np.sqrt(before * (1 - before) * (1 / then.rows + 1 / now.rows))
    clearly = float(np.clip(gained - noise, 0.0, None).sum())
    is_one = gained[place] >= max(SHARE, CONCENTRATED * clearly)
    if not is_one or before[place] > RARE:
        return
    value = _value_in(then, now, place, float(gained[place]))
    if value is not None:
        yield _told_sentinel(value, float(after[place]), float(before[place]), ())


def _word(then: Profile, now: Profile) -> Iterator[Sign]:
    """A category that says that there is none, such as `unknown`."""
    name, share = _top_stranger(now)
    if name is not None and name.strip().lower() in WORDS and share >= SHARE:
        yield _told_sentinel(name, share, 0.0, ("unseen",))
    before, after = by_row(then), by_row(now)
    for place, name in enumerate(then.field.categories):
        is_more = after[place] - before[place] >= SHARE and before[place] <= RARE
        if is_more and name.strip().lower() in WORDS:
            yield _told_sentinel(name, float(after[place]), float(before[place]), ())


def _told_sentinel(value: Fact, after: float, before: float, tests: tuple[str, ...]) -> Sign:
    shown = repr(value) if isinstance(value, str) else f"{value:.6g}"
    return Sign(
        kind="sentinel",
        sentence=f"is {shown} in {percent(after)} of rows ({percent(before)} before)",
        facts=shares(value, after, before),
        tests=tests,
    )


def _value_in(then: Profile, now: Profile, place: int, gained: float) -> float | None:
    """The one value that a bin gained; None where it may be many."""
    field = then.field
    if place == field.zero_bin:
        return 0.0
    below = field.edges[place - 1] if place else -math.inf
    above = field.edges[place] if place < len(field.edges) else math.inf
    if above == math.nextafter(below, math.inf):
        return below
    if math.isinf(below):
        return now.low if _is_atom(then, now, now.low, gained) else None
    if math.isinf(above):
        return now.high if _is_atom(then, now, now.high, gained) else None
    if place < field.outer_bins[0] or place >= field.bins - field.outer_bins[1]:
        # Outside the reference, but within the edges of zero: bounded by what there is.
        value = now.low if place < field.outer_bins[0] else now.high
        return value if _is_atom(then, now, value, gained) else None
    codes = [code for code in CODES if below <= code < above]
    return float(codes[0]) if codes else (below + above) / 2


def _is_atom(then: Profile, now: Profile, value: float, gained: float) -> bool:
    """Whether what was gained has the mean and the spread of this one value."""
    if not math.isfinite(value) or min(then.values, now.values) < FEW:
        return False
    share = gained * now.rows / now.values
    unit, center = then.field.unit, then.field.center
    spread = then.deviation if then.deviation > 0 else unit
    place = (value - center) / unit
    first = (now.total / now.values - (1 - share) * then.total / then.values) / share
    second = (now.squares / now.values - (1 - share) * then.squares / then.values) / share
    width = spread / unit
    noise = 4 * math.sqrt(1 / then.values + 1 / now.values) / share
    near = noise * width + 0.05 * width
    if abs(first - place) > near:
        return False
    return abs(second - place**2) <= noise * 3 * width**2 + 2 * abs(place) * near


def _out_of_range(then: Profile, now: Profile) -> Iterator[Sign]:
    field = then.field
    if not field.is_ordered:
        return
    under, over = _outside(then, now)
    for special, name in (("below", "-infinity"), ("above", "infinity")):
        rise = share_of(now, special) - share_of(then, special)
        if rise >= SHARE:
            after = share_of(now, special)
            yield Sign(
                kind="out_of_range",
                sentence=f"is {name} in {percent(after)} of rows",
                facts=shares(name, after, after - rise),
                tests=(special,),
            )
    before, after = max((under, over), key=lambda one: one[1] - one[0])
    if after - before < SHARE:
        return
    side, bound, extreme = "under", field.low, now.low
    if over[1] - over[0] > under[1] - under[0]:
        side, bound, extreme = "over", field.high, now.high
    word = "below" if side == "under" else "above"
    yield Sign(
        kind="out_of_range",
        sentence=(
            f"is {word} {bound:.6g}, which the reference never was, in {percent(after)} of rows,"
            f" as far as {extreme:.6g}"
        ),
        facts=shares(extreme, after, before) | {"bound": bound},
        tests=(side,),
    )


def _outside(then: Profile, now: Profile) -> tuple[tuple[float, float], tuple[float, float]]:
    """Shares (before, after) below and above all that the reference had."""
    field = then.field
    under, over = field.outer_bins
    first = field.bins - over
    found = [
        (float(one.counts[:under].sum() / max(one.rows, 1)),
         float(one.counts[first : field.bins].sum() / max(one.rows, 1)))
        for one in (then, now)
    ]  # fmt: skip
    return (found[0][0], found[1][0]), (found[0][1], found[1][1])


def _new_category(then: Profile, now: Profile) -> Iterator[Sign]:
    if then.field.kind not in NAMED:
        return
    before, after = share_of(then, "unseen"), share_of(now, "unseen")
    if after - before < SHARE:
        return
    name, _share_of_it = _top_stranger(now)
    said = f"{len(now.unseen)} values that the reference never had"
    if name:
        said = f"`{name}`" if len(now.unseen) == 1 else f"`{name}` and others, all new,"
    yield Sign(
        kind="new_category",
        sentence=f"is {said} in {percent(after)} of rows ({percent(before)} before)",
        facts=shares(name or "", after, before) | {"new": len(now.unseen)},
        tests=("unseen",),
    )


def _top_stranger(now: Profile) -> tuple[str | None, float]:
    """The most frequent category that was never seen, where it may be told; and its share."""
    for name, count in now.strangers.items():
        if count >= SHARED_BY and len(name) <= SHORT:
            return name, count / max(now.rows, 1)
        break
    return None, 0.0


def _collapse(then: Profile, now: Profile) -> Iterator[Sign]:
    if not is_prediction(then.field.name) or min(then.values, now.values) < FEW:
        return
    before, after = entropy_of(then), entropy_of(now)
    facts: dict[str, Fact] = {"entropy": after, "reference_entropy": before}
    place = int(np.argmax(now.counts[: then.field.bins]))
    top = float(now.counts[place] / now.values)
    was = float(then.counts[place] / then.values)
    facts |= {"share": round(top, 6), "reference_share": round(was, 6)}
    if then.field.is_ordered:
        facts |= {"deviation": now.deviation, "reference_deviation": then.deviation}
        is_narrow = now.deviation <= HALF * then.deviation
        if is_narrow and after < before:
            yield Sign(
                kind="prediction_collapse",
                sentence=(
                    f"crowds together: standard deviation {now.deviation:.4g},"
                    f" was {then.deviation:.4g}; mean {now.mean:.4g}, was {then.mean:.4g}"
                ),
                facts=facts,
            )
            return
    if after <= HALF * before or (top >= 0.9 and top - was >= 0.2):
        value = _bin_name(then.field, place)
        yield Sign(
            kind="prediction_collapse",
            sentence=f"is {value} in {percent(top)} of answers ({percent(was)} before)",
            facts=facts | {"value": value},
        )


def entropy_of(profile: Profile) -> float:
    """Of the shares of bins, in bits."""
    counts = profile.counts[: profile.field.bins]
    share = counts[counts > 0] / max(int(counts.sum()), 1)
    return float(max(-(share * np.log2(share)).sum(), 0.0))


def _bin_name(field: Field, place: int) -> str:
    if field.kind in NAMED:
        return f"`{field.categories[place]}`"
    below = f"{field.edges[place - 1]:.4g}" if place else "-∞"
    above = f"{field.edges[place]:.4g}" if place < len(field.edges) else "∞"
    return f"in [{below}, {above})"


def _drift(then: Profile, now: Profile) -> Sign:
    name = then.field.name
    kind: Kind = "feature_drift"
    if is_prediction(name):
        kind = "prediction_drift"
    elif is_output(name):
        kind = "llm_signals"
    return Sign(kind=kind, sentence=_moved(then, now), facts=_means(then, now))


def _moved(then: Profile, now: Profile) -> str:
    if not (then.rows and now.rows):
        return "is distributed otherwise"
    if then.field.is_ordered and min(then.values, now.values) >= 2:
        return (
            f"has mean {now.mean:.4g}, was {then.mean:.4g};"
            f" standard deviation {now.deviation:.4g}, was {then.deviation:.4g}"
        )
    if then.field.kind not in NAMED:
        return "is distributed otherwise"
    gained = by_row(now) - by_row(then)
    place = int(np.argmax(np.abs(gained)))
    bins = then.field.bins
    named = f"`{then.field.categories[place]}`" if place < bins else SPECIALS[place - bins]
    after, before = by_row(now)[place], by_row(then)[place]
    return f"is {named} in {percent(after)} of rows, was {percent(before)}"


def _means(then: Profile, now: Profile) -> dict[str, Fact]:
    if not then.field.is_ordered or min(then.values, now.values) < 2:
        return {}
    return {
        "mean": now.mean,
        "reference_mean": then.mean,
        "deviation": now.deviation,
        "reference_deviation": then.deviation,
    }


_ASKED: tuple[Callable[[Profile, Profile], Iterator[Sign]], ...] = (
    _type_changed,
    _missing,
    _collapse,
    _unit,
    _sentinel,
    _out_of_range,
    _new_category,
)
