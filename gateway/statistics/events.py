"""Exact evidence from counts of events: errors, timeouts, refusals, thumbs down.

Given that an event happens, it is the challenger's with probability θ = r ρ / (r ρ + 1 - r),
where r is its share of the requests and ρ its event rate over the champion's; the rate
itself, which may change all day, is not in it (Lindon & Malek, NeurIPS 2022). The null is
ρ <= 1 + margin, that is θ <= p = r (1 + margin) / (r (1 + margin) + 1 - r). The bet is spread
over θ > p by a Beta(a, b) cut off at p, and with x events of the challenger and y of the
champion pays

    E = ∫_p^1 θ^x (1-θ)^y dBeta(θ) / P(Beta > p) / (p^x (1-p)^y) = h(a, b) / h(a + x, b + y)

where h is the hazard, density over tail, of the Beta at p. Under every θ <= p each event
multiplies E by at most 1 on average, so E passes 1/alpha with probability at most alpha,
however often one looks. `lower` is the same with the arms' names exchanged.

Rule 1: a margin is relative and signed: harm to accepts by 5 % is `lower`, margin -0.05.
Rule 2: a share holds for a period; periods multiply.
Rule 3: each event is drawn anew. Where a unit (a user) brings up to k events and stays on one
side, divide both counts by k: valid at any one look, and nearly so at all of them.
Cost: 100 µs a call, whatever the counts.
"""

import math
from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import logsumexp

from gateway.statistics.sequences import Interval
from gateway.statistics.tails import Floats, log_beta_odds_density, log_hazard

Side = Literal["higher", "lower"]

_WIDEST = 80.0  # log of a ratio that nobody needs to tell from infinity


class Period(NamedTuple):
    """Events of both arms while the challenger had one share of the requests."""

    share: float
    challenger: float
    champion: float


def null_share(share: ArrayLike, ratio: ArrayLike = 1.0) -> tuple[Floats, Floats]:
    """θ, and 1 - θ: whose an event is, when the challenger's rate is `ratio` times the other."""
    share, ratio = np.asarray(share, dtype=float), np.asarray(ratio, dtype=float)
    both = share * ratio + (1 - share)
    return share * ratio / both, (1 - share) / both


def prior_of(p: ArrayLike, q: ArrayLike, ratio: float = 2.0) -> tuple[Floats, Floats]:
    """a, b of a Beta whose mean has `ratio` times the odds of p : q.

    Its lesser parameter is 1 at a canary's share, where a challenger may be many times worse
    and should be known within a few events, and 5 at equal shares, where it hardly can.
    At a small share r it is Beta(1, 1/(2 r)), mean 2 r: one event alone says little.
    """
    p, q = np.asarray(p, dtype=float), np.asarray(q, dtype=float)
    odds = ratio * p / q
    least = 1 + 16 * np.minimum(p, q) ** 2
    return least * np.maximum(odds, 1.0), least * np.maximum(1 / odds, 1.0)


def log_e_events(
    challenger: float,
    champion: float,
    share: float,
    *,
    margin: float = 0.0,
    direction: Side = "higher",
    prior: tuple[float, float] | None = None,
) -> float:
    """Evidence that the challenger's rate of events is above (below) 1 + margin times the other.

    The null is "at most" that with `higher`, "at least" with `lower`. So with errors `higher`
    shows harm, and `lower` shows that there is none beyond a margin, or with margin 0 that the
    challenger is better. `prior` is the Beta of the challenger's share of the events.
    """
    if not 0 < share < 1:
        return 0.0  # one arm alone says nothing of the other
    found = log_e_array(challenger, champion, share, margin, direction=direction, prior=prior)
    return float(found)


def log_e_array(
    challenger: ArrayLike,
    champion: ArrayLike,
    share: ArrayLike,
    margin: float = 0.0,
    *,
    direction: Side = "higher",
    prior: tuple[float, float] | None = None,
) -> Floats:
    """The same for arrays of counts; shares are inside (0, 1)."""
    p, q = null_share(share, 1 + margin)
    x, y = np.asarray(challenger, dtype=float), np.asarray(champion, dtype=float)
    if direction == "lower":
        p, q, x, y = q, p, y, x
        prior = prior and (prior[1], prior[0])
    a, b = prior or prior_of(p, q)
    return np.asarray(log_hazard(a, b, p, q) - log_hazard(a + x, b + y, p, q))


class EventsProcess:
    """Evidence over periods of constant share, as they come."""

    def __init__(self, *, margin: float = 0.0, direction: Side = "higher") -> None:
        self.margin = margin
        self.direction: Side = direction
        self.periods: list[Period] = []

    def update(self, share: float, challenger: float, champion: float) -> float:
        """Adds what was counted since the last time; says the evidence of all."""
        if self.periods and self.periods[-1].share == share:
            last = self.periods.pop()
            challenger, champion = challenger + last.challenger, champion + last.champion
        self.periods.append(Period(share, challenger, champion))
        return self.log_e

    @property
    def log_e(self) -> float:
        """Of all periods."""
        return log_e_periods(self.periods, margin=self.margin, direction=self.direction)


