"""What the board has counted for each arm, since when, and at which weights.

A reading is what the rows of a rollout's variants, and the log, say now: an Evidence that
only grows. An Account keeps what was gained since the rollout began, in periods of constant
weights; the desk persists it, so that neither a restarted worker, controller nor gateway
loses or doubles anything.

    account.take(reading)              every look
    account.begin(weights, step, …)    whenever the weights have changed

Rule 1: requests that were given an arm by header or list are no evidence.
Rule 2: a row that counts less than before began anew: all it says now is gain.
Rule 3: a quantile is frozen from what came before; only what comes after is held against it.

Knows the board by its figures only; `control.figures.BoardView` is what the desk passes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from msgspec import Struct, field
from msgspec.structs import replace

from gateway.config.rollouts import Gate, Rollout
from gateway.edges import bucket_from, lower_edge
from gateway.errors import OUTCOMES
from gateway.plan import BackendPlan, Plan, RoutePlan
from gateway.rollout.counts import (
    CHAMPION,
    FINISHES,
    ArmCounts,
    Evidence,
    Frozen,
    Histogram,
    PairCounts,
    Period,
    SignalCounts,
    above,
    bucket_at,
    size,
)
from gateway.rollout.metrics import events_of, metric_of, moments_of, name_of, signal_of

FORCED = ":forced"
MOST_PERIODS = 64
MOST_POINTS = 1440  # minutes that Kayenta's judge looks back
MINUTE_MS = 60_000
BEYOND = 20  # values beyond a quantile that are wanted before it is frozen

_INDEX = {outcome.name: at for at, outcome in enumerate(OUTCOMES)}
# What the arm has to answer for: its backends' failures, what they refused, and what they
# could not take. Not what any arm would have refused, and not who left.
_ERRORS = [
    at
    for at, outcome in enumerate(OUTCOMES)
    if outcome.fault == "upstream"
    or outcome.name in {"upstream_4xx", "not_capable", "queue_full", "queue_timeout"}
]
_TIMEOUTS = [
    _INDEX[name]
    for name in (
        "deadline",
        "queue_timeout",
        "connect_timeout",
        "first_byte_timeout",
        "idle_timeout",
        "total_timeout",
    )
]
_TRUNCATED = [_INDEX["truncated"], _INDEX["stream_error"]]
_LEFT = [_INDEX["client_closed"], _INDEX["cancelled"]]
_NOT_SENT = [
    _INDEX[name]
    for name in (
        "bad_request",
        "bad_body",
        "body_too_large",
        "request_timeout",
        "upgrade_refused",
        "bad_override",
        "unauthenticated",
        "forbidden",
        "rate_limited",
        "budget_spent",
        "not_capable",
        "overloaded",
        "queue_full",
        "queue_timeout",
        "no_backend",
        "draining",
        "log_full",
    )
]
_LENGTH, _FILTER = 2, 4  # places in Row.finishes


class Row(Protocol):
    """The figures of one row of the board that evidence is made of."""

    @property
    def requests(self) -> int: ...
    @property
    def outcomes(self) -> Sequence[int]: ...
    @property
    def recorded(self) -> int: ...
    @property
    def recovered(self) -> int: ...
    @property
    def rescued(self) -> int: ...
    @property
    def finishes(self) -> Sequence[int]: ...
    @property
    def invalid(self) -> int: ...
    @property
    def cost_nano_usd(self) -> int: ...
    @property
    def cost_squares(self) -> float: ...
    @property
    def input_tokens(self) -> int: ...
    @property
    def output_tokens(self) -> int: ...
    @property
    def input_squares(self) -> float: ...
    @property
    def output_squares(self) -> float: ...


class Counted(Protocol):
    """One histogram of a row."""

    @property
    def counts(self) -> Any: ...  # an array, by bucket


class Board(Protocol):
    """What is asked of the board's reader."""

    def rows(self, wanted: Iterable[int]) -> Sequence[Row]: ...
    def histograms(self, row: int, names: Sequence[str]) -> Mapping[str, Counted]: ...
    def backends(self, backends: Sequence[BackendPlan]) -> Sequence[Any]: ...


