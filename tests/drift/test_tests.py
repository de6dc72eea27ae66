"""Nothing is found where nothing is, at every size; what is there is found, by its name."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from gateway.drift.battery import Battery
from gateway.drift.verdict import Limits
from gateway.profiles.profile import Profile
from gateway.profiles.reference import from_arrays
from gateway.statistics import distances
from tests.drift.samples import Floats, profiles_of, reference_of

ALL = ("psi", "ks", "wasserstein", "js", "hellinger", "chi_square", "l_infinity")
RNG = np.random.default_rng(7)
Draw = Callable[[np.random.Generator, int], Floats]
WORLDS: dict[str, Draw] = {
    "normal": lambda rng, n: rng.normal(size=n),
    "lognormal": lambda rng, n: rng.lognormal(size=n),
    "counts": lambda rng, n: rng.poisson(3, n).astype(np.float64),
    "zeros": lambda rng, n: rng.exponential(size=n) * rng.integers(0, 2, n),
}


def rates(draw: Draw, m: int, *, looks: int = 20) -> dict[str, float]:
    """How often each test is below 5 %, and how often drift is told, when nothing drifted."""
    rng = np.random.default_rng(m)
    found = dict.fromkeys((*ALL, "drift", "family"), 0.0)
    for _ in range(looks):
        reference = from_arrays({f"f{at}": draw(rng, 10_000) for at in range(20)})
        battery = Battery(reference.profiles, numeric=ALL)  # type: ignore[arg-type]
        now = profiles_of(reference, {name: draw(rng, m) for name in reference.names})
        verdict = battery.look(now, 0.05)
        for test, measured in verdict.outcomes[0].tests.items():
            found[test] += float((measured.p <= 0.05).mean()) / looks
        found["drift"] += bool(verdict.drifting or verdict.broken) / looks
        found["family"] += bool((verdict.adjusted[0] <= 0.05).any()) / looks
    return found


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("m", [50, 100, 200, 500, 2000])
def test_false_alarms_stay_at_their_level_at_every_size(world: str, m: int) -> None:
    """400 tests each: 5 % and three and a half standard errors of it.

    Evidently's fixed thresholds are at 100, 86, 21 and 0 % at the first four sizes.
    """
    found = rates(WORLDS[world], m)
    for test in ALL:
        assert found[test] <= 0.05 + 3.5 * np.sqrt(0.05 * 0.95 / 400), test
    assert found["drift"] <= 0.2  # of 20 looks


def test_psi_has_the_distribution_of_its_formula() -> None:
    """Mean (B - 1)(1/n + 1/m) and size, B bins of equal reference share."""
    rng = np.random.default_rng(1)
    for bins, m in ((10, 100), (10, 1000), (20, 1000)):
        edges = np.concatenate([[-np.inf], stats.norm.ppf(np.arange(1, bins) / bins), [np.inf]])
        r = np.array([np.histogram(rng.normal(size=10_000), edges)[0] for _ in range(400)])
        c = np.array([np.histogram(rng.normal(size=m), edges)[0] for _ in range(400)])
        psi = distances.psi(distances.cells(r, c))
        noise = 1 / 10_000 + 1 / m
        assert psi.mean() == pytest.approx(
            (bins - 1) * noise, rel=0.12
        )  # the half counts take some
        limit = noise * distances.chi_square_limit(0.05, bins)
        assert 0.005 <= (psi > limit).mean() <= 0.085
        if m >= 50 * bins:
            p = distances.chi_square_p(psi / noise, np.full(400, float(bins)))
            assert stats.kstest(p, "uniform").pvalue > 0.001


def test_one_outlier_moves_psi_by_less_than_one_percent() -> None:
    """Evidently's bins over the pooled range fall from 0.25 to 0.019."""
    rng = np.random.default_rng(2)
    reference = reference_of(x=rng.normal(size=10_000))
    shifted = rng.normal(0.5, 1, 10_000)
    scores = []
    for outliers in ([], [1000.0], [1e300], [1000.0] * 10):
        now = profiles_of(reference, {"x": np.concatenate([shifted, outliers])})
        cells = distances.cells(
            reference.profiles["x"].counts.astype(float), now["x"].counts.astype(float)
        )
        scores.append(float(distances.psi(cells)[0]))
    plain, one, huge, ten = scores
    assert plain == pytest.approx(0.257, abs=0.02)
    assert abs(one / plain - 1) < 0.01
    assert abs(huge / plain - 1) < 0.01
    assert abs(ten / plain - 1) < 0.02
    now = profiles_of(reference, {"x": np.append(shifted, 1000.0)})
    assert Battery(reference.profiles).look(now, 0.01).drifting == {"x"}


