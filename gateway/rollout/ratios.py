"""Whether the arms' shares are as drawn, at every hop of a request's way.

assigned → dispatched → answered → recorded → feedback: who is lost at a hop is missing from
every comparison behind it, and seldom by chance. The check is the sequential one of
`statistics.srm`; it stays valid however often one looks.

Rule: a unit that is not the request brings many requests or few, so that the shares of
      requests are no test of the draw; later hops are then held against those that were assigned.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from gateway.rollout.counts import CHAMPION, ArmCounts, Period
from gateway.rollout.feedback_join import ANY
from gateway.rollout.verdict import HOPS, Hop, RatioVerdict
from gateway.statistics.srm import log_e_srm

ALPHA = 0.001  # of each hop: false alarms are seldom, and hold a rollout each time
LEAST = 100  # requests, before anything is said

_COUNTS: dict[Hop, Callable[[ArmCounts], int]] = {
    "assigned": lambda arm: arm.assigned,
    "dispatched": lambda arm: arm.dispatched,
    "answered": lambda arm: arm.answered,
    "recorded": lambda arm: arm.recorded,
    "feedback": lambda arm: arm.feedback[ANY].n if ANY in arm.feedback else 0,
}


def ratios(
    periods: Sequence[Period], arms: Sequence[str], *, is_sticky: bool
) -> tuple[RatioVerdict, ...]:
    """One verdict for each hop; `arms` are the challengers."""
    names = (CHAMPION, *arms)
    return tuple(_ratio(hop, periods, names, is_sticky=is_sticky) for hop in HOPS)


def _ratio(
    hop: Hop, periods: Sequence[Period], names: Sequence[str], *, is_sticky: bool
) -> RatioVerdict:
    count = _COUNTS[hop]
    log_e, totals, expected = 0.0, dict.fromkeys(names, 0), dict.fromkeys(names, 0.0)
    for period in periods:
        arms = [period.evidence.arm(name) for name in names]
        shares = [period.share(name) for name in names]
        if is_sticky:
            shares = [float(arm.assigned) for arm in arms]
        counts = [max(count(arm), 0) for arm in arms]
        served = [at for at, share in enumerate(shares) if share > 0]
        whole = sum(counts[at] for at in served)
        if len(served) < 2 or not whole:
            continue
        log_e += log_e_srm([counts[at] for at in served], [shares[at] for at in served])
        parts = math.fsum(shares)
        for at in served:
            totals[names[at]] += counts[at]
            expected[names[at]] += whole * shares[at] / parts
    return _told(hop, log_e, totals, expected, is_sticky=is_sticky)


def _told(
    hop: Hop, log_e: float, totals: dict[str, int], expected: dict[str, float], *, is_sticky: bool
) -> RatioVerdict:
    whole = sum(totals.values())
    shares = {name: share / whole for name, share in expected.items()} if whole else {}
    if hop == "assigned" and is_sticky:
        sentence = "Units bring different numbers of requests, so their shares tell nothing."
        return RatioVerdict(hop=hop, verdict="pass", sentence=sentence, counts=totals)
    if whole < LEAST:
        sentence = f"Not enough data: {LEAST - whole} more at the hop `{hop}`."
        return RatioVerdict(hop=hop, sentence=sentence, counts=totals, expected=shares)
    if log_e < -math.log(ALPHA):
        sentence = f"The arms' shares at the hop `{hop}` are as drawn."
        return RatioVerdict(
            hop=hop, verdict="pass", sentence=sentence, log_e=log_e, counts=totals, expected=shares
        )
    lacking = max(totals, key=lambda name: 1 - totals[name] / (expected[name] or 1))
    share, drawn = totals[lacking] / whole * 100, shares[lacking] * 100
    sentence = (
        f"The arms' shares at the hop `{hop}` are not as drawn: {lacking} has {share:.3g} % of"
        f" {whole:,} instead of {drawn:.3g} %."
    )
    return RatioVerdict(
        hop=hop, verdict="fail", sentence=sentence, log_e=log_e, counts=totals, expected=shares
    )
