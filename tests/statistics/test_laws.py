"""Laws that evidence must obey, tried on counts and sums that nobody thought of.

The first one is the reason for all of this: whatever has happened so far, the expectation of
the next e-value under the null is no more than the present one. It is checked by summing over
all that may come next, not by simulation.
"""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp

from gateway.statistics.bayes import means as belief_of_means
from gateway.statistics.events import (
    EventsProcess,
    Period,
    log_e_events,
    log_e_periods,
    null_share,
    rate_ratio,
)
from gateway.statistics.families import e_bh, log_mean, p_value
from gateway.statistics.means import Joint, Moments, mean_difference, mean_ratio, quotient_ratio
from gateway.statistics.pairs import joint_of, log_e_share, paired_difference, paired_ratio
from gateway.statistics.power import (
    events_detectable,
    events_needed,
    means_detectable,
    means_needed,
)
from gateway.statistics.proportions import Share, log_e_shares, share_difference, share_ratio
from gateway.statistics.quantiles import exceedance_test, mann_whitney
from gateway.statistics.scores import ScoresProcess, log_e_scores
from gateway.statistics.sequences import bound_of, log_e_of
from gateway.statistics.sequential_groups import boundaries, continuous_boundary
from gateway.statistics.srm import log_e_srm

SHARES = st.floats(1e-4, 1 - 1e-4)
FEW = st.integers(0, 300)
MANY = st.integers(0, 10**9)
MARGINS = st.floats(-0.9, 3.0)
SIDES = st.sampled_from(["higher", "lower"])
DIRECTIONS = st.sampled_from(["either", "higher", "lower"])
SCORES = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=0, max_size=20)
VALUES = st.lists(st.floats(-100, 100), min_size=2, max_size=20)
ALPHAS = st.sampled_from([0.01, 0.05, 0.2])
PLENTY = settings(deadline=None, max_examples=50)


def moments(values: list[float]) -> Moments:
    return Moments(len(values), math.fsum(values), math.fsum(v * v for v in values))


# Supermartingales


@given(FEW, FEW, SHARES, MARGINS, SIDES, st.floats(0, 1))
@PLENTY
def test_bet_on_the_next_event_is_fair(
    x: int, y: int, share: float, margin: float, side: str, part: float
) -> None:
    """Exactly so where the rates are as in the null, and at a loss where the null is more true."""
    p, q = (float(each) for each in null_share(share, 1 + margin))
    kwargs = {"margin": margin, "direction": side}
    now = log_e_events(x, y, share, **kwargs)  # type: ignore[arg-type]
    ours = log_e_events(x + 1, y, share, **kwargs) - now  # type: ignore[arg-type]
    theirs = log_e_events(x, y + 1, share, **kwargs) - now  # type: ignore[arg-type]
    assert p * math.exp(ours) + q * math.exp(theirs) == pytest.approx(1, rel=1e-6)
    theta = p * part if side == "higher" else p + q * part
    assert theta * math.exp(ours) + (1 - theta) * math.exp(theirs) <= 1 + 1e-6


@given(st.lists(st.integers(0, 10**6), min_size=2, max_size=5), st.data())
@PLENTY
def test_bet_on_the_next_unit_is_fair(counts: list[int], data: st.DataObject) -> None:
    weights = data.draw(st.lists(st.floats(0.001, 1), min_size=len(counts), max_size=len(counts)))
    whole = math.fsum(weights)
    now = log_e_srm(counts, weights)
    after = [
        log_e_srm([n + (at == arm) for at, n in enumerate(counts)], weights)
        for arm in range(len(counts))
    ]
    mean = math.fsum(
        w / whole * math.exp(each - now) for w, each in zip(weights, after, strict=True)
    )
    assert mean == pytest.approx(1, rel=1e-5)


@given(SCORES, st.floats(0.02, 0.98), st.floats(0, 0.3), SIDES, st.floats(0, 1))
@PLENTY
def test_bet_on_the_next_score_is_no_better_than_fair(
    seen: list[tuple[float, bool]], share: float, margin: float, side: str, score: float
) -> None:
    """Both arms give the same score: the null with no margin, and more than true with one."""

    def evidence(more: list[tuple[float, bool]]) -> float:
        arms = [[s for s, ours in seen + more if ours == whose] for whose in (False, True)]
        period = (share, moments(arms[0]), moments(arms[1]))
        return log_e_scores([period], margin=margin, direction=side)  # type: ignore[arg-type]

    after = logsumexp([evidence([(score, True)]), evidence([(score, False)])], b=[share, 1 - share])
    assert after <= evidence([]) + 1e-9


