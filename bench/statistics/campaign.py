"""The tests that prove the tests: size, power and coverage by simulation.

Each part asks the functions that gates call, or the array form beneath them. What alarms at
any look counts as an alarm: a run is 200 looks, or as many as the campaign has.

Cost: some minutes on one core for a full campaign; seconds for a slice.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from bench.statistics import worlds
from bench.statistics.findings import Power, Size
from gateway.statistics import events, proportions, scores, sequences, srm
from gateway.statistics.sequences import Direction
from gateway.statistics.tails import Floats

Alarms = NDArray[np.bool_]
AT_ONCE = 100  # runs whose values are in memory together
WARM_UP = 100  # requests of each arm before an asymptotic sequence is asked
RAMP = (0.01, 0.05, 0.25, 0.5)
LEAST_EVENTS = 3  # of a challenger, before it is called worse
# Requests per arm to stop, medians, as published in the table that these tests must meet.
EVENTS_PROMISED = {1.5: 3500, 2.0: 1100, 4.0: 200}
MEANS_PROMISED = {1.5: 3600, 2.0: 1300, 4.0: 400}
CANARY_FAILURES = 8000  # in 400,000 requests at 2 %
CANARY_PROMISED = {
    (0.01, 2.0): 472,
    (0.01, 4.0): 67,
    (0.01, 15.0): 9,
    (0.05, 2.0): 431,
    (0.05, 4.0): 68,
    (0.05, 15.0): 9,
}


@dataclass(frozen=True)
class Campaign:
    """How much of it, and from which seed."""

    runs: int = 2000
    looks: int = 200
    alpha: float = 0.05
    seed: int = 20261121

    def rng(self, part: str) -> np.random.Generator:
        """Of its own for each part, so that one can be run without the others."""
        return np.random.default_rng([self.seed, *part.encode()])

    @property
    def threshold(self) -> float:
        """Of log e."""
        return -float(np.log(self.alpha))

    def size(
        self, test: str, setting: str, alarms: Alarms, *, is_ours: bool = True, alpha: float = 0
    ) -> Size:
        """Of alarms at each look."""
        return Size(
            test=test,
            setting=setting,
            alpha=alpha or self.alpha,
            runs=len(alarms),
            looks=alarms.shape[1],
            alarms=int(alarms.any(axis=1).sum()),
            is_ours=is_ours,
        )


def power_of(
    test: str,
    setting: str,
    alpha: float,
    alarms: Alarms,
    requests: Floats,
    promised: float | None = None,
    *,
    is_ours: bool = True,
) -> Power:
    """Quantiles of the requests at the first alarm."""
    found = alarms.any(axis=1)
    at = alarms.argmax(axis=1)
    stopped = np.where(found, requests[np.arange(len(at)), at], np.inf)
    median, p90 = (float(np.quantile(stopped, q, method="higher")) for q in (0.5, 0.9))
    return Power(
        test=test,
        setting=setting,
        alpha=alpha,
        runs=len(at),
        found=int(found.sum()),
        median=median if np.isfinite(median) else None,
        p90=p90 if np.isfinite(p90) else None,
        promised=promised,
        is_ours=is_ours,
    )


def peeking(x: Floats, y: Floats, n: Floats, alpha: float) -> Alarms:
    """The z-test of equal arms at every look: what not to do."""
    both = (x + y) / (2 * n)
    se = np.sqrt(np.maximum(2 * both * (1 - both) / n, 1e-300))
    return np.asarray(np.abs(x - y) / n > -ndtri(alpha / 2) * se)


def asymptotic_shares(x: Floats, y: Floats, n: Floats, alpha: float) -> Alarms:
    """Two-sided sequence on shares of equal arms, as `proportions` has it."""
    likely = [(hits + 0.5) / (n + 1) for hits in (x, y)]
    se = np.sqrt(sum(share * (1 - share) / n for share in likely))
    t = sequences.mixture_time(2 * n, alpha)
    log_e = sequences.log_e_of((x - y) / n / se, t)
    return np.asarray((log_e >= -np.log(alpha)) & (n >= WARM_UP))


def of_moments(
    arms: worlds.Arms, ratio: float, direction: Direction, alpha: float
) -> tuple[Floats, Alarms]:
    """Evidence against a ratio of means, and where there are enough requests to ask."""
    y, x = arms
    means = [arm.total / np.maximum(arm.n, 1) for arm in (y, x)]
    spreads = [
        (arm.squares / np.maximum(arm.n, 1) - mean**2) / np.maximum(arm.n - 1, 1)
        for arm, mean in zip(arms, means, strict=True)
    ]
    spreads = list(sequences.steadied(y.n, spreads[0], x.n, spreads[1]))
    se = np.sqrt(np.maximum(spreads[1] + ratio**2 * spreads[0], 1e-300))
    information = 4 * x.n * y.n / np.maximum(x.n + y.n, 1)
    t = sequences.mixture_time(information, alpha, direction=direction)
    log_e = sequences.log_e_of((means[1] - ratio * means[0]) / se, t, direction=direction)
    return log_e, np.asarray(np.minimum(x.n, y.n) >= WARM_UP)


def chunks(runs: int) -> Iterator[int]:
    """Runs, some at a time."""
    for start in range(0, runs, AT_ONCE):
        yield min(AT_ONCE, runs - start)


def sizes_of_events(c: Campaign) -> Iterator[Size]:
    """No difference, or just as much as the margin allows."""
    rng = c.rng("events")
    equal = worlds.equal_arms(rng, 0.02, 1.0, c.runs, c.looks, 100)
    x, y, n = equal
    sides: tuple[events.Side, ...] = ("higher", "lower")
    for side in sides:
        log_e = events.log_e_array(x, y, 0.5, direction=side)
        yield c.size(f"events, {side}", "2 % of both, equal shares", log_e >= c.threshold)
    for share in (0.01, 0.05):
        looks = CANARY_FAILURES * c.looks // 1000
        small = worlds.canary(rng, 0.02, 1.0, share, runs=c.runs, looks=looks, step=5)
        log_e = events.log_e_array(small.challenger, small.champion, share)
        enough = small.challenger >= LEAST_EVENTS
        yield c.size("events, higher", f"2 % of both, share {share:.0%}", log_e >= c.threshold)
        yield c.size(
            "events, higher, from 3 on",
            f"2 % of both, share {share:.0%}",
            (log_e >= c.threshold) & enough,
        )
    bad = worlds.canary(rng, 0.02, 1.2, 0.2, runs=c.runs, looks=c.looks, step=5)
    log_e = events.log_e_array(bad.challenger, bad.champion, 0.2, 0.2)
    yield c.size("events, higher, margin 20 %", "2 → 2.4 %, share 20 %", log_e >= c.threshold)
    log_e = events.log_e_array(bad.challenger, bad.champion, 0.2, 0.2, direction="lower")
    yield c.size("events, not worse by 20 %", "2 → 2.4 %, share 20 %", log_e >= c.threshold)
    yield c.size("z-test at every look", "2 % of both", peeking(x, y, n, c.alpha), is_ours=False)


def sizes_of_ramps(c: Campaign) -> Iterator[Size]:
    """A ramp through a day whose rates go up and down, and users who stay on one side."""
    rng = c.rng("ramps")
    for late in (0.0, 0.2):
        log_e, _ = of_ramp(rng, dict.fromkeys(RAMP, 1.0), late, runs=c.runs, looks=c.looks)
        setting = f"ramp 1, 5, 25, 50 % in a day of 0.5 to 8 %, {late:.0%} kept"
        yield c.size("events, higher, periods", setting, log_e >= c.threshold)
    runs = min(c.runs, 500)
    users = worlds.sticky(rng, 0.2, runs, c.looks, 20, 10)
    for name, most in (("each counted", 1), ("divided by 10", 10)):
        log_e = events.log_e_array(users.challenger / most, users.champion / most, 0.2)
        yield c.size(
            f"events of users, {name}",
            "users of 10 requests stay on one side",
            log_e >= c.threshold,
            is_ours=most > 1,
        )


def of_ramp(
    rng: np.random.Generator, ramp: dict[float, float], late: float, *, runs: int, looks: int
) -> tuple[Floats, Floats]:
    """Evidence at each look of a ramp, and the challenger's requests of the last step."""
    before = np.zeros((runs, looks // len(ramp), 0))
    found = []
    parts = worlds.cycling(rng, ramp, runs=runs, looks=looks, step=500)
    for share, part in zip(ramp, parts, strict=True):
        now = events.log_e_array(part.challenger, part.champion, share)[..., None]
        found.append(events.log_e_in_turn(np.concatenate([before, now], axis=-1), late))
        ended = np.repeat(now[:, -1:], now.shape[1], axis=1)
        before = np.concatenate([before, ended], axis=-1)
    return np.concatenate(found, axis=1), parts[-1].requests


def power_of_ramps(c: Campaign) -> Iterator[Power]:
    """A challenger that is as good as the champion until it has half of the traffic."""
    ramp = dict.fromkeys(RAMP, 1.0) | {RAMP[-1]: 2.0}
    for late in (0.0, 0.2):
        rng = c.rng("late")
        log_e, requests = of_ramp(rng, ramp, late, runs=min(c.runs, 600), looks=c.looks)
        alarms = log_e[:, -requests.shape[1] :] >= c.threshold
        setting = f"× 2 from 50 % on, {late:.0%} kept"
        yield power_of("events, higher, periods", setting, c.alpha, alarms, requests)


def sizes_of_means(c: Campaign) -> Iterator[Size]:
    """Cost per request, heavy to one side, and shares; asymptotic, so from 100 of each arm on."""
    rng = c.rng("means")
    for share in (0.5, 0.05):
        step = 100 if share == 0.5 else 300
        found: dict[Direction, list[Alarms]] = {"either": [], "higher": [], "lower": []}
        for runs in chunks(c.runs):
            arms = worlds.values(rng, "cost", share, (runs, c.looks, step))
            for side, alarms in found.items():
                log_e, enough = of_moments(arms, 1.0, side, c.alpha)
                alarms.append((log_e >= c.threshold) & enough)
        for side, alarms in found.items():
            setting = f"lognormal, share {share:.0%}"
            yield c.size(f"mean, {side}", setting, np.concatenate(alarms))
    x, y, n = worlds.equal_arms(rng, 0.02, 1.0, c.runs, c.looks, 100)
    yield c.size("share, either", "2 % of both", asymptotic_shares(x, y, n, c.alpha))
    x, y, n = worlds.equal_arms(rng, 0.6, 1.0, c.runs, c.looks, 100)
    yield c.size("share, either", "60 % of both", asymptotic_shares(x, y, n, c.alpha))


def sizes_of_exact(c: Campaign) -> Iterator[Size]:
    """Accept rates and bounded scores without an approximation."""
    rng = c.rng("exact")
    for share in (0.5, 0.1):
        ours = rng.binomial(100, share, (c.runs, c.looks))
        parts = [rng.binomial(ours, 0.6), rng.binomial(100 - ours, 0.6)]
        hits = [part.cumsum(axis=1) for part in parts]
        rated = [part.cumsum(axis=1) for part in (ours, 100 - ours)]
        log_e = proportions.log_e_array(share, hits[1], rated[1], hits[0], rated[0])
        yield c.size(
            "share, exact, lower", f"60 % of both, share {share:.0%}", log_e >= c.threshold
        )
    for share in (0.5, 0.05):
        found = []
        for runs in chunks(c.runs):
            arms = worlds.values(rng, "score", share, (runs, c.looks, 50))
            found.append(scores.log_e_array(share, *arms, 0.0, "lower") >= c.threshold)
        yield c.size("score, lower", f"mean 0.8, share {share:.0%}", np.concatenate(found))


def coverage(c: Campaign) -> Iterator[Size]:
    """How often an interval misses the truth at one look or more."""
    rng = c.rng("coverage")
    for ratio in (1.0, 1.5):
        world = worlds.canary(rng, 0.02, ratio, 0.1, runs=c.runs, looks=c.looks, step=3)
        log_e = events.log_e_against(world.challenger, world.champion, 0.1, ratio)
        yield c.size("ratio of event rates", f"{ratio}, share 10 %", log_e >= c.threshold)
    for share, effect in ((0.5, 1.0), (0.5, 1.5), (0.1, 1.2)):
        found = []
        for runs in chunks(c.runs):
            arms = worlds.values(rng, "cost", share, (runs, c.looks, 100), effect)
            log_e, enough = of_moments(arms, effect, "either", c.alpha)
            found.append((log_e >= c.threshold) & enough)
        setting = f"lognormal, {effect}, share {share:.0%}"
        yield c.size("ratio of means", setting, np.concatenate(found))


def power(c: Campaign) -> Iterator[Power]:
    """Requests of each arm until an error rate of 2 % that has risen is told; equal shares."""
    rng = c.rng("power")
    for ratio, promised in EVENTS_PROMISED.items():
        x, y, n = worlds.equal_arms(rng, 0.02, ratio, c.runs, c.looks, 100)
        setting = f"2 → {2 * ratio:g} %"
        ours = events.log_e_array(x, y, 0.5) >= c.threshold
        yield power_of("events, higher", setting, c.alpha, ours, n, promised)
        shares = asymptotic_shares(x, y, n, c.alpha)
        yield power_of("share, either", setting, c.alpha, shares, n, MEANS_PROMISED[ratio])
        z = peeking(x, y, n, c.alpha)
        yield power_of("z-test at every look", setting, c.alpha, z, n, is_ours=False)
    for (share, ratio), promised in CANARY_PROMISED.items():
        looks = round(2 * CANARY_FAILURES / ratio**1.5)
        world = worlds.canary(rng, 0.02, ratio, share, runs=min(c.runs, 600), looks=looks)
        log_e = events.log_e_array(world.challenger, world.champion, share)
        alarms = (log_e >= c.threshold) & (world.challenger >= LEAST_EVENTS)
        setting = f"2 → {2 * ratio:g} %, share {share:.0%}"
        yield power_of(
            "events, higher, from 3 on", setting, c.alpha, alarms, world.requests, promised
        )


def power_of_values(c: Campaign) -> Iterator[Power]:
    """Cost and product signals; equal shares and a canary's."""
    rng = c.rng("values")
    runs = min(c.runs, 300)
    for share, effect in ((0.5, 2.0), (0.5, 1.1), (0.05, 2.0)):
        step = 50 if share == 0.5 else 500
        arms = worlds.values(rng, "cost", share, (runs, 60 if effect > 1.5 else 200, step), effect)
        log_e, enough = of_moments(arms, 1.0, "higher", c.alpha)
        setting = f"cost × {effect}, share {share:.0%}"
        alarms = (log_e >= c.threshold) & enough
        yield power_of("mean, higher", setting, c.alpha, alarms, np.asarray(arms.challenger.n))
    accepts = [rng.binomial(25, rate, (runs, c.looks)).cumsum(axis=1) for rate in (0.60, 0.55)]
    n = np.broadcast_to(25.0 * np.arange(1, c.looks + 1), accepts[0].shape)
    log_e = events.log_e_array(accepts[1], accepts[0], 0.5, direction="lower")
    setting = "accepts 60 → 55 %"
    yield power_of("events, lower", setting, c.alpha, log_e >= c.threshold, n)
    log_e = proportions.log_e_array(0.5, accepts[0], n, accepts[1], n)
    yield power_of("share, exact, lower", setting, c.alpha, log_e >= c.threshold, n)
    alarms = asymptotic_shares(accepts[1].astype(float), accepts[0].astype(float), n, c.alpha)
    yield power_of("share, either", setting, c.alpha, alarms, n)
    arms = worlds.values(rng, "score", 0.5, (runs, c.looks, 50), 0.95)
    n = np.asarray(arms.challenger.n)
    alarms = scores.log_e_array(0.5, *arms, 0.0, "lower") >= c.threshold
    yield power_of("score, lower", "score 0.80 → 0.76", c.alpha, alarms, n)
    log_e, enough = of_moments(arms, 1.0, "lower", c.alpha)
    alarms = (log_e >= c.threshold) & enough
    yield power_of("mean, lower", "score 0.80 → 0.76", c.alpha, alarms, n)


def drawn(rng: np.random.Generator, share: float, runs: int, looks: int) -> tuple[Floats, Floats]:
    """Assignments of two arms, looked at every 500: challenger's, and all."""
    ours = rng.binomial(500, share, (runs, looks)).cumsum(axis=1).astype(float)
    return ours, np.broadcast_to(500.0 * np.arange(1, looks + 1), ours.shape)


def log_e_of_shares(ours: Floats, whole: Floats, share: float) -> Floats:
    """The sequential check of two arms."""
    counts = np.stack([ours, whole - ours], axis=-1)
    return srm.log_e_drawn(counts, np.array([share, 1 - share]))


def samples(c: Campaign) -> Iterator[Size]:
    """Sample ratios that are as drawn, looked at every 500 units up to 100,000."""
    rng = c.rng("samples")
    for share in (0.05, 0.5):
        ours, whole = drawn(rng, share, c.runs, c.looks)
        chi = (ours - share * whole) ** 2 / (whole * share * (1 - share))
        log_e = log_e_of_shares(ours, whole, share)
        setting = f"share {share:.0%}, as drawn"
        for alpha in (0.05, 0.001):
            worst = float(ndtri(alpha / 2)) ** 2
            yield c.size("χ² at every look", setting, chi > worst, alpha=alpha, is_ours=False)
        for alpha in (0.05, 0.01):
            yield c.size("sample ratio", setting, log_e >= -np.log(alpha), alpha=alpha)


def power_of_samples(c: Campaign) -> Iterator[Power]:
    """An arm of 5 % that gets 5.5 %; requests are of all arms."""
    ours, whole = drawn(c.rng("skewed"), 0.055, min(c.runs, 400), 200)
    alarms = log_e_of_shares(ours, whole, 0.05) >= -np.log(0.01)
    setting = "5.0 % is 5.5 %, all units"
    yield power_of("sample ratio", setting, 0.01, alarms, whole, promised=100_000)


SIZES = (sizes_of_events, sizes_of_ramps, sizes_of_means, sizes_of_exact)
COVERAGE = (coverage,)
POWER = (power, power_of_ramps, power_of_values)
SAMPLES = (samples,)
SKEWED = (power_of_samples,)
