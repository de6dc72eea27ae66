"""A rollout on paper, a thousand times: what it would catch, and what it would take for harm.

    simulate(rollout, traffic, Effect(factors={"errors": 2.0}), runs=1000, seed=1)

Every run draws its requests tick by tick, for both arms at the weight it is at; its gates
look at every tick, with the same statistics as `gates.judge`, on arrays of all runs at once.
A test rebuilds single runs as evidence and asks `judge` itself: both say the same.

Cost: 1,000 runs of the default ramp take a few seconds.
Rule 1: the same seed gives the same figures.
Rule 2: ticks are half a second at first and then one in a hundred of the time gone by; fewer
        looks than the desk takes, which changes nothing, the tests being valid at any number.
Rule 3: not simulated, and taken to pass: drift, disagreement, cost_per_accept, scores, and
        tests other than `sequential`; `Simulated.left_out` names them. People confirm at once.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from msgspec import Struct, field
from numpy.typing import NDArray

from gateway.config.rollouts import Gate, Rollout
from gateway.plan import PPM
from gateway.rollout.comparisons import LATE, Side
from gateway.rollout.counts import (
    CHAMPION,
    ArmCounts,
    Evidence,
    Frozen,
    Period,
    SignalCounts,
)
from gateway.rollout.evidence import quantile_of
from gateway.rollout.gates import FEWEST_EVENTS, family_of
from gateway.rollout.metrics import Metric, metric_of, name_of, signal_key
from gateway.rollout.traffic import Effect, Mean, Traffic, share_above
from gateway.statistics.events import log_e_array, log_e_in_turn
from gateway.statistics.sequences import log_e_of, mixture_time, steadied

FIRST_TICK_S, LONGEST_TICK_S, GROWTH = 0.5, 60.0, 0.01
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

RUNNING, PROMOTED, ROLLED_BACK = 0, 1, 2


class Stage(Struct, frozen=True):
    """One weight, and how long it lasts at least."""

    step: int
    weight: float
    seconds: float


class Outcome(Struct, kw_only=True):
    """What became of every run, one entry each; times are seconds since it began."""

    state: list[int]  # RUNNING, PROMOTED or ROLLED_BACK
    decided_s: list[float]
    challenger_requests: list[int]
    failed_gate: list[str]


class Simulated(Struct, kw_only=True):
    """The figures of one effect."""

    effect: str
    runs: int
    promoted: float  # shares of the runs
    rolled_back: float
    undecided: float
    rollback_s: tuple[float, float] | None = None  # median and p90, of those rolled back
    rollback_requests: tuple[float, float] | None = None  # of the challenger, until then
    promotion_s: tuple[float, float] | None = None
    by_gate: dict[str, float] = {}  # share of the runs that it rolled back
    harmed: float = 0.0  # requests a run that would not have failed with the champion
    extra_usd: float = 0.0  # a run, beyond what the champion costs
    # (seconds, running, promoted, rolled back): shares of the runs, for a picture
    timeline: list[tuple[float, float, float, float]] = field(default_factory=list)
    left_out: tuple[str, ...] = ()
    outcome: Outcome | None = None


def stages_of(rollout: Rollout) -> list[Stage]:
    """The weights that a rollout goes through; pauses and analyses make them longer."""
    stages: list[Stage] = []
    least = rollout.minimum.time / 1e9
    for index, step in enumerate(rollout.steps):
        if step.set_weight is not None:
            stages.append(Stage(index, step.set_weight / 100, least))
        pause = step.pause.duration if step.pause else 0
        wait = (pause or (step.analysis.duration if step.analysis else 0)) / 1e9
        if stages and wait:
            last = stages[-1]
            stages[-1] = Stage(last.step, last.weight, last.seconds + wait)
    return stages


def simulate(
    rollout: Rollout,
    traffic: Traffic,
    effect: Effect | None = None,
    *,
    runs: int = 1000,
    seed: int = 0,
    longest_s: float = 0.0,
) -> Simulated:
    """Runs of one rollout with one challenger; undecided after `longest_s` they end."""
    effect = effect or Effect()
    stages = stages_of(rollout)
    longest_s = longest_s or max(6 * 3600.0, 3 * sum(stage.seconds for stage in stages))
    campaign = Campaign(rollout, traffic, effect, stages, runs, seed)
    for now_s, tick_s in _ticks(longest_s):
        campaign.step(now_s, tick_s)
        if not campaign.is_running.any():
            break
    return campaign.figures()


def _ticks(longest_s: float) -> Iterator[tuple[float, float]]:
    now_s = 0.0
    while now_s < longest_s:
        tick_s = min(max(FIRST_TICK_S, GROWTH * now_s), LONGEST_TICK_S)
        now_s += tick_s
        yield now_s, tick_s


class Campaign:
    """All runs of one effect, side by side: arrays by stage and run."""

    def __init__(
        self,
        rollout: Rollout,
        traffic: Traffic,
        effect: Effect,
        stages: Sequence[Stage],
        runs: int,
        seed: int,
    ) -> None:
        self.rollout, self.traffic, self.effect, self.stages = rollout, traffic, effect, stages
        self._random = np.random.default_rng(seed)
        shape = (len(stages), runs)
        self.champion_n = np.zeros(shape, np.int64)
        self.challenger_n = np.zeros(shape, np.int64)
        self.stage = np.zeros(runs, np.int64)
        self.since_s = np.zeros(runs)
        self.state = np.full(runs, RUNNING)
        self.decided_s = np.zeros(runs)
        self.failed = np.full(runs, -1)
        self.trials: list[Trial] = []
        self.left_out: list[str] = []
        for at, gate in enumerate(rollout.gates):
            trial = _trial_of(at, gate, self)
            if trial is None:
                self.left_out.append(name_of(gate))
            else:
                self.trials.append(trial)
        self._timeline: list[tuple[float, float, float, float]] = []

    @property
    def random(self) -> np.random.Generator:
        return self._random

    @property
    def runs(self) -> int:
        return int(self.stage.size)

    @property
    def is_running(self) -> Flags:
        return np.asarray(self.state == RUNNING)

    def alpha_of(self, gate: Gate) -> float:
        return float(gate.alpha or self.rollout.alpha)

    def step(self, now_s: float, tick_s: float) -> None:
        """One tick: requests come, gates look, runs end or go on."""
        at = np.flatnonzero(self.is_running)
        stage = self.stage[at]
        weights = np.array([one.weight for one in self.stages])[stage]
        came = self._random.poisson(self.traffic.requests_per_s * tick_s, at.size)
        challengers = self._random.binomial(came, weights)
        self.challenger_n[stage, at] += challengers
        self.champion_n[stage, at] += came - challengers
        for trial in self.trials:
            trial.draw(at, stage, challengers, came - challengers)
        self._roll_back(at, now_s)
        self._advance(now_s)
        self._mark(now_s)

    def _roll_back(self, at: NDArray[np.intp], now_s: float) -> None:
        """e-BH over the guardrails of each run, as `gates` has it."""
        guards = [one for one in self.trials if one.gate.kind == "guardrail"]
        if not guards or not at.size:
            return
        # Why all guardrails of the rollout: those that are left out are there when it runs.
        family, alpha = family_of(self.rollout), float(self.rollout.alpha)
        size = len(family)
        evidence = np.stack([one.weighed(at, family[one.number]) for one in guards])
        ordered = -np.sort(-evidence, axis=0)
        ranks = np.arange(1, len(guards) + 1)[:, None]
        enough = ordered >= np.log(size / (ranks * alpha))
        rejected = np.where(enough, ranks, 0).max(axis=0)
        if not rejected.any():
            return
        fallen = np.flatnonzero(rejected > 0)
        worst = evidence[:, fallen].argmax(axis=0)
        runs = at[fallen]
        self.state[runs] = ROLLED_BACK
        self.decided_s[runs] = now_s
        self.failed[runs] = np.array([one.number for one in guards])[worst]

    def _advance(self, now_s: float) -> None:
        """On to the next weight where time, samples and every gate allow it."""
        at = np.flatnonzero(self.is_running)
        stage = self.stage[at]
        seconds = np.array([one.seconds for one in self.stages])[stage]
        ready = now_s - self.since_s[at] >= seconds
        ready &= self.challenger_n[stage, at] >= self.rollout.minimum.samples
        at = at[ready]
        for trial in self.trials:
            if at.size:
                at = at[trial.passes(at)]
        if not at.size:
            return
        for trial in self.trials:
            trial.close(at, self.stage[at])
        self.stage[at] += 1
        self.since_s[at] = now_s
        done = at[self.stage[at] >= len(self.stages)]
        self.stage[done] = len(self.stages) - 1
        self.state[done] = PROMOTED
        self.decided_s[done] = now_s

    def _mark(self, now_s: float) -> None:
        shares = [float(np.mean(self.state == one)) for one in (RUNNING, PROMOTED, ROLLED_BACK)]
        if not self._timeline or tuple(shares) != self._timeline[-1][1:]:
            self._timeline.append((now_s, shares[0], shares[1], shares[2]))

    def figures(self) -> Simulated:
        """All runs summed up."""
        fell, rose = self.state == ROLLED_BACK, self.state == PROMOTED
        requests = self.challenger_n.sum(axis=0)
        names = [name_of(gate) for gate in self.rollout.gates]
        share, cost = self.traffic.shares.get("errors", 0.0), self.traffic.means.get("cost")
        each_usd = cost.mean * (self.effect.of("cost") - 1) if cost else 0.0
        return Simulated(
            effect=self.effect.name,
            runs=self.runs,
            promoted=float(np.mean(rose)),
            rolled_back=float(np.mean(fell)),
            undecided=float(np.mean(self.state == RUNNING)),
            rollback_s=_middle(self.decided_s[fell]),
            rollback_requests=_middle(requests[fell]),
            promotion_s=_middle(self.decided_s[rose]),
            by_gate={
                names[number]: float(np.mean(fell & (self.failed == number)))
                for number in np.unique(self.failed[fell]).tolist()
            },
            harmed=float(np.mean(requests)) * share * (self.effect.of("errors") - 1),
            extra_usd=float(np.mean(requests)) * each_usd,
            timeline=self._timeline,
            left_out=tuple(self.left_out),
            outcome=Outcome(
                state=self.state.tolist(),
                decided_s=self.decided_s.tolist(),
                challenger_requests=requests.tolist(),
                failed_gate=[names[one] if one >= 0 else "" for one in self.failed.tolist()],
            ),
        )

    def periods(self, run: int) -> list[Period]:
        """One run as the evidence that `judge` would be given."""
        arm = next(iter(self.rollout.arms), "challenger")
        found = []
        for number in range(int(self.stage[run]) + 1):
            stage = self.stages[number]
            counts = {
                CHAMPION: _requests(int(self.champion_n[number, run])),
                arm: _requests(int(self.challenger_n[number, run])),
            }
            period = Period(
                weights={arm: round(stage.weight * PPM)},
                step=stage.step,
                evidence=Evidence(arms=counts),
                until_ms=1000,
            )
            for trial in self.trials:
                trial.write(period, number, run, arm)
            found.append(period)
        return found


def _requests(n: int) -> ArmCounts:
    return ArmCounts(assigned=n, dispatched=n, answered=n, recorded=n, ended=n)


def _middle(values: Floats | Ints) -> tuple[float, float] | None:
    """Median and p90."""
    if not values.size:
        return None
    middle, high = np.percentile(values, [50, 90]).tolist()
    return middle, high


# -- gates, on arrays


class Trial:
    """One gate of all runs."""

    number: int
    gate: Gate
    bar: float  # evidence that is enough

    def draw(self, at: NDArray[np.intp], stage: Ints, challengers: Ints, champions: Ints) -> None:
        """Takes in a tick's requests of these runs."""
        raise NotImplementedError

    def weighed(self, at: NDArray[np.intp], by: float) -> Floats:
        """Evidence of harm as e-BH wants it: only what may fail counts."""
        harm = self.harm(at)
        return np.where((harm >= self.bar) & self.is_proof(at), harm + by, np.minimum(harm, 0.0))

    def harm(self, at: NDArray[np.intp]) -> Floats:
        raise NotImplementedError

    def is_proof(self, at: NDArray[np.intp]) -> Flags:
        """Whether there are enough events to prove anything."""
        return np.ones(at.size, np.bool_)

    def passes(self, at: NDArray[np.intp]) -> Flags:
        raise NotImplementedError

    def close(self, at: NDArray[np.intp], stage: Ints) -> None:
        """The period of these runs ends."""
        raise NotImplementedError

    def write(self, period: Period, number: int, run: int, arm: str) -> None:
        """What this gate looks at, into a period for `judge`."""
        raise NotImplementedError


