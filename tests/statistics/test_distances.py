"""Distances are scipy's and numpy's on the raw values, or within their stated bound."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, special, stats
from scipy.spatial import distance

from gateway.statistics import distances
from gateway.statistics.families import adjusted

RNG = np.random.default_rng(20_261_121)
COUNTS = [RNG.multinomial(900, RNG.dirichlet(np.ones(12))).astype(np.float64) for _ in range(4)]


@pytest.mark.parametrize("at", [0, 2])
def test_distances_of_counts_are_scipys(at: int) -> None:
    r, c = COUNTS[at], COUNTS[at + 1]
    cells = distances.cells(r, c)
    p, q = r / r.sum(), c / c.sum()
    js = distance.jensenshannon(p, q, base=2)
    assert distances.jensen_shannon(cells)[0] == pytest.approx(js**2)
    hellinger = np.linalg.norm(np.sqrt(p) - np.sqrt(q)) / np.sqrt(2)
    assert distances.hellinger(cells)[0] == pytest.approx(hellinger)
    assert distances.largest_change(cells)[0] == pytest.approx(np.abs(p - q).max())
    kept = (r + c) > 0
    wanted = stats.chi2_contingency(np.vstack([r, c])[:, kept], correction=False)
    assert distances.chi_square(cells)[0] == pytest.approx(wanted.statistic)
    p_value = distances.chi_square_p(distances.chi_square(cells), np.array([kept.sum()]))
    assert p_value[0] == pytest.approx(wanted.pvalue)
    ps, qs = (r + 0.5) / (r.sum() + 6), (c + 0.5) / (c.sum() + 6)
    both = stats.entropy(ps, qs) + stats.entropy(qs, ps)
    assert distances.psi(cells)[0] == pytest.approx(both)


def test_rows_that_are_filled_up_are_as_if_they_stood_alone() -> None:
    r, c = np.zeros((2, 12)), np.zeros((2, 12))
    r[0], c[0], r[1, :5], c[1, :5] = COUNTS[0], COUNTS[1], COUNTS[2][:5], COUNTS[3][:5]
    both = distances.cells(r, c, np.array([12, 5]))
    for measure in (
        distances.psi,
        distances.jensen_shannon,
        distances.hellinger,
        distances.chi_square,
        distances.largest_change,
    ):
        alone = [measure(distances.cells(COUNTS[0], COUNTS[1]))[0]]
        alone.append(measure(distances.cells(COUNTS[2][:5], COUNTS[3][:5]))[0])
        assert measure(both) == pytest.approx(alone)


def test_kolmogorov_is_scipys_at_the_edges_and_never_more_on_raw_values() -> None:
    first, second = RNG.normal(size=900), RNG.normal(0.2, 1.1, 400)
    edges = np.quantile(first, np.arange(1, 64) / 64)
    r = np.histogram(first, [-np.inf, *edges, np.inf])[0]
    c = np.histogram(second, [-np.inf, *edges, np.inf])[0]
    gaps = np.abs(distances.below_edges(r) - distances.below_edges(c))
    found = distances.kolmogorov_smirnov(gaps)
    exact = stats.ks_2samp(first, second).statistic
    at_edges = stats.ks_2samp(np.digitize(first, edges), np.digitize(second, edges)).statistic
    assert found == pytest.approx(at_edges)
    assert exact - 2 / 64 <= found <= exact


@pytest.mark.parametrize("n, m", [(900, 400), (10_000, 50), (600, 10)])
def test_kolmogorovs_p_is_the_exact_one_of_few_values_too(n: int, m: int) -> None:
    rng = np.random.default_rng(m)
    first = rng.normal(size=n)
    exact = [
        stats.ks_2samp(first, rng.normal(shift, 1, m), method="exact")
        for shift in np.linspace(0.1, 1.5, 15)
    ]
    likely = np.array([one.pvalue for one in exact])
    noise = np.full(15, 1 / n + 1 / m)
    found = distances.kolmogorov_p(np.array([one.statistic for one in exact]), noise)
    near = (likely > 1e-4) & (likely < 0.2)
    assert near.any()
    assert np.all(np.abs(np.log(found[near] / likely[near])) < np.log(1.6))
    assert np.all(found[likely < 1e-4] < 1e-3)


@pytest.mark.parametrize("edges", ["few", "even", "stretched"])
def test_bridges_are_as_large_as_their_paths(edges: str) -> None:
    """Mean, deviation of the net, and how often one is beyond the paths' own quantiles."""
    below = np.arange(1, 40) / 40
    widths = {
        "even": np.ones(39),
        "stretched": np.diff(stats.lognorm(1).ppf(np.arange(1, 41) / 41)),
    }
    if edges == "few":
        below, width = np.array([0.05, 0.3, 0.5, 0.51, 0.9]), np.array([1.0, 0.5, 2.0, 0.1, 3.0])
    else:
        width = widths[edges]
    shares = np.diff(below, prepend=0.0, append=1.0)
    rng = np.random.default_rng(len(edges))
    steps = rng.normal(size=(100_000, shares.size)) * np.sqrt(shares)
    paths = np.cumsum(steps, axis=1)
    paths = paths[:, :-1] - paths[:, -1:] * below
    sizes = np.abs(paths) @ width
    given = distances.bridges(below[None], width[None])
    assert given.mean[0] == pytest.approx(sizes.mean(), rel=0.02)
    assert given.deviation[0] == pytest.approx(np.std(paths @ width), rel=0.02)
    many = np.array([1e9])
    for p in (0.05, 0.01, 0.001):
        found = distances.bridge_p(np.quantile(sizes, 1 - p) / given.deviation, given, many, many)
        assert 0.8 * p <= found[0] <= 1.5 * p


