"""Boundaries against published tables, simulation and the law they are made from."""

import math

import numpy as np
import pytest
from scipy import stats

from gateway.statistics.sequential_groups import (
    Spending,
    boundaries,
    continuous_boundary,
    crossing,
    obrien_fleming,
    pocock,
)

FIFTHS = [0.2, 0.4, 0.6, 0.8, 1.0]


@pytest.mark.parametrize(
    "looks, expected",
    [
        # Lan and DeMets' O'Brien-Fleming boundaries at one-sided 0.025, as in the programs
        # of Reboussin, DeMets, Kim and Lan (2000) and the textbooks that print them.
        (1, [1.9600]),
        (2, [2.9626, 1.9686]),
        (3, [3.7103, 2.5114, 1.9930]),
        (4, [4.3326, 2.9631, 2.3590, 2.0141]),
        (5, [4.8769, 3.3569, 2.6803, 2.2898, 2.0310]),
    ],
)
def test_boundaries_are_the_published_ones(looks: int, expected: list[float]) -> None:
    found = boundaries([(k + 1) / looks for k in range(looks)], 0.025)
    assert found == pytest.approx(expected, abs=3e-4)


def test_pocock_spending_is_nearly_flat() -> None:
    found = boundaries(FIFTHS, 0.025, spending=pocock)
    assert found == pytest.approx([2.4380, 2.4268, 2.4101, 2.3966, 2.3859], abs=3e-3)


@pytest.mark.parametrize(
    "bounds",
    [[2.413] * 5, [2.040 / math.sqrt(part) for part in FIFTHS]],
    ids=["Pocock 1977", "O'Brien and Fleming 1979"],
)
def test_classical_bounds_spend_what_they_say(bounds: list[float]) -> None:
    assert sum(crossing(FIFTHS, bounds)) == pytest.approx(0.025, abs=1e-4)


@pytest.mark.parametrize("spending", [obrien_fleming, pocock])
@pytest.mark.parametrize("parts", [[0.1, 0.5, 0.55, 1.0], [0.3, 0.9], [0.5, 1.0, 1.2]])
def test_each_look_spends_its_part(spending: Spending, parts: list[float]) -> None:
    bounds = boundaries(parts, 0.05, spending=spending)
    spent = np.cumsum(crossing(parts, bounds))
    assert spent == pytest.approx([spending(part, 0.05) for part in parts], abs=1e-6)


def test_look_after_the_plan_cannot_reject() -> None:
    assert boundaries([0.5, 1.0, 1.2], 0.05)[2] == math.inf


def test_look_too_early_to_spend_anything_cannot_reject() -> None:
    found = boundaries([0.01, 1.0], 0.05)
    assert found[0] == math.inf
    assert found[1] == pytest.approx(stats.norm.isf(0.05), abs=1e-3)


def test_power_is_that_of_a_simulation() -> None:
    drift, bounds = 3.0, boundaries(FIFTHS, 0.025)
    expected = sum(crossing(FIFTHS, bounds, drift=drift))
    steps = np.random.default_rng(1).normal(drift * 0.2, math.sqrt(0.2), (20_000, 5))
    z = np.cumsum(steps, axis=1) / np.sqrt(FIFTHS)
    rejected = np.mean(np.any(z >= np.array(bounds), axis=1))
    assert rejected == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("looks", [5, 50])
def test_continuous_boundary_spends_less_than_alpha_at_any_number_of_looks(looks: int) -> None:
    parts = [(k + 1) / looks for k in range(looks)]
    spent = sum(crossing(parts, [continuous_boundary(part, 0.05) for part in parts]))
    assert 0.03 < spent < 0.05


def test_plan_that_is_over_spends_nothing_more() -> None:
    parts = [(k + 1) / 50 for k in range(150)]
    bounds = [continuous_boundary(part, 0.05) for part in parts]
    assert sum(crossing(parts, bounds)) < 0.05
    assert bounds[51] == bounds[49] < bounds[48]  # the last look, somewhat late
    assert bounds[53:] == [math.inf] * 97


def test_nothing_has_come_nothing_is_spent() -> None:
    assert obrien_fleming(0, 0.05) == pocock(0, 0.05) == 0.0
    assert continuous_boundary(0, 0.05) == math.inf
    assert obrien_fleming(1, 0.05) == pytest.approx(0.05)
    assert pocock(2, 0.05) == pytest.approx(0.05)
