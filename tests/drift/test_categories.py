"""Categories: a share that one of them loses is found, and chance alone is not."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from gateway.drift.battery import Battery
from gateway.drift.groups import OF_FEW
from gateway.drift.verdict import Limits
from gateway.profiles.profile import Profile
from tests.drift.samples import reference_of

TEN = np.full(10, 0.1)
FEW_OFTEN = 1 / np.arange(1, 13) / np.sum(1 / np.arange(1, 13))
Counts = NDArray[np.int64]


def battery_of(counts: Counts, limits: Limits | None = None) -> Battery:
    names = np.repeat([f"c{at:02}" for at in range(counts.size)], counts).tolist()
    return Battery(reference_of(answer=names).profiles, limits=limits)


def profile_of(battery: Battery, counts: Counts) -> Profile:
    profile = Profile(battery._empty[0].field)
    profile.update(np.repeat([f"c{at:02}" for at in range(counts.size)], counts).tolist())
    return profile


@pytest.mark.parametrize("shares", [TEN, FEW_OFTEN], ids=["alike", "few often"])
@pytest.mark.parametrize("m", [20, 50, 100, 500])
def test_each_test_keeps_its_level_with_five_expected_in_a_cell(
    shares: NDArray[np.float64], m: int
) -> None:
    """800 looks each, at 5 and at 1 %, and three and a half standard errors of them."""
    rng = np.random.default_rng(m)
    p: dict[str, list[float]] = {test: [] for test in (*OF_FEW, "together")}
    for _ in range(40):
        battery = battery_of(rng.multinomial(600, shares))
        field = battery._empty[0].field
        order = [int(name[1:]) for name in field.categories]
        for counts in rng.multinomial(m, shares, 20):
            now = Profile(field)
            now.counts[: len(order)] = counts[order]
            outcome = battery.look({"answer": now}, 0.05).outcomes[0]
            for test in OF_FEW:
                p[test].append(float(outcome.tests[test].p[0]))
            p["together"].append(float(outcome.p[0]))
    for name, found in p.items():
        for level in (0.05, 0.01):
            most = level + 3.5 * np.sqrt(level / len(found))
            assert np.mean(np.array(found) <= level) <= most, (name, level)


def test_a_class_of_ten_that_is_gone_is_found_in_a_hundred_answers() -> None:
    battery = battery_of(np.full(10, 60))
    now = profile_of(battery, np.array([0, *[11] * 9]))
    assert battery.look({"answer": now}, 0.01).drifting == {"answer"}


def test_a_class_that_loses_half_is_found_by_one_category_alone() -> None:
    battery = battery_of(np.full(10, 1000))
    now = profile_of(battery, np.array([105, *[210] * 9]))
    findings = battery.look({"answer": now}, 0.001).findings()
    assert [one.test for one in findings if one.is_drift] == ["one_category"]
    assert findings[0].effect == pytest.approx((0.1 - 1 / 19) * np.log(1.9), abs=0.001)
    strict = battery_of(np.full(10, 1000), Limits(one_category=0.05))
    assert not strict.look({"answer": now}, 0.001).drifting


def test_a_share_that_moves_by_a_tenth_of_itself_is_certain_and_not_large() -> None:
    battery = battery_of(np.array([30_000, 70_000]))
    verdict = battery.look({"answer": profile_of(battery, np.array([16_500, 33_500]))}, 0.001)
    assert not verdict.drifting
    assert all(one.is_significant for one in verdict.findings())


def test_the_p_value_of_one_category_is_the_exact_one_times_their_number() -> None:
    battery = battery_of(np.array([400, 300, 200, 100]))
    counts = np.array([44, 30, 24, 2])
    measured = battery.look({"answer": profile_of(battery, counts)}, 0.05).outcomes[0]
    exact = min(
        2 * min(stats.binom.cdf(c, r + c, 1 / 11), stats.binom.sf(c - 1, r + c, 1 / 11))
        for r, c in zip((400, 300, 200, 100), counts.tolist(), strict=True)
    )
    assert measured.tests["one_category"].p[0] == pytest.approx(4 * exact)


def test_the_largest_part_is_told_where_several_are_certain() -> None:
    battery = battery_of(np.array([50_000, 30_000, 20_000]))
    now = profile_of(battery, np.array([20_000, 30_000, 50_000]))
    told = {one.test: one for one in battery.look({"answer": now}, 0.01).findings()}
    assert told["one_category"].p == 0.0
    assert told["one_category"].statistic == pytest.approx(0.3 * np.log(2.5), rel=0.01)
