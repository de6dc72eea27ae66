"""One compiled pass says what the formulas say."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from gateway._fast import Pooling, Shares, Shifts, adjusted_into
from gateway.drift.battery import OF_QUALITIES, Battery
from gateway.drift.groups import Counts, Group, Numbers, joined, running_of
from gateway.drift.qualities import QUALITIES, _quality_cells
from gateway.drift.verdict import LEAST, NUMERIC
from gateway.profiles.profile import Profile
from gateway.profiles.reference import from_arrays
from gateway.statistics import distances, families

Floats = NDArray[np.float64]


def columns_of(rng: np.random.Generator, n: int, shift: float) -> dict[str, Floats]:
    """Numbers of several shapes, with zeros, holes and few values among them."""
    holes = rng.normal(shift, 1, n)
    holes[rng.random(n) < 0.1] = np.nan
    some = rng.lognormal(shift, 2, n)
    some[rng.random(n) < 0.2 + shift / 5] = 0.0
    return {
        "plain": rng.normal(shift, 1 + shift, n),
        "holes": holes,
        "skewed": some,
        "few": rng.integers(0, 4, n) + 0.0,
        "constant": np.full(n, 7.0),
        "heavy": rng.standard_t(2, n) - shift,
    }


def both(n: int, m: int, shift: float, seed: int) -> tuple[list[Profile], list[Profile]]:
    """Profiles of a reference, and of current values."""
    rng = np.random.default_rng(seed)
    reference = from_arrays(columns_of(rng, n, 0.0))
    then = list(reference.profiles.values())
    now = [Profile(one.field) for one in then]
    for profile, values in zip(now, columns_of(rng, m, shift).values(), strict=True):
        profile.update(values)
    return then, now


@pytest.mark.parametrize("shift", [0.0, 0.3, 3.0])
@pytest.mark.parametrize(
    "n, m", [(5000, 3000), (5000, 60), (40, 3000), (12, 11), (5000, 3), (90, 0)]
)
def test_one_pass_says_what_the_formulas_say(n: int, m: int, shift: float) -> None:
    then, now = both(n, m, shift, n + m)
    counts = joined(now)
    told = Numbers(then).look(counts, now, LEAST)
    wanted = Group(then, NUMERIC).look(counts, now, LEAST)
    assert set(told.tests) == set(wanted.tests)
    for test in NUMERIC:
        for mine, theirs in zip(told.tests[test], wanted.tests[test], strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-7, atol=1e-12, err_msg=test)
    np.testing.assert_allclose(told.p, wanted.p, rtol=1e-7, atol=1e-300)
    np.testing.assert_allclose(told.each, wanted.each, rtol=1e-7)
    assert np.array_equal(told.m, wanted.m)


def shares(counts: Counts, profiles: Sequence[Profile]) -> tuple[Floats, Floats]:
    begins, ends, outside = _quality_cells(profiles)
    running = running_of(counts)
    held = np.subtract(running[ends], running[begins], dtype=np.float64)
    held[:, -2:] -= held[:, -3:-2] * outside
    return held, np.array([[float(one.rows)] for one in profiles])


@pytest.mark.parametrize("shift", [0.0, 3.0])
@pytest.mark.parametrize("n, m", [(5000, 3000), (5000, 60), (40, 3000)])
def test_shares_are_tested_by_the_exact_formula(n: int, m: int, shift: float) -> None:
    then, now = both(n, m, shift, n * m)
    before, rows = shares(joined(then), then)
    after, current = shares(joined(now), now)
    has_any = before + after > 0
    p = np.ones(before.shape)
    p[has_any] = distances.share_p(
        after[has_any],
        np.broadcast_to(current, after.shape)[has_any],
        before[has_any],
        np.broadcast_to(rows, after.shape)[has_any],
    )
    # What is there by construction counts also where it is empty.
    always = ["zero", "under", "over"]
    begins, ends, _ = _quality_cells(then)
    is_test = has_any.copy()
    is_test[:, -3:] |= (ends > begins)[:, [QUALITIES.index(name) for name in always]]
    whole = np.ones(p.shape)
    whole[is_test] = families.adjusted(p[is_test])
    found = Battery({one.field.name: one for one in then}).look(
        {one.field.name: one for one in now}, 1 / OF_QUALITIES
    )
    told = {(one.field, one.test): one for one in found.qualities}
    names = [one.field.name for one in then]
    assert set(told) == {(names[at], QUALITIES[test]) for at, test in np.argwhere(has_any)}
    for (field, test), one in told.items():
        at = names.index(field), QUALITIES.index(test)
        assert one.p == pytest.approx(p[at], rel=1e-9, abs=1e-300)
        assert one.adjusted == pytest.approx(whole[at], rel=1e-9, abs=1e-300)
        assert one.statistic == after[at] / one.current
        assert one.effect == pytest.approx(abs(after[at] / m - before[at] / n), abs=1e-15)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40), st.integers(0, 50), st.booleans())
def test_p_values_are_adjusted_by_the_same_rule(p: list[float], more: int, dependent: bool) -> None:
    given_p = np.array(p)
    count = len(p) + more
    factor = float(np.sum(1 / np.arange(1, count + 1))) if dependent else 1.0
    out = np.empty(len(p))
    adjusted_into(out, given_p, count, factor)
    wanted = families.adjusted(np.append(given_p, np.ones(more)), dependent=dependent)
    np.testing.assert_allclose(out, wanted[: len(p)], rtol=1e-12)
    weights = np.linspace(0.5, 2.0, len(p))
    adjusted_into(out, given_p, len(p), 1.0, weights)
    weighted = families.adjusted(np.minimum(given_p * weights, 1.0))
    np.testing.assert_allclose(out, np.maximum(weighted, given_p), rtol=1e-12)


def test_what_does_not_fit_is_refused() -> None:
    one = np.zeros(2, np.intp)
    square, wide = np.zeros((2, 2)), np.zeros((2, 3))
    cells = np.zeros((2, 2), np.intp)
    with pytest.raises(ValueError, match="figures of each field"):
        Shifts(one, one, one, square, square, square)
    with pytest.raises(ValueError, match="its width"):
        Shifts(one, one, one, square, wide, np.zeros((7, 2)))
    with pytest.raises(ValueError, match="its edge"):
        Shifts(one, one + 3, one, square, square, np.zeros((7, 2)))
    with pytest.raises(ValueError, match="a column a pool"):
        Pooling(cells, cells, one, square, wide, np.zeros(2), np.zeros((3, 2)))
    with pytest.raises(ValueError, match="a voice a test"):
        Pooling(cells, cells, one, square, square, np.zeros(2), square)
    with pytest.raises(ValueError, match="pools as it says"):
        Pooling(cells, cells, one + 5, square, square, np.zeros(2), np.zeros((3, 2)))
    with pytest.raises(ValueError, match="kinds of cells"):
        Shares(one, one, cells, cells, one, wide, np.zeros(2))
    with pytest.raises(ValueError, match="cells, and had rows"):
        Shares(one, one, cells, cells, one, square, np.zeros(3))
    with pytest.raises(ValueError, match="a place for each"):
        adjusted_into(np.empty(1), np.zeros(2), 2, 1.0)
    with pytest.raises(ValueError, match="has a weight"):
        adjusted_into(np.empty(2), np.zeros(2), 2, 1.0, np.zeros(3))


def test_counts_of_other_fields_are_refused() -> None:
    then, now = both(100, 100, 0.0, 1)
    numbers = Numbers(then)
    with pytest.raises(ValueError, match="other fields"):
        numbers.look(joined(now)[:-1], now, LEAST)