@pytest.mark.parametrize("world", ["normal", "lognormal", "counts"])
def test_wasserstein_is_scipys_within_its_bound(world: str) -> None:
    rng = np.random.default_rng(3)
    then, now = WORLDS[world](rng, 5000), WORLDS[world](rng, 3000) * 1.2 + 0.1
    reference = reference_of(x=then)
    field = reference.profiles["x"].field
    measured = Battery(reference.profiles).look(profiles_of(reference, {"x": now}), 0.05)
    found = measured.outcomes[0].tests["wasserstein"].statistic[0] * then.std(ddof=1)
    exact = stats.wasserstein_distance(then, np.clip(now, field.low, field.high))
    points = np.unique(np.clip([field.low, *field.edges, field.high], field.low, field.high))
    most = np.maximum(
        *(np.histogram(v, points)[0] / v.size for v in (then, np.clip(now, field.low, field.high)))
    )
    assert abs(found - exact) <= float(np.sum(np.diff(points) * most))
    assert found == pytest.approx(exact, rel=0.1)


def test_values_between_those_of_a_reference_of_few_are_seen() -> None:
    rng = np.random.default_rng(13)
    reference = reference_of(x=rng.poisson(3, 20_000).astype(np.float64))
    now = profiles_of(reference, {"x": rng.poisson(3, 1000) + 0.3})
    assert Battery(reference.profiles).look(now, 0.001).drifting == {"x"}


def test_kolmogorov_is_never_above_scipys() -> None:
    rng = np.random.default_rng(4)
    then, now = rng.normal(size=5000), rng.normal(0.1, 1.2, 700)
    reference = reference_of(x=then)
    measured = Battery(reference.profiles).look(profiles_of(reference, {"x": now}), 0.05)
    found = measured.outcomes[0].tests["ks"].statistic[0]
    exact = stats.ks_2samp(then, now).statistic
    assert exact - 0.03 <= found <= exact


@pytest.mark.parametrize("size", [200, 1000, 20_000])
def test_a_shift_is_significant_and_large_a_small_one_is_only_significant(size: int) -> None:
    rng = np.random.default_rng(size)
    reference = reference_of(x=rng.normal(size=100_000), y=rng.normal(size=100_000))
    battery = Battery(reference.profiles)
    now = {"x": rng.normal(0.7, 1, size), "y": rng.normal(0.04, 1, size)}
    verdict = battery.look(profiles_of(reference, now), 0.01)
    assert verdict.drifting == {"x"}
    if size == 20_000:
        assert verdict.adjusted[0][1] < 0.005


def test_the_limits_decide_what_is_large() -> None:
    rng = np.random.default_rng(5)
    reference = reference_of(x=rng.normal(size=100_000))
    now = profiles_of(reference, {"x": rng.normal(0.3, 1, 20_000)})
    assert Battery(reference.profiles).look(now, 0.01).drifting
    strict = Limits(psi=0.25, ks=0.25, wasserstein=0.5)
    assert not Battery(reference.profiles, limits=strict).look(now, 0.01).drifting


@pytest.mark.parametrize(
    "value, name",
    [(None, "null"), (np.nan, "nan"), (np.inf, "above"), ("7", "violation"), (0.0, "zero")],
)
def test_values_that_are_none_are_told_by_what_they_are(value: object, name: str) -> None:
    rng = np.random.default_rng(6)
    reference = reference_of(x=rng.normal(100, 1, 20_000), y=rng.normal(size=20_000))
    broken: list[object] = [value] * 60 + rng.normal(100, 1, 940).tolist()
    now = profiles_of(reference, {"x": np.array(broken, object), "y": rng.normal(size=1000)})
    verdict = Battery(reference.profiles).look(now, 0.001)
    assert verdict.broken == {"x": (name,)}
    told = {one.test for one in verdict.findings() if one.field == "x" and one.is_drift}
    assert name in told
    assert not verdict.drifting - {"x"}


