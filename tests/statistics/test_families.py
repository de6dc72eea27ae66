from math import inf, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.statistics import families

logs = st.lists(st.floats(-50, 50), max_size=12)


def by_definition(log_e: list[float], alpha: float) -> list[bool]:
    """Each k tried: the k largest are rejected when the k-th is at least K / (k alpha)."""
    ordered = sorted(log_e, reverse=True)
    fits = [
        k for k in range(1, len(ordered) + 1) if ordered[k - 1] >= log(len(ordered) / k / alpha)
    ]
    least = ordered[max(fits) - 1] if fits else inf
    return [each >= least for each in log_e]


@given(logs, st.sampled_from([0.01, 0.05, 0.2]))
def test_rejected_are_those_of_the_definition(log_e: list[float], alpha: float) -> None:
    assert families.e_bh(log_e, alpha) == by_definition(log_e, alpha)


def test_one_hypothesis_is_rejected_at_one_over_alpha() -> None:
    assert families.e_bh([log(20)], 0.05) == [True]
    assert families.e_bh([log(19.9)], 0.05) == [False]


def test_many_metrics_ask_for_more_and_help_each_other() -> None:
    assert families.e_bh([log(30), 0.0, 0.0], 0.05) == [False, False, False]
    assert families.e_bh([log(30), log(30), 0.0], 0.05) == [True, True, False]
    assert families.e_bh([], 0.05) == []


def test_false_rejections_stay_below_alpha_though_metrics_go_together() -> None:
    """Ten copies of one bet: whatever is rejected is rejected ten times."""
    rng = np.random.default_rng(1)
    z = rng.normal(size=4000)
    log_e = 2 * z - 2  # one fair bet of each
    wrong = [any(families.e_bh([float(each)] * 10, 0.05)) for each in log_e]
    assert np.mean(wrong) <= 0.05


def test_average_is_the_average() -> None:
    assert families.log_mean([log(2), log(4)]) == pytest.approx(log(3))
    assert families.log_mean([1000.0, -1000.0]) == pytest.approx(1000 - log(2))
    assert families.log_mean([inf, 0.0]) == inf
    assert families.log_mean([-inf, -inf]) == -inf
    assert families.log_mean([]) == 0


def test_p_value_is_at_most_one() -> None:
    assert families.p_value(log(50)) == pytest.approx(0.02)
    assert families.p_value(-3) == 1