@given(SCORES, st.floats(0.02, 0.98), st.floats(-0.3, 0.3), SIDES, st.floats(0, 1))
@PLENTY
def test_bet_on_the_next_score_is_no_better_than_fair_at_the_margin(
    seen: list[tuple[float, bool]], share: float, margin: float, side: str, score: float
) -> None:
    """The challenger's score differs by the margin exactly."""
    gap = margin if side == "higher" else -margin
    other = score + gap
    assume(0 <= other <= 1)

    def evidence(more: list[tuple[float, bool]]) -> float:
        arms = [[s for s, ours in seen + more if ours == whose] for whose in (False, True)]
        period = (share, moments(arms[0]), moments(arms[1]))
        return log_e_scores([period], margin=margin, direction=side)  # type: ignore[arg-type]

    after = logsumexp([evidence([(other, True)]), evidence([(score, False)])], b=[share, 1 - share])
    assert after <= evidence([]) + 1e-9


@given(SCORES, st.floats(0.02, 0.98), st.floats(0, 0.3), SIDES, st.floats(0, 1))
@PLENTY
def test_bet_of_the_process_is_no_better_than_fair(
    seen: list[tuple[float, bool]], share: float, margin: float, side: str, score: float
) -> None:
    def evidence(last: bool | None) -> float:
        process = ScoresProcess(share, margin=margin, direction=side)  # type: ignore[arg-type]
        for s, ours in seen:
            process.update(s, is_challenger=ours)
        return process.log_e if last is None else process.update(score, is_challenger=last)

    after = logsumexp([evidence(True), evidence(False)], b=[share, 1 - share])
    assert after <= evidence(None) + 1e-9


@given(FEW, FEW, FEW, FEW, SHARES, SIDES, st.floats(0.01, 0.99))
@PLENTY
def test_bet_on_the_next_rating_is_fair(
    h0: int, m0: int, h1: int, m1: int, share: float, side: str, hit: float
) -> None:
    """Both arms are accepted as often."""

    def evidence(more: tuple[int, int, int, int]) -> float:
        a, b, c, d = more
        champion, challenger = Share(h0 + a, h0 + m0 + a + b), Share(h1 + c, h1 + m1 + c + d)
        return log_e_shares([(share, champion, challenger)], direction=side)  # type: ignore[arg-type]

    chances = [(1 - share) * hit, (1 - share) * (1 - hit), share * hit, share * (1 - hit)]
    nexts = [(1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1)]
    after = logsumexp([evidence(each) for each in nexts], b=chances)
    assert after == pytest.approx(evidence((0, 0, 0, 0)), abs=1e-6)


@given(FEW, FEW, st.floats(0.001, 0.999), st.floats(0, 1))
@PLENTY
def test_bet_on_the_next_disagreement_is_fair(x: int, y: int, limit: float, part: float) -> None:
    now = log_e_share(x, x + y, limit)
    hit, miss = log_e_share(x + 1, x + 1 + y, limit), log_e_share(x, x + y + 1, limit)
    theta = limit * part
    assert theta * math.exp(hit - now) + (1 - theta) * math.exp(miss - now) <= 1 + 1e-6


@given(st.floats(-4, 4), st.floats(0.01, 100), DIRECTIONS)
@PLENTY
def test_bet_on_a_normal_walk_is_fair(z: float, t: float, direction: str) -> None:
    """The mixture's evidence is a martingale of Brownian motion: checked over one step."""
    ahead = t * 1.5
    steps, weights = np.polynomial.hermite_e.hermegauss(80)
    walked = z * math.sqrt(t) + steps * math.sqrt(ahead - t)
    after = log_e_of(walked / math.sqrt(ahead), ahead, direction=direction)  # type: ignore[arg-type]
    mean = logsumexp(after, b=weights / math.sqrt(2 * math.pi))
    assert mean == pytest.approx(float(log_e_of(z, t, direction=direction)), abs=1e-6)  # type: ignore[arg-type]


# Numbers of any size


