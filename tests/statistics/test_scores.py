from math import exp, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.statistics import scores
from gateway.statistics.events import Side
from gateway.statistics.means import Moments
from gateway.statistics.scores import ScoresProcess

SIDES: list[Side] = ["lower", "higher"]
EMPTY = Moments(0, 0.0, 0.0)
many = st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=30)


def moments(values: list[float]) -> Moments:
    return Moments(len(values), sum(values), sum(value**2 for value in values))


def evidence(drawn: list[tuple[float, bool]], share: float, margin: float, side: Side) -> float:
    arms = [[score for score, ours in drawn if ours is mine] for mine in (False, True)]
    period = (share, moments(arms[0]), moments(arms[1]))
    return scores.log_e_scores([period], margin=margin, direction=side)


@given(
    many,
    st.floats(0.01, 0.99),
    st.floats(0, 0.2),
    st.sampled_from(SIDES),
    st.floats(0, 1),
    st.floats(0, 1),
)
def test_bet_from_sums_never_gains_on_average_under_the_null(
    drawn: list[tuple[float, bool]], share: float, margin: float, side: Side, a: float, b: float
) -> None:
    """The next request goes to one arm or the other; scores are a and b, within the margin."""
    worse = a < b - margin if side == "lower" else a > b + margin
    if worse:
        a, b = b, a
    now = evidence(drawn, share, margin, side)
    ours = evidence([*drawn, (a, True)], share, margin, side)
    theirs = evidence([*drawn, (b, False)], share, margin, side)
    assert share * exp(ours - now) + (1 - share) * exp(theirs - now) <= 1 + 1e-9


@given(many, st.floats(0.01, 0.99), st.sampled_from(SIDES), st.floats(0, 1))
def test_bet_on_each_score_is_fair_where_arms_are_equal(
    drawn: list[tuple[float, bool]], share: float, side: Side, next_score: float
) -> None:
    def after(*more: tuple[float, bool]) -> float:
        process = ScoresProcess(share, direction=side)
        for score, ours in (*drawn, *more):
            process.update(score, is_challenger=ours)
        return process.log_e

    now = after()
    paid = share * exp(after((next_score, True)) - now)
    paid += (1 - share) * exp(after((next_score, False)) - now)
    assert paid == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("share", [0.5, 0.05])
def test_lower_scores_are_told_and_equal_ones_are_not(share: float) -> None:
    rng = np.random.default_rng(7)
    ours = rng.random(20_000) < share
    drawn = rng.beta(8, 2, 20_000)
    equal = list(zip(drawn.tolist(), ours.tolist(), strict=True))
    worse = list(zip((drawn - 0.1 * drawn * ours).tolist(), ours.tolist(), strict=True))
    assert evidence(equal, share, 0.0, "lower") < log(20)
    assert evidence(worse, share, 0.0, "lower") > log(20)
    assert evidence(worse, share, 0.2, "lower") < 0
    assert evidence(worse, share, 0.2, "higher") < evidence(worse, share, 0.0, "higher") < 0


def test_exchanged_arms_and_turned_scores_are_the_same_question() -> None:
    champion, challenger = moments([0.9, 0.8, 0.7] * 30), moments([0.5, 0.6, 0.4] * 10)
    one = scores.log_e_scores([(0.25, champion, challenger)], direction="lower")
    other = scores.log_e_scores([(0.75, challenger, champion)], direction="higher")
    assert one == pytest.approx(other)
    first, second = (
        Moments(m.n, m.n - m.total, m.n - 2 * m.total + m.squares) for m in (champion, challenger)
    )
    assert one == pytest.approx(scores.log_e_scores([(0.25, first, second)], direction="higher"))


def test_seeing_each_score_tells_no_later_than_sums() -> None:
    rng = np.random.default_rng(2)
    process = ScoresProcess(0.5)
    drawn = []
    for _ in range(1500):
        ours = bool(rng.random() < 0.5)
        score = float(rng.beta(4, 1)) * (0.9 if ours else 1.0)
        drawn.append((score, ours))
        process.update(score, is_challenger=ours)
    assert process.log_e > evidence(drawn, 0.5, 0.0, "lower") > log(20)


def test_periods_multiply_and_one_arm_alone_says_nothing() -> None:
    period = (0.2, moments([0.9] * 40), moments([0.2] * 10))
    once = scores.log_e_scores([period])
    assert scores.log_e_scores([period, period, (1.0, EMPTY, period[2])]) == pytest.approx(2 * once)
    assert scores.log_e_scores([(0.2, EMPTY, EMPTY)]) == 0