def log_e_periods(
    periods: Iterable[Period],
    *,
    margin: float = 0.0,
    direction: Side = "higher",
    late: float = 0.0,
) -> float:
    """Evidence of all periods; each bets anew, so that one with other traffic does no harm.

    `late` is the part of the stake that is kept for challengers that are well at first: half
    of what is left goes into play with each further period. Without it a good beginning,
    which is evidence for the challenger, has to be outweighed before harm at a later step is
    told. The kept part counts as it is, so the whole stays a fair bet.
    """
    each_ = [
        log_e_events(each.challenger, each.champion, each.share, margin=margin, direction=direction)
        for each in periods
    ]
    return float(log_e_in_turn(np.array(each_), late)) if each_ else 0.0


def log_e_in_turn(log_e: Floats, late: float = 0.0) -> Floats:
    """The evidence of periods, along the last axis, that go into play one after the other."""
    whole = np.asarray(np.sum(log_e, axis=-1))
    if not late:
        return whole
    count = log_e.shape[-1]
    since = np.flip(np.cumsum(np.flip(log_e, axis=-1), axis=-1), axis=-1)
    stakes = np.array([1 - late, *(late * 0.5**at for at in range(1, count))])
    kept = np.full((*whole.shape, 1), math.log(late * 0.5 ** (count - 1)))
    return np.asarray(logsumexp(np.concatenate([since + np.log(stakes), kept], axis=-1), axis=-1))


def rate_ratio(periods: Iterable[Period], alpha: float) -> Interval:
    """The challenger's rate of events over the champion's, with its anytime-valid interval.

    The interval is all ratios whose two-sided evidence, with a whole Beta around equal rates
    in each period, is below log 1/alpha; log e is that of ratio 1.
    """
    told = [each for each in periods if 0 < each.share < 1]
    x, y = sum(each.challenger for each in told), sum(each.champion for each in told)
    if not x + y:
        return Interval(math.nan, 0.0, math.inf, 0.0)
    best = _likeliest(told) if x and y else math.copysign(_WIDEST, x - y)

    def excess(log_ratio: Floats) -> Floats:
        return _log_e_ratio(told, log_ratio) + math.log(alpha)

    low = _edge(excess, best, -_WIDEST)
    high = _edge(excess, best, _WIDEST)
    log_e = float(_log_e_ratio(told, np.zeros(1))[0])
    return Interval(_exp(best), _exp(low), _exp(high), log_e)


def _log_e_ratio(periods: list[Period], log_ratio: Floats) -> Floats:
    """Evidence against each ratio; convex in its logarithm."""
    ratio = np.exp(log_ratio)
    found = (log_e_against(each.challenger, each.champion, each.share, ratio) for each in periods)
    return np.asarray(sum(found, np.zeros_like(log_ratio)))


def log_e_against(
    challenger: ArrayLike, champion: ArrayLike, share: ArrayLike, ratio: ArrayLike
) -> Floats:
    """Two-sided evidence against one ratio of the rates, by a whole Beta around equal rates."""
    x, y = np.asarray(challenger, dtype=float), np.asarray(champion, dtype=float)
    p, q = null_share(share, ratio)
    a, b = prior_of(*null_share(share), 1.0)
    after = log_beta_odds_density(a + x, b + y, p, q)
    return np.asarray(log_beta_odds_density(a, b, p, q) - after)


def _likeliest(periods: list[Period]) -> float:
    """Logarithm of the ratio at which as many of the events are the challenger's as were."""

    def excess(log_ratio: Floats) -> Floats:
        shares = [null_share(each.share, np.exp(log_ratio))[0] for each in periods]
        sizes = [each.challenger + each.champion for each in periods]
        expected = sum((n * p for n, p in zip(sizes, shares, strict=True)), np.zeros(1))
        return np.asarray(expected - sum(each.challenger for each in periods))

    return _edge(excess, -_WIDEST, _WIDEST)


def _edge(rises: Callable[[Floats], Floats], inside: float, outside: float) -> float:
    """Where a function goes from below 0, inside, to above; `outside` when it never does.

    Each round looks at 64 places at once and keeps the one between which it happens.
    """
    if not rises(np.array([outside]))[0] > 0:
        return outside
    for _ in range(9):
        places = np.linspace(inside, outside, 64)
        above = np.flatnonzero(rises(places) > 0)
        first = max(int(above[0]), 1)
        inside, outside = float(places[first - 1]), float(places[first])
    return outside


def _exp(log_ratio: float) -> float:
    """exp, with the widest as 0 and infinity."""
    if abs(log_ratio) >= _WIDEST:
        return math.inf if log_ratio > 0 else 0.0
    return math.exp(log_ratio)