class Log(Protocol):
    """Who follows the prediction log: `feedback_join.Follower`."""

    @property
    def name(self) -> str: ...
    def pairs(self, rollout: str) -> dict[str, PairCounts]: ...
    def feedback(self, rollout: str) -> dict[int, dict[str, dict[str, SignalCounts]]]: ...


class Witness:
    """Who counts: the board, and the log where it is followed."""

    def __init__(
        self,
        board: Board,
        name: str,
        plan: Callable[[], Plan],
        *,
        log: Log | None = None,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        now_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.board = name  # names the board; another one counts from nothing
        self._board, self._plan, self._log = board, plan, log
        self._now_ms, self._now_ns = now_ms, now_ns

    def read(self, name: str, rollout: Rollout) -> Evidence:
        """All that was counted for a rollout since the board was made."""
        reading = read(
            self._board,
            self._plan(),
            name,
            self._now_ms(),
            now_ns=self._now_ns(),
            name=self.board,
        )
        if self._log is not None:
            reading.log = self._log.name
            reading.late = self._log.feedback(name)
            reading.pairs = self._log.pairs(name)
        return reading

    def reference(self, rollout: Rollout) -> dict[str, Histogram]:
        """The route's own times, outside of every rollout: what `Account.freeze` may use."""
        plan = self._plan()
        return {
            metric: route_histogram(self._board, plan, rollout.route, name)
            for metric, name in (("latency", "total_ns"), ("first_byte", "first_byte_ns"))
        }


def read(
    board: Board, plan: Plan, rollout: str, at_ms: int, *, now_ns: int = 0, name: str = ""
) -> Evidence:
    """The figures of a rollout's arms; empty where the plan has none of them."""
    arms: dict[str, ArmCounts] = {}
    refusing: dict[str, bool] = {}
    for route in plan.routes:
        for variant in route.variants:
            arm = _arm_of(variant, rollout)
            if not arm:
                continue
            counted = _counts(board, variant, arm, is_logged=plan.log.enabled)
            arms[arm] = arms[arm].plus(counted) if arm in arms else counted
            is_refusing = _is_refusing(board, plan, variant, now_ns)
            refusing[arm] = refusing.get(arm, True) and is_refusing
    refused = tuple(arm for arm, is_refusing in refusing.items() if is_refusing)
    return Evidence(at_ms=at_ms, board=name, arms=arms, open_breakers=refused)


def route_histogram(board: Board, plan: Plan, route: str, name: str) -> Histogram:
    """What the route itself, outside of every rollout, has counted: what a quantile may be of."""
    row = next((one.row for one in plan.routes if one.name == route), None)
    return {} if row is None else _histogram(board.histograms(row, (name,)), name)


def _arm_of(variant: RoutePlan, rollout: str) -> str:
    """The arm of the rollout that the variant stands for; "" none, or no evidence."""
    if FORCED in variant.arm:
        return ""  # Why even another rollout's: whoever forces an arm is nobody's sample
    for one in variant.arm.split("+"):
        name, _, arm = one.rpartition(":")
        if name == rollout:
            return arm
    return ""


def _counts(board: Board, variant: RoutePlan, arm: str, *, is_logged: bool) -> ArmCounts:
    own, *attempts = board.rows([variant.row, *_attempt_rows(variant)])
    histograms = board.histograms(variant.row, ("total_ns", "first_byte_ns"))
    outcomes = own.outcomes
    ended = sum(outcomes)
    # Why not of the champion: its fallbacks are the route's own, and rescue nobody.
    rescued = 0 if arm == CHAMPION else own.rescued
    unrecorded = max(ended - own.recorded - rescued, 0) if is_logged else 0
    dispatched = own.requests - _of(outcomes, _NOT_SENT)
    answered = dispatched - _of(outcomes, _LEFT)
    return ArmCounts(
        assigned=own.requests,
        dispatched=dispatched,
        answered=answered,
        recorded=own.requests - unrecorded,
        ended=ended,
        # Why those too that a retry saved: with retries a model that fails often looks good.
        errors=_of(outcomes, _ERRORS) + own.recovered,
        timeouts=_of(outcomes, _TIMEOUTS),
        truncated=_of(outcomes, _TRUNCATED),
        rescued=rescued,
        refusals=own.finishes[_FILTER],
        cut_off=own.finishes[_LENGTH],
        schema_violations=own.invalid,
        finishes=tuple(own.finishes)[: len(FINISHES)],
        cost_nano_usd=own.cost_nano_usd,
        cost_squares_usd2=own.cost_squares,
        # Why its own first: squares are of whole requests, and sums must be of the same.
        input_tokens=own.input_tokens or sum(row.input_tokens for row in attempts),
        output_tokens=own.output_tokens or sum(row.output_tokens for row in attempts),
        input_squares=own.input_squares or sum(row.input_squares for row in attempts),
        output_squares=own.output_squares or sum(row.output_squares for row in attempts),
        total_ns=_histogram(histograms, "total_ns"),
        first_byte_ns=_histogram(histograms, "first_byte_ns"),
    )


def _attempt_rows(variant: RoutePlan) -> list[int]:
    steps = [step.row for step in variant.fallback if step.kind == "backend"]
    rows = (*variant.rows, *variant.larger_context_rows, *variant.content_filter_rows, *steps)
    return list(dict.fromkeys(rows))


def _of(outcomes: Sequence[int], wanted: Sequence[int]) -> int:
    return sum(outcomes[at] for at in wanted if at < len(outcomes))


def _histogram(histograms: Mapping[str, Counted], name: str) -> Histogram:
    found = histograms.get(name)
    if found is None:
        return {}
    occupied = found.counts.nonzero()[0]
    return dict(zip(occupied.tolist(), found.counts[occupied].tolist(), strict=True))


def _is_refusing(board: Board, plan: Plan, variant: RoutePlan, now_ns: int) -> bool:
    """Whether none of the variant's backends may be asked now."""
    backends = board.backends([plan.backends[index] for index in variant.candidates])
    return bool(now_ns) and all(one.open_until_ns > now_ns or one.unhealthy for one in backends)


class Account(Struct, kw_only=True, omit_defaults=True):
    """What a rollout has gained so far; kept by the desk between its looks."""

    seen: Evidence = field(default_factory=Evidence)  # the last reading
    periods: list[Period] = field(default_factory=list)
    minute: Evidence = field(default_factory=Evidence)  # of the last period, a minute ago

    def begin(self, weights: Mapping[str, int], step: int, reading: Evidence) -> None:
        """From here on these weights; what the reading adds is still the old weights'."""
        self.take(reading)
        last = self.periods[-1] if self.periods else None
        if last is not None and last.weights == dict(weights) and last.step == step:
            return
        if len(self.periods) >= MOST_PERIODS:
            del self.periods[0]
        self.periods.append(
            Period(
                weights=dict(weights),
                step=step,
                since_ms=reading.at_ms,
                until_ms=reading.at_ms,
                evidence=Evidence(at_ms=reading.at_ms),
            )
        )

    def take(self, reading: Evidence) -> None:
        """Credits what came since the last reading to the period under way."""
        gained = self._gain(reading)
        # Why merged: an arm that the plan has not now may come back, its row still counting.
        is_same = _is_same(self.seen.board, reading.board)
        arms = {**self.seen.arms, **reading.arms} if is_same else reading.arms
        self.seen = replace(reading, arms=arms)
        if not self.periods:
            return
        last = self.periods[-1]
        last.until_ms = reading.at_ms
        last.evidence = last.evidence.plus(replace(gained, late={}))
        for step, of_arms in gained.late.items():
            self._credit(step, of_arms)

    def _gain(self, reading: Evidence) -> Evidence:
        """What a reading says beyond the one before."""
        is_log = _is_same(self.seen.log, reading.log)
        before = self.seen if is_log else replace(self.seen, pairs={}, late={})
        gained = replace(reading, arms={}).minus(replace(before, arms={}))
        gained.arms = {
            arm: self._gain_of(arm, now, reading.board) for arm, now in reading.arms.items()
        }
        return gained

    def _gain_of(self, arm: str, now: ArmCounts, board: str) -> ArmCounts:
        before = self.seen.arms.get(arm)
        if not _is_same(self.seen.board, board):
            return now
        if before is None:  # its row may hold what another revision counted
            return ArmCounts()
        is_anew = now.assigned < before.assigned or now.ended < before.ended
        return now if is_anew else now.minus(before)

    def _credit(self, step: int, of_arms: Mapping[str, dict[str, SignalCounts]]) -> None:
        """Feedback, to the last period of the step that its requests were in."""
        period = next((one for one in reversed(self.periods) if one.step == step), None)
        if period is None:
            return
        arms = {arm: ArmCounts(feedback=signals) for arm, signals in of_arms.items()}
        period.evidence = period.evidence.plus(Evidence(arms=arms))

    def freeze(self, rollout: Rollout, reference: Mapping[str, Histogram]) -> None:
        """Finds the quantiles that the gates of the period under way still lack.

        `reference` has the route's own histograms by the metric's name, for a rollout that has
        seen too little itself.
        """
        if not self.periods:
            return
        self._mark_minute(rollout)
        period = self.periods[-1]
        for gate in rollout.gates:
            metric = metric_of(gate.metric)
            if metric is None or metric.histogram is None or name_of(gate) in period.frozen:
                continue
            enough = max(round(BEYOND / (1 - quantile_of(gate))), 100)
            own = self._times(metric.histogram)
            for known in (own, reference.get(metric.name, {})):
                if size(known) >= enough:
                    period.frozen[name_of(gate)] = frozen_at(gate, known, period.evidence)
                    break

    def _mark_minute(self, rollout: Rollout) -> None:
        """One point a minute for gates that are judged by such."""
        gates = [gate for gate in rollout.gates if gate.test == "kayenta"]
        period = self.periods[-1]
        if not gates:
            return
        if not period.since_ms <= self.minute.at_ms <= period.until_ms:
            self.minute = period.evidence
            return
        if period.evidence.at_ms - self.minute.at_ms < MINUTE_MS:
            return
        for gate in gates:
            minutes = period.points.setdefault(name_of(gate), {})
            for arm, counts in period.evidence.arms.items():
                point = point_of(counts.minus(self.minute.arm(arm)), gate)
                if point is not None:
                    minutes[arm] = [*minutes.get(arm, ())[1 - MOST_POINTS :], point]
        self.minute = period.evidence

    def _times(self, histogram: Callable[[ArmCounts], Histogram]) -> Histogram:
        """The champion's, all periods together: what comes later is held against them."""
        whole = ArmCounts()
        for period in self.periods:
            times = histogram(period.evidence.arm(CHAMPION))
            whole = whole.plus(ArmCounts(total_ns=times))
        return whole.total_ns

    def all_evidence(self) -> Evidence:
        """All periods together."""
        whole = Evidence()
        for period in self.periods:
            whole = whole.plus(period.evidence)
        return whole


def _is_same(before: str, now: str) -> bool:
    return not before or not now or before == now


def quantile_of(gate: Gate) -> float:
    return int(gate.quantile[1:]) / 100


def point_of(counts: ArmCounts, gate: Gate) -> float | None:
    """One minute of a metric: what monitoring would have shown; None: nothing came."""
    metric = metric_of(gate.metric)
    if metric is None or not counts.ended:
        return None
    if metric.histogram is not None:
        times = metric.histogram(counts)
        return float(lower_edge(bucket_at(times, quantile_of(gate)))) if times else None
    if metric.statistic == "events":
        return events_of(metric, counts, gate) / counts.ended
    if metric.statistic == "proportion":
        signal = signal_of(counts, gate)
        return signal.positive / signal.n if signal.n else None
    moments = moments_of(metric, counts, gate)
    return moments.total / moments.n if moments.n else None


def frozen_at(gate: Gate, known: Histogram, counted: Evidence) -> Frozen:
    """The champion's quantile as a bucket, and the challenger's own with the gate's margin."""
    metric = metric_of(gate.metric)
    if metric is None or metric.histogram is None:
        raise ValueError(f"{gate.metric} has no quantile")
    bucket = bucket_at(known, quantile_of(gate)) + 1
    own = bucket_from(lower_edge(bucket) * (1 + float(gate.margin)))
    before = {
        arm: (size(times), above(times, bucket), above(times, own))
        for arm, times in ((arm, metric.histogram(counts)) for arm, counts in counted.arms.items())
        if times
    }
    return Frozen(bucket=bucket, value_ns=lower_edge(bucket), margin_bucket=own, before=before)