def test_an_upstream_that_writes_minus_one_is_told() -> None:
    rng = np.random.default_rng(8)
    reference = reference_of(age=rng.integers(18, 90, 20_000).astype(np.float64))
    ages = rng.integers(18, 90, 2000).astype(np.float64)
    ages[:500] = -1.0
    assert Battery(reference.profiles).look(profiles_of(reference, {"age": ages}), 0.001).drifting


def test_a_new_category_is_told_and_a_changed_mix() -> None:
    rng = np.random.default_rng(9)
    reference = reference_of(
        city=rng.choice(["oslo", "rome", "bonn"], 20_000).tolist(),
        plan=rng.choice(["free", "paid"], 20_000, p=[0.8, 0.2]).tolist(),
        quiet=rng.choice([True, False], 20_000).tolist(),
    )
    now = profiles_of(
        reference,
        {
            "city": [*rng.choice(["oslo", "rome", "bonn"], 950).tolist(), *["riga"] * 50],
            "plan": rng.choice(["free", "paid"], 1000, p=[0.5, 0.5]).tolist(),
            "quiet": rng.choice([True, False], 1000).tolist(),
        },
    )
    verdict = Battery(reference.profiles).look(now, 0.001)
    assert verdict.broken == {"city": ("unseen",)}
    assert "plan" in verdict.drifting
    assert "quiet" not in verdict.drifting
    assert now["city"].strangers == {"riga": 50}


def test_too_few_values_say_nothing() -> None:
    reference = reference_of(x=RNG.normal(size=1000))
    battery = Battery(reference.profiles)
    far = profiles_of(reference, {"x": np.full(9, 50.0)})
    assert not battery.look(far, 0.05).drifting
    assert not battery.look({}, 0.05).drifting


@pytest.mark.parametrize("control", ["bh", "by", "bonferroni"])
def test_many_fields_share_one_rate_of_false_alarms(control: str) -> None:
    rng = np.random.default_rng(10)
    reference = from_arrays({f"f{at}": rng.normal(size=20_000) for at in range(100)})
    battery = Battery(reference.profiles)
    alarms = 0
    for _ in range(40):
        now = profiles_of(reference, {name: rng.normal(size=300) for name in reference.names})
        verdict = battery.look(now, 0.1, control=control)  # type: ignore[arg-type]
        alarms += bool((verdict.adjusted[0] <= verdict.alpha).any())
    assert alarms <= 7  # 5 % of 40, and three and a half standard errors


def test_a_field_of_rare_values_does_not_lend_others_its_level() -> None:
    """All it has is in one cell, of which there is nothing to say."""
    rng = np.random.default_rng(14)
    rare = {f"b{at}": rng.random(20_000) < 0.001 for at in range(10)}
    reference = from_arrays({**rare, "x": rng.normal(size=20_000)})
    now = {name: rng.random(200) < 0.001 for name in rare} | {"x": rng.normal(size=200)}
    outcomes = Battery(reference.profiles).look(profiles_of(reference, now), 0.05).outcomes
    assert outcomes[1].fields[0].kind == "boolean"
    assert outcomes[1].tests["chi_square"].p.min() == 1.0
    assert outcomes[1].p.min() > 0.05


def test_a_hundred_features_do_not_hide_what_ten_scores_see() -> None:
    rng = np.random.default_rng(15)
    features = {f"f{at}": rng.normal(size=5000) for at in range(100)}
    scores = {f"s{at}": rng.normal(size=5000) for at in range(10)}
    kinds = dict.fromkeys(scores, "score")
    reference = from_arrays(features | scores, kinds=kinds)  # type: ignore[arg-type]
    now = {name: rng.normal(size=500) for name in features | scores}
    now["s0"] = rng.normal(0.2, 1, 500)
    verdict = Battery(reference.profiles).look(profiles_of(reference, now), 0.05)
    at = [field.name for field in verdict.outcomes[0].fields].index("s0")
    p, told = verdict.outcomes[0].p[at], verdict.adjusted[0][at]
    assert told == pytest.approx(20 * p)  # one of ten, in one of two families; one alone is told
    assert told <= 110 * p