def _trial_of(number: int, gate: Gate, campaign: Campaign) -> Trial | None:
    """The gate on arrays; None where it is not simulated."""
    metric, traffic = metric_of(gate.metric), campaign.traffic
    if metric is None or gate.test != "sequential":
        return None
    if metric.statistic == "events":
        rated = traffic.signals.get(metric.signal)
        share = rated.answered if rated else traffic.shares.get(metric.name)
        if share is None:
            return None
        own = min(share * campaign.effect.of(metric.name), 1.0)
        return EventTrial(number, gate, metric, campaign, share, own, own)
    if metric.statistic == "exceedance" and traffic.times_ms.get(metric.name):
        return _exceedance_trial(number, gate, metric, campaign)
    if metric.statistic == "mean" and metric.name in traffic.means:
        return MeanTrial(number, gate, metric, campaign, traffic.means[metric.name], 1.0)
    if metric.statistic == "proportion" and metric.signal in traffic.signals:
        rated = traffic.signals[metric.signal]
        share = rated.positive
        figure = Mean(share, math.sqrt(share * (1 - share)))
        return MeanTrial(number, gate, metric, campaign, figure, rated.answered)
    return None


def _exceedance_trial(number: int, gate: Gate, metric: Metric, campaign: Campaign) -> EventTrial:
    sample = np.array(campaign.traffic.times_ms[metric.name])
    limit = float(np.quantile(sample, quantile_of(gate)))
    factor = campaign.effect.of(metric.name)
    share = share_above(sample, limit)
    above_own = share_above(sample, limit * (1 + float(gate.margin)) / factor)
    return EventTrial(
        number, gate, metric, campaign, share, above_own, share_above(sample, limit / factor)
    )


