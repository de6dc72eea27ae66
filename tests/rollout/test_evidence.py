"""From rows of the board to what each arm has gained, since when, at which weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import pytest
import yaml
from msgspec import Struct
from numpy.typing import NDArray

from gateway.compiler import compile_plan
from gateway.config import parse
from gateway.config.document import rollout_hash
from gateway.config.rollouts import Gate
from gateway.config.units import Share
from gateway.edges import bucket_of, lower_edge
from gateway.errors import OUTCOMES
from gateway.messages import Delivery, HeaderMatch, Standing
from gateway.plan import Plan, RoutePlan
from gateway.rollout.counts import (
    CHAMPION,
    ArmCounts,
    Evidence,
    PairCounts,
    SignalCounts,
)
from gateway.rollout.evidence import Account, Witness, point_of, read
from tests.rollout.cases import counts, rollout_of

TEXT = {
    "backends": {
        name: {"protocol": "openai", "url": f"http://127.0.0.1:{port}/v1"}
        for name, port in (("one", 9001), ("two", 9002))
    },
    "routes": {"chat": {"backends": ["one"]}},
    "rollouts": {"r": {"route": "chat", "arms": {"new": {"backends": ["two"]}}, "layer": "l"}},
}


def plan_of(weight: int = 10_000, *, is_logged: bool = True) -> Plan:
    document = parse(yaml.safe_dump({**TEXT, "log": {"enabled": is_logged}}), {})
    standing = Standing(
        spec=rollout_hash(document.config.rollouts["r"]),
        weights={"new": weight},
        headers=(HeaderMatch(name="x-arm", value="1", arm="new"),),
    )
    return compile_plan(document, delivery=Delivery(rollouts={"r": standing}))


class Row(Struct):
    requests: int = 0
    outcomes: Sequence[int] = (0,) * len(OUTCOMES)
    recorded: int = 0
    recovered: int = 0
    rescued: int = 0
    finishes: Sequence[int] = (0,) * 8
    invalid: int = 0
    cost_nano_usd: int = 0
    cost_squares: float = 0.0
    input_tokens: int = 0
    output_tokens: int = 0
    input_squares: float = 0.0
    output_squares: float = 0.0


class Counted(Struct):
    counts: NDArray[np.uint64]


class Backend(Struct):
    open_until_ns: int = 0
    unhealthy: int = 0


class Board:
    def __init__(self) -> None:
        self.of: dict[int, Row] = {}
        self.times: dict[int, dict[int, int]] = {}
        self.open: set[str] = set()

    def rows(self, wanted: Iterable[int]) -> list[Row]:
        return [self.of.get(row, Row()) for row in wanted]

    def histograms(self, row: int, names: Sequence[str]) -> Mapping[str, Counted]:
        if row not in self.times:
            return {}
        counts = np.zeros(4608, np.uint64)
        for bucket, count in self.times[row].items():
            counts[bucket] = count
        return {"total_ns": Counted(counts)}

    def backends(self, backends: Sequence[Any]) -> list[Backend]:
        return [Backend(open_until_ns=100 if one.name in self.open else 0) for one in backends]


def outcomes(**named: int) -> list[int]:
    return [named.get(outcome.name, 0) for outcome in OUTCOMES]


def variant(plan: Plan, arm: str) -> RoutePlan:
    return next(one for one in plan.routes[0].variants if one.arm == arm)


def reading_of(board: Board, plan: Plan | None = None) -> Evidence:
    return read(board, plan or plan_of(), "r", 7, now_ns=50, name="b")


def test_a_row_becomes_counts_of_its_arm() -> None:
    board, plan = Board(), plan_of()
    board.of[variant(plan, "r:new").row] = Row(
        requests=100,
        outcomes=outcomes(
            ok=80, upstream_5xx=5, upstream_4xx=2, total_timeout=3, truncated=1, client_closed=4
        ),
        recorded=90,
        recovered=4,
        rescued=3,
        finishes=(1, 60, 10, 5, 4, 0, 0, 0),
        invalid=2,
        cost_nano_usd=5,
        cost_squares=0.5,
        input_tokens=7,
    )
    board.times[variant(plan, "r:new").row] = {700: 80, 800: 15}
    found = reading_of(board, plan).arms["new"]
    assert (found.assigned, found.dispatched, found.answered, found.ended) == (100, 100, 96, 95)
    assert (found.errors, found.timeouts, found.truncated, found.rescued) == (15, 3, 1, 3)
    assert found.recorded == 98  # of 95 that ended 90 are recorded, and 3 with the champion
    assert (found.refusals, found.cut_off, found.schema_violations) == (4, 10, 2)
    assert found.finishes == (1, 60, 10, 5, 4, 0)
    assert found.total_ns == {700: 80, 800: 15}
    assert (found.input_tokens, found.cost_squares_usd2) == (7, 0.5)


def test_every_arm_is_read_but_those_that_were_forced() -> None:
    board, plan = Board(), plan_of()
    for at, one in enumerate(plan.routes[0].variants):
        board.of[one.row] = Row(requests=10**at)
    found = reading_of(board, plan)
    assert set(found.arms) == {CHAMPION, "new"}
    forced = [one.arm for one in plan.routes[0].variants if one.arm.endswith(":forced")]
    assert forced
    assert found.arms["new"].assigned == board.of[variant(plan, "r:new").row].requests


def test_what_never_left_counts_neither_as_dispatched_nor_as_lost_on_the_way() -> None:
    board, plan = Board(), plan_of()
    row = Row(requests=10, outcomes=outcomes(ok=5, queue_full=2, no_backend=1))
    board.of[variant(plan, "r:new").row] = row
    found = reading_of(board, plan).arms["new"]
    assert (found.dispatched, found.errors) == (7, 3)


def test_without_a_log_nothing_is_missing_in_it() -> None:
    board, plan = Board(), plan_of(is_logged=False)
    board.of[variant(plan, "r:new").row] = Row(requests=10, outcomes=outcomes(ok=10))
    assert reading_of(board, plan).arms["new"].recorded == 10


def test_a_champions_own_fallbacks_rescue_nobody() -> None:
    board, plan = Board(), plan_of()
    board.of[variant(plan, "r:champion").row] = Row(requests=5, rescued=4)
    assert reading_of(board, plan).arms[CHAMPION].rescued == 0


def test_arms_none_of_whose_backends_takes_requests_are_named() -> None:
    board = Board()
    board.open = {"two"}
    assert reading_of(board).open_breakers == ("new",)


def test_a_witness_reads_board_and_log() -> None:
    class Log:
        name = "l"

        def pairs(self, rollout: str) -> dict[str, PairCounts]:
            return {"new": PairCounts(pairs=3)}

        def feedback(self, rollout: str) -> dict[int, dict[str, dict[str, SignalCounts]]]:
            return {0: {"new": {"accept": SignalCounts(n=2)}}}

    board, plan = Board(), plan_of()
    board.times[plan.routes[0].row] = {5: 1}
    witness = Witness(board, "b", lambda: plan, log=Log(), now_ms=lambda: 9, now_ns=lambda: 1)
    found = witness.read("r", rollout_of())
    assert (found.board, found.log, found.at_ms) == ("b", "l", 9)
    assert found.pairs["new"].pairs == 3
    assert found.late[0]["new"]["accept"].n == 2
    assert witness.reference(rollout_of()) == {"latency": {5: 1}, "first_byte": {}}


# -- accounts


def seen(at_ms: int, champion: int, new: int, **more: Any) -> Evidence:
    return Evidence(
        at_ms=at_ms, board="b", arms={CHAMPION: counts(champion), "new": counts(new)}, **more
    )


def gained(account: Account) -> list[int]:
    return [one.evidence.arm("new").assigned for one in account.periods]


def test_what_was_counted_before_it_began_is_nobodys() -> None:
    account = Account()
    account.begin({"new": 10_000}, 0, seen(0, 1000, 500))
    account.take(seen(1, 1010, 503))
    assert gained(account) == [3]


def test_each_weight_has_its_own_period_and_the_same_weight_goes_on() -> None:
    account = Account()
    account.begin({"new": 10_000}, 0, seen(0, 0, 0))
    account.take(seen(1, 99, 1))
    account.begin({"new": 10_000}, 0, seen(2, 198, 2))
    account.begin({"new": 50_000}, 1, seen(3, 297, 3))
    account.take(seen(4, 392, 8))
    assert gained(account) == [3, 5]
    assert [one.share("new") for one in account.periods] == [0.01, 0.05]
    assert [(one.since_ms, one.until_ms) for one in account.periods] == [(0, 3), (3, 4)]


def test_a_restart_with_the_account_kept_loses_and_doubles_nothing() -> None:
    account = Account()
    account.begin({"new": 10_000}, 0, seen(0, 0, 0))
    account.take(seen(1, 99, 1))
    kept = msgspec.json.decode(msgspec.json.encode(account), type=Account)
    account.take(seen(2, 990, 10))
    kept.take(seen(3, 990, 10))
    assert gained(kept) == gained(account) == [10]


def test_another_board_counts_from_nothing() -> None:
    account = Account()
    account.begin({"new": 10_000}, 0, seen(0, 0, 0))
    account.take(seen(1, 9900, 100))
    account.take(msgspec.structs.replace(seen(2, 99_000, 200), board="c"))
    assert gained(account) == [300]


def test_a_row_that_counts_less_began_anew() -> None:
    account = Account()
    account.begin({"new": 10_000}, 0, seen(0, 0, 0))
    account.take(seen(1, 9900, 100))
    account.take(seen(2, 9950, 7))
    assert gained(account) == [107]


def test_an_arm_that_comes_into_the_plan_later_is_counted_from_there() -> None:
    account = Account()
    account.begin({"new": 10_000}, 0, Evidence(board="b"))
    account.take(seen(1, 500, 50))
    account.take(seen(2, 600, 60))
    assert gained(account) == [10]


def test_late_feedback_goes_to_the_step_its_requests_were_in() -> None:
    def late(n: int) -> dict[int, dict[str, dict[str, SignalCounts]]]:
        return {0: {"new": {"accept": SignalCounts(n=n)}}}

    account = Account()
    account.begin({"new": 10_000}, 0, seen(0, 0, 0, log="l"))
    account.take(seen(1, 99, 1, late=late(2), log="l"))
    account.begin({"new": 50_000}, 1, seen(2, 99, 1, late=late(2), log="l"))
    account.take(seen(3, 99, 1, late=late(5), log="l"))
    of = [one.evidence.arm("new").feedback.get("accept") for one in account.periods]
    assert [one.n if one else 0 for one in of] == [5, 0]


def test_another_follower_of_the_log_counts_from_nothing() -> None:
    def pairs(n: int) -> dict[str, PairCounts]:
        return {"new": PairCounts(pairs=n)}

    account = Account()
    account.begin({"new": 0}, 0, seen(0, 0, 0, log="l"))
    account.take(seen(1, 0, 0, pairs=pairs(5), log="l"))
    account.take(seen(2, 0, 0, pairs=pairs(3), log="m"))
    assert account.all_evidence().pairs["new"].pairs == 8


def test_periods_are_bounded() -> None:
    account = Account()
    for step in range(100):
        account.begin({"new": step}, step, seen(step, 0, 0))
    assert len(account.periods) == 64
    assert account.periods[-1].step == 99


SLOW = bucket_of(10**9)


def times(n: int, slow: int) -> ArmCounts:
    return counts(n, total_ns={SLOW - 300: n - slow, SLOW: slow})


def test_a_quantile_is_frozen_from_what_came_before_it() -> None:
    gate = Gate(metric="latency", margin=Share(0.2))
    rollout, account = rollout_of(gate), Account()
    account.begin({"new": 500_000}, 0, Evidence(board="b"))
    start = {CHAMPION: ArmCounts(), "new": ArmCounts()}
    account.take(Evidence(board="b", arms=start))
    account.freeze(rollout, {"latency": {SLOW: 10}})
    assert account.periods[0].frozen == {}
    account.take(Evidence(board="b", arms={CHAMPION: times(3000, 30), "new": times(3000, 60)}))
    account.freeze(rollout, {})
    frozen = account.periods[0].frozen["latency"]
    assert frozen.bucket == SLOW - 299
    assert lower_edge(frozen.margin_bucket) >= 1.2 * frozen.value_ns
    assert frozen.before == {CHAMPION: (3000, 30, 30), "new": (3000, 60, 60)}
    account.take(Evidence(board="b", arms={CHAMPION: times(9000, 3000), "new": times(9000, 0)}))
    account.freeze(rollout, {})
    assert account.periods[0].frozen["latency"] == frozen


def test_a_quantile_may_come_from_the_route_as_it_was_before() -> None:
    account = Account()
    account.begin({"new": 10_000}, 0, Evidence(board="b"))
    account.freeze(rollout_of(Gate(metric="latency")), {"latency": {SLOW: 2000}})
    assert account.periods[0].frozen["latency"].bucket == SLOW + 1
    assert account.periods[0].frozen["latency"].before == {}


def test_a_gate_that_wants_minutes_gets_one_point_each() -> None:
    rollout, account = rollout_of(Gate(metric="errors", test="kayenta")), Account()
    account.begin({"new": 500_000}, 0, seen(0, 0, 0))
    for second in range(181):
        champion, new = counts(second * 10), counts(second * 10, errors=second)
        arms = {CHAMPION: champion, "new": new}
        account.take(Evidence(at_ms=second * 1000, board="b", arms=arms))
        account.freeze(rollout, {})
    points = account.periods[0].points["errors"]
    assert points == {CHAMPION: [0.0] * 3, "new": [0.1] * 3}


@pytest.mark.parametrize(
    "gate, point",
    [
        (Gate(metric="errors"), 0.02),
        (Gate(metric="cost"), 0.001),
        (Gate(metric="latency"), float(lower_edge(SLOW))),
        (Gate(metric="feedback.accept"), 0.5),
        (Gate(metric="feedback.edit"), None),
    ],
)
def test_points_are_what_monitoring_would_show(gate: Gate, point: float | None) -> None:
    minute = counts(100, errors=2, total_ns={SLOW: 100}, cost_nano_usd=10**8)
    minute.feedback = {"accept": SignalCounts(n=4, positive=2), "edit": SignalCounts()}
    assert point_of(minute, gate) == point
    assert point_of(ArmCounts(), gate) is None