def test_all_of_alpha_is_for_values_where_there_is_nothing_else() -> None:
    rng = np.random.default_rng(16)
    reference = reference_of(x=rng.normal(size=5000))
    battery = Battery(reference.profiles)
    values = rng.normal(size=500)
    assert battery.look(profiles_of(reference, {"x": values}), 0.05).alpha == 0.05
    values[0] = np.nan
    assert battery.look(profiles_of(reference, {"x": values}), 0.05).alpha == 0.05 * 7 / 8


def test_shares_that_cannot_be_tested_take_nothing_from_others() -> None:
    """Of what neither sample has there is nothing to say; that nothing is out of range counts."""
    rng = np.random.default_rng(17)
    columns = {f"f{at}": rng.normal(size=5000) for at in range(20)}
    battery = Battery(reference_of(**columns).profiles)
    now = {name: rng.choice(values, 500) for name, values in columns.items()}
    now["f3"][:9] = np.nan
    found = battery.look(profiles_of(reference_of(**columns), now), 0.05).qualities
    assert [(one.field, one.test) for one in found] == [("f3", "nan")]
    assert found[0].adjusted == pytest.approx(found[0].p * (20 * 3 + 1))  # zero, under, over


def test_mmd_keeps_its_level_and_finds_one_coordinate_of_many() -> None:
    """The rows of STATISTICS 2.3, at a tenth of its size of features."""
    rng = np.random.default_rng(11)
    reference = from_arrays({"e": rng.normal(size=(2000, 384))})
    battery = Battery(reference.profiles, limits=Limits(mmd=0.0))
    false, found = 0, 0
    for _ in range(16):
        now = rng.normal(size=(500, 384))
        false += battery.look(profiles_of(reference, {"e": now}), 0.1).adjusted[0][0] <= 0.05
        now[:, 7] += 1.0
        found += battery.look(profiles_of(reference, {"e": now}), 0.1).adjusted[0][0] <= 0.05
    assert false <= 4
    assert found >= 14


def test_all_kinds_are_looked_at_together() -> None:
    rng = np.random.default_rng(12)
    reference = from_arrays(
        {
            "x": rng.normal(size=5000),
            "c": rng.choice(["a", "b"], 5000).tolist(),
            "e": rng.normal(size=(2000, 6)),
        }
    )
    battery = Battery(reference.profiles)
    assert battery.fields == ("x", "c", "e")
    now = profiles_of(
        reference,
        {
            "x": rng.normal(size=500),
            "c": ["a"] * 500,
            "e": rng.normal(1.0, 1.0, size=(500, 6)),
        },
    )
    verdict = battery.look(now, 0.01)
    assert verdict.drifting == {"c", "e"}
    assert verdict.findings()[0].is_drift


@pytest.mark.parametrize(
    "low, value, test", [(5.0, -1.0, "under"), (5.0, 1.0, "under"), (-90.0, 500.0, "over")]
)
def test_values_outside_of_all_that_the_reference_had_are_told(
    low: float, value: float, test: str
) -> None:
    then = np.random.default_rng(3).uniform(low, low + 80.0, 5000)
    reference = from_arrays({"x": then})
    field = reference.profiles["x"].field
    now = Profile(field)
    now.update(np.where(np.arange(2000) % 40 == 0, value, then[:2000]))
    verdict = Battery(reference.profiles).look({"x": now}, 0.001)
    assert verdict.broken == {"x": (test,)}
    assert verdict.qualities[0].statistic == 1 / 40


@pytest.mark.parametrize("rare", [True, False])
def test_boolean_that_was_nearly_always_the_same_is_seen_when_it_is_not(rare: bool) -> None:
    reference = from_arrays({"x": np.array([not rare] * 4_998 + [rare] * 2)})
    now = Profile(reference.profiles["x"].field)
    now.update([not rare] * 900 + [rare] * 100)
    verdict = Battery(reference.profiles).look({"x": now}, 0.001)
    assert verdict.broken == {"x": ("rare",)}


def test_rare_category_that_becomes_frequent_is_seen() -> None:
    names = ["a"] * 5_000 + ["b"] * 4_970 + ["c"] * 20 + ["d"] * 10
    reference = from_arrays({"x": names})
    now = Profile(reference.profiles["x"].field)
    now.update((["a"] * 10 + ["b"] * 9 + ["d"]) * 20)
    verdict = Battery(reference.profiles).look({"x": now}, 0.001)
    assert verdict.broken == {"x": ("rare",)}
    assert verdict.qualities[0].statistic == 0.05