class EventTrial(Trial):
    """Events by binomial draws; evidence only where the challenger has a new one.

    Why there: the champion's events lower the evidence of harm, its own alone raise it.
    """

    def __init__(
        self,
        number: int,
        gate: Gate,
        metric: Metric,
        campaign: Campaign,
        champion: float,
        challenger: float,
        unmargined: float,
    ) -> None:
        self.number, self.gate, self.bar = number, gate, -math.log(campaign.alpha_of(gate))
        self._metric, self._campaign = metric, campaign
        self._champion, self._challenger, self._unmargined = champion, challenger, unmargined
        self._margin = 0.0 if metric.statistic == "exceedance" else float(gate.margin)
        self.champions = np.zeros_like(campaign.champion_n)
        self.challengers = np.zeros_like(campaign.champion_n)
        self.without = np.zeros_like(campaign.champion_n)  # against the champion's own limit
        self._closed = np.zeros((2, campaign.runs))  # fine, better; of periods that ended
        self._ended = np.zeros_like(self.champions, dtype=float)  # harm, by period
        self._is_new = np.zeros(campaign.runs, np.bool_)
        self._harm = np.zeros(campaign.runs)

    def draw(self, at: NDArray[np.intp], stage: Ints, challengers: Ints, champions: Ints) -> None:
        random = self._campaign.random
        self.champions[stage, at] += random.binomial(champions, self._champion)
        above = random.binomial(challengers, self._unmargined)
        within = min(self._challenger / self._unmargined, 1.0) if self._unmargined else 0.0
        new = random.binomial(above, within)
        self.without[stage, at] += above
        self.challengers[stage, at] += new
        self._is_new[at] |= new > 0

    def _evidence(self, at: NDArray[np.intp], side: Side, margin: float, counts: Ints) -> Floats:
        """Of the period under way."""
        stage = self._campaign.stage[at]
        shares = np.array([one.weight for one in self._campaign.stages])[stage]
        inside = (shares > 0) & (shares < 1)
        found = np.zeros(at.size)
        if inside.any():
            runs, stages = at[inside], stage[inside]
            found[inside] = log_e_array(
                counts[stages, runs],
                self.champions[stages, runs],
                shares[inside],
                margin,
                direction=side,
            )
        return found

    def harm(self, at: NDArray[np.intp]) -> Floats:
        # Those that are enough are asked again: the champion's events may have lowered them.
        new = at[self._is_new[at] | (self._harm[at] >= self.bar)]
        if new.size:
            now = self._evidence(new, "higher", self._margin, self.challengers)
            stage = self._campaign.stage[new]
            for number in np.unique(stage).tolist():
                runs = new[stage == number]
                each = np.vstack([self._ended[:number, runs], now[stage == number]])
                self._harm[runs] = log_e_in_turn(each.T, LATE)
            self._is_new[new] = False
        return self._harm[at]

    def is_proof(self, at: NDArray[np.intp]) -> Flags:
        return np.asarray(self.challengers[:, at].sum(axis=0) >= FEWEST_EVENTS)

    def passes(self, at: NDArray[np.intp]) -> Flags:
        campaign, gate = self._campaign, self.gate
        champions = campaign.champion_n[:, at].sum(axis=0)
        least = np.minimum(champions, campaign.challenger_n[:, at].sum(axis=0))
        self._is_new[at] = True  # Why: champions' events since have lowered it
        good = (least >= gate.minimum) & (self.harm(at) < self.bar / 2)
        if gate.needs == "not_worse":
            counts = self._evidence(at, "lower", self._margin, self.challengers)
            good &= self._closed[0, at] + counts >= self.bar
        if gate.needs == "better":
            good &= self._closed[1, at] + self._evidence(at, "lower", 0.0, self.without) >= self.bar
        return np.asarray(good)

    def close(self, at: NDArray[np.intp], stage: Ints) -> None:
        self._ended[stage, at] = self._evidence(at, "higher", self._margin, self.challengers)
        if self.gate.needs == "not_worse":
            self._closed[0, at] += self._evidence(at, "lower", self._margin, self.challengers)
        if self.gate.needs == "better":
            self._closed[1, at] += self._evidence(at, "lower", 0.0, self.without)
        self._is_new[at] = True

    def write(self, period: Period, number: int, run: int, arm: str) -> None:
        of_champion, of_challenger = period.evidence.arms[CHAMPION], period.evidence.arms[arm]
        champions = int(self.champions[number, run])
        challengers, without = int(self.challengers[number, run]), int(self.without[number, run])
        if self._metric.signal:
            key = signal_key(self.gate)
            of_champion.feedback[key] = SignalCounts(n=champions, positive=champions)
            of_challenger.feedback[key] = SignalCounts(n=challengers, positive=challengers)
        elif self._metric.statistic == "events":
            setattr(of_champion, self._metric.name, champions)
            setattr(of_challenger, self._metric.name, challengers)
        else:
            name = "total_ns" if self._metric.name == "latency" else "first_byte_ns"
            n, m = of_champion.ended, of_challenger.ended
            setattr(of_champion, name, _told({1: n - champions, 2: champions}))
            within = without - challengers
            setattr(of_challenger, name, _told({1: m - without, 2: within, 3: challengers}))
            period.frozen[name_of(self.gate)] = Frozen(bucket=2, value_ns=2, margin_bucket=3)