@pytest.mark.parametrize("draw", ["lognormal", "standard_cauchy", "normal"])
@pytest.mark.parametrize("m", [10, 50])
def test_bridges_of_few_values_know_how_skewed_these_are(draw: str, m: int) -> None:
    """A gamma distribution with a bridge's mean and variance is wrong tenfold here."""
    rng = np.random.default_rng(m)
    edges = np.quantile(getattr(rng, draw)(size=20_000), np.arange(1, 60) / 60)
    below = np.arange(1, 60) / 60
    width = np.diff(edges, append=2 * edges[-1])
    counts = rng.multinomial(m, np.full(60, 1 / 60), 40_000)
    gaps = np.abs(np.cumsum(counts, axis=1)[:, :-1] / m - below)
    given = distances.bridges(below[None], width[None])
    size = distances.wasserstein(gaps, width) * np.sqrt(m) / given.deviation
    p = distances.bridge_p(size, given, np.array([1e9]), np.array([float(m)]))
    for level in (0.05, 0.01, 0.001):
        assert np.mean(p <= level) <= 2 * level


def test_one_cell_is_no_test() -> None:
    cells = distances.cells(np.array([[9999.7]]), np.array([[31.1]]))
    assert distances.chi_square_p(distances.chi_square(cells), np.ones(1))[0] == 1.0


def test_the_mean_supremum_is_that_of_kolmogorovs_distribution() -> None:
    wanted, _ = integrate.quad(special.kolmogorov, 0, 5)
    assert wanted == pytest.approx(distances.MEAN_SUPREMUM)


def test_shares_are_tested_as_scipy_tests_a_binomial_count() -> None:
    counts = [(3.0, 100.0, 1.0, 1000.0), (0.0, 100.0, 40.0, 900.0), (7.0, 50.0, 0.0, 500.0)]
    for c, m, r, n in counts:
        share = m / (m + n)
        more = stats.binomtest(int(c), int(c + r), share, "greater").pvalue
        fewer = stats.binomtest(int(c), int(c + r), share, "less").pvalue
        found = distances.share_p(*(np.array([one]) for one in (c, m, r, n)))
        assert found[0] == pytest.approx(min(2 * min(more, fewer), 1.0))


def test_pools_have_enough_expected_in_both_samples() -> None:
    reference = RNG.integers(0, 40, 80).astype(np.float64)
    n = reference.sum()
    for m in (20.0, 100.0, 1000.0, 1e6):
        starts = distances.pooled(reference, n, m)
        held = np.add.reduceat(reference, starts)
        assert held.sum() == n
        assert len(starts) == 1 or held.min() * min(1.0, m / n) >= distances.EXPECTED


@pytest.mark.parametrize("dependent", [False, True])
def test_adjusted_p_values_are_scipys(dependent: bool) -> None:
    p = RNG.uniform(size=40) ** 3
    wanted = stats.false_discovery_control(p, method="by" if dependent else "bh")
    assert adjusted(p, dependent=dependent) == pytest.approx(wanted)
    assert adjusted(np.zeros(0)).size == 0
