"""Sums that merge, histograms like the board's."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.rollout.counts import (
    CHAMPION,
    ArmCounts,
    Evidence,
    PairCounts,
    Period,
    SignalCounts,
    above,
    bucket_at,
)

signals = st.builds(SignalCounts, n=st.integers(0, 9), positive=st.integers(0, 9))
arms = st.builds(
    ArmCounts,
    assigned=st.integers(0, 99),
    errors=st.integers(0, 9),
    total_ns=st.dictionaries(st.integers(0, 5), st.integers(1, 9)),
    feedback=st.dictionaries(st.sampled_from(["accept", "edit"]), signals),
)


@given(arms, arms, arms)
def test_adding_is_associative_and_subtraction_undoes_it(
    one: ArmCounts, two: ArmCounts, three: ArmCounts
) -> None:
    assert one.plus(two).plus(three) == one.plus(two.plus(three))
    back = one.plus(two).minus(two)
    assert (back.assigned, back.errors, back.total_ns) == (one.assigned, one.errors, one.total_ns)


def test_new_pair_counts_do_not_share_their_sums() -> None:
    PairCounts().latency_us.add(1.0, 2.0)
    assert PairCounts().latency_us.n == 0


def test_a_period_survives_json() -> None:
    period = Period(
        weights={"new": 10_000},
        evidence=Evidence(arms={CHAMPION: ArmCounts(assigned=3, total_ns={900: 3})}),
    )
    assert msgspec.json.decode(msgspec.json.encode(period), type=Period) == period


def test_shares_are_of_the_units_in_the_evidence() -> None:
    period = Period(weights={"a": 100_000, "b": 50_000})
    assert [period.share(arm) for arm in (CHAMPION, "a", "b")] == pytest.approx([0.85, 0.1, 0.05])


def test_a_quantile_leaves_its_part_above() -> None:
    times = dict.fromkeys(range(100), 1)
    assert bucket_at(times, 0.99) == 98
    assert above(times, bucket_at(times, 0.99) + 1) == 1