def _told(histogram: dict[int, int]) -> dict[int, int]:
    return {bucket: count for bucket, count in histogram.items() if count}


class MeanTrial(Trial):
    """Sums of figures, normal by the central limit; shares of those that were rated."""

    def __init__(
        self,
        number: int,
        gate: Gate,
        metric: Metric,
        campaign: Campaign,
        figure: Mean,
        answered: float,
    ) -> None:
        self.number, self.gate, self.bar = number, gate, -math.log(campaign.alpha_of(gate))
        self._metric, self._campaign, self._figure = metric, campaign, figure
        self._answered = answered
        self._factor = campaign.effect.of(metric.name)
        shape = (2, *campaign.champion_n.shape)  # champion, challenger
        self.n = np.zeros(shape, np.int64)
        self.total = np.zeros(shape)
        self.squares = np.zeros(shape)

    @property
    def _is_share(self) -> bool:
        return self._metric.statistic == "proportion"

    def draw(self, at: NDArray[np.intp], stage: Ints, challengers: Ints, champions: Ints) -> None:
        for arm, came, factor in ((0, champions, 1.0), (1, challengers, self._factor)):
            random = self._campaign.random
            n = random.binomial(came, self._answered) if self._answered < 1 else came
            mean = self._figure.mean * factor
            if self._is_share:
                total = random.binomial(n, min(mean, 1.0)).astype(float)
                squares = total
            else:
                deviation = self._figure.deviation * factor
                total = random.normal(n * mean, deviation * np.sqrt(n))
                about = deviation**2 * random.chisquare(np.maximum(n - 1, 1e-9))
                squares = about + total**2 / np.maximum(n, 1)
            self.n[arm][stage, at] += n
            self.total[arm][stage, at] += total
            self.squares[arm][stage, at] += squares

    def _estimates(self, at: NDArray[np.intp], arm: int) -> tuple[Floats, Floats, Floats]:
        n = self.n[arm][:, at].astype(float)
        total = self.total[arm][:, at]
        with np.errstate(divide="ignore", invalid="ignore"):
            value = np.asarray(total / n)
            if self._is_share:
                likely = (total + 0.5) / (n + 1)
                variance = likely * (1 - likely) / n
            else:
                squares = self.squares[arm][:, at]
                variance = np.maximum((squares - total * value) / (n - 1), 0.0) / n
        return n, value, np.asarray(variance)

    def _log_e(self, at: NDArray[np.intp], direction: Side, margin: float) -> Floats:
        """`means.mean_ratio` (or `share_ratio`) over all periods, on arrays."""
        n_y, y, var_y = self._estimates(at, 0)
        n_x, x, var_x = self._estimates(at, 1)
        var_y, var_x = steadied(n_y, var_y, n_x, var_x)
        known = (n_y > 1) & (n_x > 1)
        with np.errstate(divide="ignore", invalid="ignore"):
            sizes = np.where(known, n_y * n_x / (n_y + n_x), 0.0)
            whole = sizes.sum(axis=0)
            parts = sizes / whole
        y, x = (np.where(known, one, 0.0) for one in (y, x))
        var_y, var_x = (np.where(known, one, 0.0) for one in (var_y, var_x))
        top, bottom = (parts * x).sum(axis=0), (parts * y).sum(axis=0)
        null = 1 + margin
        spread = (parts**2 * (var_x + null**2 * var_y)).sum(axis=0)
        scale = np.maximum(np.maximum(np.abs(top), np.abs(bottom)), 1e-300)
        se = np.maximum(np.sqrt(spread), 1e-9 * scale)
        alpha = math.exp(-self.bar)
        t = mixture_time(4 * whole, alpha, direction="higher")
        z = np.where(whole > 0, (top - null * bottom) / se, 0.0)
        found = log_e_of(np.nan_to_num(z), np.nan_to_num(t), direction=direction)
        enough = np.minimum(n_y.sum(axis=0), n_x.sum(axis=0)) >= 100
        return np.asarray(np.where(enough & (whole > 0), found, 0.0))

    @property
    def _worse(self) -> tuple[Side, Side, float]:
        margin = float(self.gate.margin)
        if self._metric.better == "lower":
            return "higher", "lower", margin
        return "lower", "higher", -margin

    def harm(self, at: NDArray[np.intp]) -> Floats:
        worse, _, margin = self._worse
        return self._log_e(at, worse, margin)

    def passes(self, at: NDArray[np.intp]) -> Flags:
        least = np.minimum(self.n[0][:, at].sum(axis=0), self.n[1][:, at].sum(axis=0))
        good = (least >= self.gate.minimum) & (self.harm(at) < self.bar / 2)
        _, better, margin = self._worse
        if self.gate.needs == "not_worse":
            good &= self._log_e(at, better, margin) >= self.bar
        if self.gate.needs == "better":
            good &= self._log_e(at, better, 0.0) >= self.bar
        return np.asarray(good)

    def close(self, at: NDArray[np.intp], stage: Ints) -> None:
        """Nothing: periods are kept apart anyway."""

    def write(self, period: Period, number: int, run: int, arm: str) -> None:
        for at, name in enumerate((CHAMPION, arm)):
            counts = period.evidence.arms[name]
            n, total = int(self.n[at][number, run]), float(self.total[at][number, run])
            squares = float(self.squares[at][number, run])
            if self._metric.signal:
                key = signal_key(self.gate)
                counts.feedback[key] = SignalCounts(
                    n=n, positive=round(total), total=total, squares=squares
                )
            elif self._metric.name == "cost":
                counts.cost_nano_usd = round(total * 1e9)
                counts.cost_squares_usd2 = squares
            else:
                setattr(counts, self._metric.name, round(total))
                setattr(counts, self._metric.name.replace("tokens", "squares"), squares)
