from decimal import Decimal, getcontext
from math import comb, factorial, log, pi

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import beta

from gateway.statistics import tails

getcontext().prec = 60


@pytest.mark.parametrize("z", [1, 2, 15, 16, 17, 40, 300])
def test_stirlings_remainder_is_what_the_factorial_has_beyond_it(z: int) -> None:
    exact = Decimal(factorial(z)).ln()
    stirling = (Decimal(z) + Decimal("0.5")) * Decimal(z).ln() - z
    wanted = float(exact - stirling) - 0.5 * log(2 * pi)
    assert float(tails.stirling_remainder(z)) == pytest.approx(wanted, rel=1e-11)


@given(st.floats(1e-3, 1e12), st.floats(-0.9, 5))
def test_deviance_is_exact_near_and_far(mean: float, excess: float) -> None:
    x = mean * (1 + excess)
    exact = Decimal(x) * (Decimal(x) / Decimal(mean)).ln() + Decimal(mean) - Decimal(x)
    assert float(tails.deviance(x, mean)) == pytest.approx(float(exact), rel=1e-8, abs=1e-200)


@pytest.mark.parametrize("a, b", [(1, 49), (30, 70), (400, 3)])
def test_density_of_whole_parameters_is_a_binomial_term(a: int, b: int) -> None:
    p, q = Decimal("0.3"), Decimal("0.7")
    term = Decimal(comb(a + b - 2, a - 1)) * (a + b - 1) * p**a * q**b
    assert float(tails.log_beta_odds_density(a, b, 0.3, 0.7)) == pytest.approx(
        float(term.ln()), rel=1e-12
    )


@pytest.mark.parametrize(
    "a, b, p, wanted",
    [  # by mpmath with 50 digits
        (1e12, 1e12, 0.5, 12.549998434479503),
        (1e12, 1.00001e12, 0.5, -12.449874066268409),
        (1e6, 1e12, 1e-6, 5.988815662444214),
        (3e11, 7e11, 0.31, -235169357.45621544),
    ],
)
def test_density_keeps_its_digits_at_a_million_million(
    a: float, b: float, p: float, wanted: float
) -> None:
    found = float(tails.log_beta_odds_density(a, b, p, 1 - p))
    assert found == pytest.approx(wanted, rel=1e-12, abs=1e-9)


@given(st.floats(0.5, 500), st.floats(0.5, 500), st.floats(0.01, 0.99))
def test_tail_is_scipys_where_scipy_has_one(a: float, b: float, p: float) -> None:
    wanted = float(beta.sf(p, a, b))
    if wanted > 1e-200:
        found = float(tails.log_upper_tail(a, b, p, 1 - p))
        assert found == pytest.approx(log(wanted), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(
    "a, b, p",
    [(10, 1000, 0.9), (960_000, 1e12, 1e-6), (1e12, 1e12, 0.50002), (1e6, 1e12, 2e-6)],
)
def test_far_tail_is_the_integral_of_the_density(a: float, b: float, p: float) -> None:
    """Scaled by the density at p, the tail is the integral of an ordinary function."""
    slope = (b - 1) / (1 - p) - (a - 1) / p
    width = min(60 / slope, 1 - p)

    def ratio(x: float) -> float:
        return float(np.exp((a - 1) * np.log1p(x / p) + (b - 1) * np.log1p(-x / (1 - p))))

    mills, _ = quad(ratio, 0, width, epsabs=0, epsrel=1e-10, limit=200)
    found = -float(tails.log_hazard(a, b, p, 1 - p))
    assert found == pytest.approx(log(mills / p / (1 - p)), rel=1e-7)


def test_arrays_are_taken_element_by_element() -> None:
    a = np.array([1.0, 10.0, 960_000.0])
    b = np.array([5.0, 1000.0, 1e12])
    p = np.array([0.3, 0.9, 1e-6])
    found = tails.log_hazard(a, b, p, 1 - p)
    one_by_one = [float(tails.log_hazard(*each)) for each in zip(a, b, p, 1 - p, strict=True)]
    assert found.tolist() == one_by_one