@given(MANY, MANY, st.floats(1e-6, 1 - 1e-6), st.floats(-0.999, 100), SIDES)
@example(0, 10**9, 1e-6, 0.0, "higher")
@example(10**9, 0, 1 - 1e-6, 0.0, "lower")
@example(10**9, 10**9, 1e-6, 0.0, "higher")
@PLENTY
def test_evidence_of_events_is_a_number(
    x: int, y: int, share: float, margin: float, side: str
) -> None:
    found = log_e_events(x, y, share, margin=margin, direction=side)  # type: ignore[arg-type]
    assert math.isfinite(found)
    assert log_e_events(0, 0, share, margin=margin, direction=side) == pytest.approx(0, abs=1e-9)  # type: ignore[arg-type]


@given(MANY, MANY, MANY, SHARES, MARGINS)
@PLENTY
def test_more_events_of_the_challenger_are_more_evidence(
    x: int, more: int, y: int, share: float, margin: float
) -> None:
    less = log_e_events(x, y, share, margin=margin)
    greater = log_e_events(x + more, y, share, margin=margin)
    assert greater >= less - 1e-6 * abs(less)
    harm = log_e_events(x, y, share, margin=margin, direction="lower")
    milder = log_e_events(x + more, y, share, margin=margin, direction="lower")
    assert milder <= harm + 1e-6 * abs(harm)


@given(FEW, FEW, SHARES, MARGINS)
@PLENTY
def test_exchanging_arms_and_direction_changes_nothing(
    x: int, y: int, share: float, margin: float
) -> None:
    """Challenger over 1 + m times champion is champion under 1 / (1 + m) times challenger."""
    found = log_e_events(x, y, share, margin=margin)
    other = log_e_events(y, x, 1 - share, margin=1 / (1 + margin) - 1, direction="lower")
    assert found == pytest.approx(other, rel=1e-6, abs=1e-6)


