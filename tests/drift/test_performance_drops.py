"""Drops: found where there are some, and no oftener than said where there are none."""

from __future__ import annotations

import numpy as np
import pytest

from gateway.drift.performance import Figure, of_numbers, of_probabilities, share
from gateway.drift.performance_drops import Drop, drops, p_value


def found(then: list[Figure], now: list[Figure], alpha: float = 0.01) -> dict[str, Drop]:
    return {one.name: one for one in drops(then, now, alpha)}


def test_fall_that_is_sure_and_large_is_a_drop() -> None:
    (drop,) = drops([share("accuracy", 950, 1000)], [share("accuracy", 850, 1000)], 0.01)
    assert drop.is_drop
    assert drop.effect == pytest.approx(0.1)


def test_fall_that_is_sure_and_small_is_none() -> None:
    then, now = share("accuracy", 950_000, 1_000_000), share("accuracy", 940_000, 1_000_000)
    (drop,) = drops([then], [now], 0.01)
    assert (drop.is_significant, drop.is_large, drop.is_drop) == (True, False, False)


def test_fall_that_may_be_chance_is_none() -> None:
    (drop,) = drops([share("accuracy", 95, 100)], [share("accuracy", 56, 60)], 0.01)
    assert not drop.is_significant


def test_rise_is_no_drop() -> None:
    assert p_value(share("accuracy", 800, 1000), share("accuracy", 900, 1000)) > 0.99


def test_few_rows_are_not_judged() -> None:
    assert drops([share("accuracy", 900, 1000)], [share("accuracy", 0, 49)], 0.01) == []


def test_effect_of_a_rule_takes_the_place_of_the_usual() -> None:
    then, now = [share("accuracy", 9500, 10_000)], [share("accuracy", 8500, 10_000)]
    (drop,) = drops(then, now, 0.01, effect=0.2)
    assert not drop.is_drop


def test_errors_of_numbers_are_relative() -> None:
    rng = np.random.default_rng(1)
    then = of_numbers(rng.normal(0, 100, 2000), np.zeros(2000))
    now = of_numbers(rng.normal(0, 130, 2000), np.zeros(2000))
    drop = found(then, now)["rmse"]
    assert drop.is_drop
    assert drop.effect == pytest.approx(0.3, abs=0.05)


def test_bias_to_the_other_side_is_no_drop() -> None:
    then = of_numbers(np.random.default_rng(2).normal(5, 1, 1000), np.zeros(1000))
    now = of_numbers(np.random.default_rng(3).normal(-5, 1, 1000), np.zeros(1000))
    assert not found(then, now)["bias"].is_significant


def test_together_figures_err_no_oftener_than_said() -> None:
    """200 pairs of samples of one kind at 5 %, a small one beside a large one."""
    wrong = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        then, now = (rng.beta(1, 4, n) for n in (4000, 200))
        before = of_probabilities(then, rng.random(4000) < then**1.2)
        after = of_probabilities(now, rng.random(200) < now**1.2)
        wrong += any(one.is_significant for one in drops(before, after, 0.05))
    assert wrong / 200 <= 0.05 + 2 * (0.05 * 0.95 / 200) ** 0.5


def test_drop_of_every_figure_is_found() -> None:
    rng = np.random.default_rng(4)
    then, now = rng.beta(1, 1, 5000), rng.beta(1, 1, 2000)
    before = of_probabilities(then, rng.random(5000) < then)
    after = of_probabilities(now, rng.random(2000) < 0.25 + now / 2)
    names = {one.name for one in drops(before, after, 0.001) if one.is_drop}
    assert names >= {"accuracy", "log_loss", "brier", "ece", "auc", "precision"}
