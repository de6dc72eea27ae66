"""Kayenta's judge beside evidence from the same errors, minute by minute.

Both arms get the same requests a minute for an hour. Kayenta's judge sees sixty error rates
of each and is asked once, at the end; the evidence of `events` sees the counts and is asked
every minute, and may speak at any of them.
"""

import math

import numpy as np

from bench.statistics.figure import Row, above
from gateway.statistics.events import log_e_array
from gateway.statistics.kayenta import Rule, classify

TABLE = "Kayenta's judge and evidence of events, 60 minutes, both at 2 %"
MINUTES, BASE, ALPHA = 60, 0.02, 0.02  # the judge's confidence is 98 %
HIGH = Rule(direction="increase")
# requests of each arm a minute, the challenger's errors; least power of the evidence, as
# measured elsewhere with 400 runs, less three standard errors
CASES = (
    (20, 0.02, None),
    (20, 0.04, 0.45),
    (20, 0.06, 0.96),
    (100, 0.03, 0.58),
    (100, 0.04, 0.98),
    (500, 0.03, 0.98),
    (500, 0.06, 0.98),
)


def rows(runs: int, seed: int) -> list[Row]:
    """The table of all cases."""
    return [
        row
        for requests, errors, least in CASES
        for row in case_of(requests, errors, least, runs, seed)
    ]


def case_of(requests: int, errors: float, least: float | None, runs: int, seed: int) -> list[Row]:
    """How often each raises the alarm, and when."""
    rng = np.random.default_rng((seed, requests, round(errors * 1000)))
    champion = rng.binomial(requests, BASE, (runs, MINUTES))
    challenger = rng.binomial(requests, errors, (runs, MINUTES))
    judged = [
        classify(y / requests, x / requests, HIGH).label == "High"
        for y, x in zip(champion, challenger, strict=True)
    ]
    log_e = log_e_array(np.cumsum(challenger, axis=1), np.cumsum(champion, axis=1), 0.5)
    spoken = log_e >= math.log(1 / ALPHA)
    alarmed = np.any(spoken, axis=1)
    minutes = np.argmax(spoken, axis=1)[alarmed] + 1
    case = f"{requests} requests a minute, {BASE:.0%} to {errors:.0%}"
    same = errors == BASE
    return [
        Row(table=TABLE, case=case, figure="Kayenta alarms", measured=float(np.mean(judged))),
        Row(
            table=TABLE,
            case=case,
            figure="evidence alarms",
            measured=float(np.mean(alarmed)),
            least=-math.inf if least is None else least,
            most=above(ALPHA, runs) if same else math.inf,
        ),
        Row(
            table=TABLE,
            case=case,
            figure="median minute",
            measured=float(np.median(minutes)) if minutes.size and not same else math.nan,
        ),
    ]