@given(st.lists(st.tuples(SHARES, FEW, FEW), max_size=4), MARGINS, SIDES)
@settings(deadline=None, max_examples=50)
def test_process_of_periods_is_their_sum(
    periods: list[tuple[float, int, int]], margin: float, side: str
) -> None:
    process = EventsProcess(margin=margin, direction=side)  # type: ignore[arg-type]
    for share, x, y in periods:
        process.update(share, x // 2, y // 2)
        process.update(share, x - x // 2, y - y // 2)
    merged = {share for share, _, _ in periods}
    assume(len(merged) == len(periods))
    told = [Period(*each) for each in periods]
    expected = log_e_periods(told, margin=margin, direction=side)  # type: ignore[arg-type]
    assert process.log_e == pytest.approx(expected)


@given(st.lists(st.tuples(SHARES, FEW, FEW), min_size=1, max_size=3), ALPHAS)
@settings(deadline=None, max_examples=50)
def test_ratio_of_rates_lies_in_its_interval(
    periods: list[tuple[float, int, int]], alpha: float
) -> None:
    found = rate_ratio([Period(*each) for each in periods], alpha)
    if not sum(x + y for _, x, y in periods):
        assert math.isnan(found.estimate)
        return
    assert 0 <= found.low <= found.estimate <= found.high
    # The evidence against equal rates is enough where 1 is outside, and only there.
    if abs(found.log_e - math.log(1 / alpha)) > 1e-3:
        assert (found.log_e > math.log(1 / alpha)) == (not found.low <= 1 <= found.high)


# Intervals and evidence are one


@given(st.floats(1e-3, 1e4), ALPHAS, DIRECTIONS)
@PLENTY
def test_bound_is_where_the_evidence_is_enough(t: float, alpha: float, direction: str) -> None:
    z = bound_of(t, alpha, direction=direction)  # type: ignore[arg-type]
    signed = -z if direction == "lower" else z
    found = float(log_e_of(signed, t, direction=direction))  # type: ignore[arg-type]
    assert found == pytest.approx(math.log(1 / alpha), abs=1e-6)


@given(VALUES, VALUES, ALPHAS, DIRECTIONS)
@PLENTY
def test_difference_and_its_evidence_agree(
    y: list[float], x: list[float], alpha: float, direction: str
) -> None:
    assume(np.ptp(y) > 0.01 and np.ptp(x) > 0.01)
    pair = (moments(y), moments(x))
    kwargs = {"direction": direction}
    found = mean_difference([pair], alpha, **kwargs)  # type: ignore[arg-type]
    assert found.low <= found.estimate <= found.high
    assert found.estimate == pytest.approx(np.mean(x) - np.mean(y), abs=1e-6)
    for end in (found.low, found.high):
        if math.isfinite(end):
            at = mean_difference([pair], alpha, margin=end, **kwargs)  # type: ignore[arg-type]
            assert at.log_e == pytest.approx(math.log(1 / alpha), rel=1e-3, abs=1e-3)


@given(
    st.lists(st.floats(0.1, 100), min_size=2, max_size=20),
    st.lists(st.floats(0.1, 100), min_size=2, max_size=20),
    ALPHAS,
    DIRECTIONS,
)
@PLENTY
def test_ratio_and_its_evidence_agree(
    y: list[float], x: list[float], alpha: float, direction: str
) -> None:
    assume(np.ptp(y) > 0.01 and np.ptp(x) > 0.01)
    pair = (moments(y), moments(x))
    found = mean_ratio([pair], alpha, direction=direction)  # type: ignore[arg-type]
    assert found.low <= found.estimate <= found.high
    scale = [Moments(n, total * 1000, squares * 1e6) for n, total, squares in pair]
    scaled = mean_ratio([(scale[0], scale[1])], alpha, direction=direction)  # type: ignore[arg-type]
    assert scaled.estimate == pytest.approx(found.estimate)
    assert scaled.log_e == pytest.approx(found.log_e, rel=1e-3, abs=1e-3)


@given(st.integers(0, 200), st.integers(0, 200), st.integers(1, 200), ALPHAS, DIRECTIONS)
@PLENTY
def test_shares_lie_in_their_intervals(
    a: int, b: int, n: int, alpha: float, direction: str
) -> None:
    assume(a <= n and b <= n)
    pair = (Share(a, n), Share(b, n))
    difference = share_difference([pair], alpha, direction=direction)  # type: ignore[arg-type]
    ratio = share_ratio([pair], alpha, direction=direction)  # type: ignore[arg-type]
    for found in (difference, ratio):
        assert math.isnan(found.estimate) or found.low <= found.estimate <= found.high
        assert not math.isnan(found.log_e)


@given(st.lists(st.tuples(st.floats(0.1, 50), st.floats(0.1, 50)), min_size=2, max_size=20), ALPHAS)
@PLENTY
def test_pairs_lie_in_their_intervals(figures: list[tuple[float, float]], alpha: float) -> None:
    x, y = np.array(figures).T
    pairs = joint_of(x, y)
    for found in (paired_difference(pairs, alpha), paired_ratio(pairs, alpha)):
        assert found.low <= found.estimate <= found.high
        assert not math.isnan(found.log_e)


@given(VALUES, VALUES, st.integers(0, 3))
@PLENTY
def test_sums_do_not_mind_how_they_are_added(a: list[float], b: list[float], at: int) -> None:
    whole, parts = moments(a + b), moments(a).plus(moments(b))
    assert parts.n == whole.n
    assert parts.mean == pytest.approx(whole.mean, abs=1e-9)
    back = parts.minus(moments(b))
    assert back.total == pytest.approx(moments(a).total, abs=1e-9)
    assert whole.variance == pytest.approx(np.var(a + b, ddof=1), rel=1e-6, abs=1e-6)


@given(st.lists(st.tuples(st.floats(0, 10), st.integers(0, 3)), min_size=2, max_size=20), ALPHAS)
@PLENTY
def test_ratio_of_sums_to_itself_is_one(units: list[tuple[float, int]], alpha: float) -> None:
    top, bottom = np.array(units).T
    arm = Joint(
        len(units),
        float(top.sum()),
        float(bottom.sum()),
        float((top**2).sum()),
        float((bottom**2).sum()),
        float((top * bottom).sum()),
    )
    found = quotient_ratio([(arm, arm)], alpha)
    assume(arm.bottom > 0 and arm.top > 1e-6)
    assert found.estimate == pytest.approx(1)
    assert found.low <= 1 <= found.high
    assert found.log_e <= 0


# Families, p-values


@given(st.lists(st.floats(-20, 20), max_size=8), ALPHAS)
@PLENTY
def test_e_bh_rejects_the_largest_and_more_of_more(log_e: list[float], alpha: float) -> None:
    rejected = e_bh(log_e, alpha)
    kept = [e for e, is_out in zip(log_e, rejected, strict=True) if not is_out]
    out = [e for e, is_out in zip(log_e, rejected, strict=True) if is_out]
    assert not kept or not out or max(kept) <= min(out)
    if out:
        assert min(out) >= math.log(len(log_e) / (len(out) * alpha)) - 1e-12
    grown = e_bh([e + 1 for e in log_e], alpha)
    assert all(after or not before for before, after in zip(rejected, grown, strict=True))


@given(st.lists(st.floats(-700, 700), min_size=1, max_size=8))
def test_average_lies_between_the_least_and_the_largest(log_e: list[float]) -> None:
    assert min(log_e) - 1e-9 <= log_mean(log_e) <= max(log_e) + 1e-9
    assert 0 <= p_value(log_mean(log_e)) <= 1


# Power


@given(st.floats(1e-4, 0.2), st.floats(1.3, 5), st.floats(0.01, 0.9), st.floats(0, 0.2), ALPHAS)
@settings(deadline=None, max_examples=30)
def test_needed_requests_show_the_effect_that_they_were_needed_for(
    rate: float, ratio: float, share: float, margin: float, alpha: float
) -> None:
    assume(rate * ratio < 1)
    needed = events_needed(rate, ratio, share, alpha, margin=margin)
    assert needed is not None
    shown = events_detectable(rate, needed, share, alpha, margin=margin)
    assert shown is not None
    assert shown <= ratio * 1.05
    seen = (round(needed * rate * ratio), round(needed * rate * (1 - share) / share))
    left = events_needed(rate, ratio, share, alpha, margin=margin, seen=seen)
    assert left is not None
    assert left <= needed


@given(st.floats(0.01, 100), st.floats(0.01, 0.9), st.integers(50, 10**6), ALPHAS, DIRECTIONS)
@settings(deadline=None, max_examples=30)
def test_detectable_difference_needs_as_many_requests(
    deviation: float, share: float, requests: int, alpha: float, direction: str
) -> None:
    effect = means_detectable(deviation, requests, share, alpha, direction=direction)  # type: ignore[arg-type]
    assert effect is not None
    signed = -effect if direction == "lower" else effect
    needed = means_needed(deviation, signed, share, alpha, direction=direction)  # type: ignore[arg-type]
    assert needed is not None
    assert needed == pytest.approx(requests, rel=0.05, abs=3)


# One look


@given(FEW, st.integers(1, 1000), FEW, st.integers(1, 1000))
def test_exceedances_of_both_arms_cannot_both_be_too_many(x: int, n: int, y: int, m: int) -> None:
    one, other = exceedance_test(x, n, y, m), exceedance_test(y, m, x, n)
    assert 0 <= one <= 1
    assert one + other >= 1 - 1e-9


@given(
    st.dictionaries(st.integers(0, 50), st.integers(1, 10**7), min_size=1),
    st.dictionaries(st.integers(0, 50), st.integers(1, 10**7), min_size=1),
)
def test_rank_test_is_a_probability(first: dict[int, int], second: dict[int, int]) -> None:
    found = mann_whitney(first, second)
    assert 0 <= found.p <= 1
    assert 0 <= found.share <= 1


@given(st.lists(st.floats(0.02, 1), min_size=1, max_size=6, unique=True), ALPHAS)
@settings(deadline=None, max_examples=20)
def test_boundaries_fall_and_stay_above_those_of_one_look(parts: list[float], alpha: float) -> None:
    parts = sorted(parts)
    assume(all(b - a > 0.01 for a, b in pairwise(parts)))
    found = boundaries(parts, alpha)
    for part, bound in zip(parts, found, strict=True):
        assert bound <= continuous_boundary(part, alpha / 2) + 1e-6 or math.isinf(bound)
    assert boundaries([*parts[:-1], 1.0] if parts[-1] < 1 else parts, alpha)[-1] > 0


@given(st.floats(-5, 5), st.floats(0.01, 5), st.floats(0.1, 10))
def test_belief_and_loss_agree(mean: float, error: float, prior: float) -> None:
    found = belief_of_means(mean, error, prior_deviation=prior)
    assert 0 <= found.chance <= 1
    assert found.loss >= 0
    assert found.champion_loss >= 0
    assert (found.chance > 0.5) == (found.champion_loss > found.loss) or found.chance == 0.5
