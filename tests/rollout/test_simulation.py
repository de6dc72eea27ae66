"""Rollouts on paper: what is caught, how soon, and how often for nothing."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from gateway.config.rollouts import Gate, Minimum, Pause, Rollout, Step
from gateway.config.units import Duration, Share
from gateway.messages import Payload, Record, Timing, TokenUsage
from gateway.rollout.gates import judge
from gateway.rollout.simulation import (
    PROMOTED,
    ROLLED_BACK,
    Campaign,
    Simulated,
    simulate,
    stages_of,
)
from gateway.rollout.traffic import Effect, Traffic, assumed, lognormal, recorded, share_above
from tests.rollout.cases import rollout_of

SECOND = 10**9
TRAFFIC = assumed(requests_per_s=100)
EVERYTHING = (
    Gate(metric="errors"),
    Gate(metric="latency"),
    Gate(metric="cost"),
    Gate(metric="feedback.accept"),
)


def canary(**more: Any) -> Rollout:
    """One percent, for ever."""
    forever = Minimum(time=Duration(7 * 24 * 3600 * SECOND), samples=0)
    return rollout_of(steps=(Step(set_weight=1.0),), minimum=forever, **more)


def run_of(rollout: Rollout, seed: int = 1, **factors: float) -> Simulated:
    effect = Effect(name="worse", factors=factors)
    return simulate(rollout, TRAFFIC, effect, runs=50, seed=seed)


def test_equal_challengers_are_rolled_back_no_oftener_than_stated() -> None:
    """A/A, 1,000 rollouts of the default ramp: at most alpha, and three standard errors."""
    found = simulate(rollout_of(), TRAFFIC, runs=1000, seed=3)
    allowed = 0.05 + 3 * math.sqrt(0.05 * 0.95 / 1000)
    assert found.rolled_back <= allowed
    assert found.promoted >= 1 - allowed
    assert found.undecided == 0.0


def test_no_equal_challenger_is_taken_for_a_better_one() -> None:
    standing = rollout_of(Gate(metric="errors", needs="better"), steps=(Step(set_weight=50.0),))
    found = simulate(standing, TRAFFIC, runs=200, seed=4, longest_s=7200)
    assert found.promoted <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 200)


def test_thirty_percent_errors_at_one_percent_weight_take_twelve_requests() -> None:
    found = simulate(canary(), TRAFFIC, Effect(factors={"errors": 15.0}), runs=1000, seed=5)
    assert found.rolled_back == 1.0
    assert found.rollback_requests is not None
    assert found.rollback_requests[0] <= 12


def test_doubled_errors_at_one_percent_weight_take_six_hundred_requests() -> None:
    found = simulate(canary(), TRAFFIC, Effect(factors={"errors": 2.0}), runs=200, seed=6)
    assert found.rolled_back >= 0.99
    assert found.rollback_requests is not None
    assert found.rollback_requests[0] <= 600


@pytest.mark.parametrize(
    "factors",
    [{"latency": 1.2}, {"cost": 2.0}, {"feedback.accept": 0.55 / 0.6}],
    ids=["p99 a fifth higher", "cost doubled", "acceptance five points lower"],
)
def test_each_regression_is_caught_by_its_own_gate(factors: dict[str, float]) -> None:
    rollout = rollout_of(*EVERYTHING)
    found = simulate(rollout, TRAFFIC, Effect(factors=factors), runs=60, seed=7)
    assert found.rolled_back >= 0.9
    [metric] = factors
    assert max(found.by_gate, key=found.by_gate.__getitem__) == metric


def test_within_the_margin_is_no_harm() -> None:
    gate = Gate(metric="latency", margin=Share(0.2))
    found = simulate(rollout_of(gate), TRAFFIC, Effect(factors={"latency": 1.15}), runs=200, seed=8)
    assert found.rolled_back <= 0.05


def test_simulation_and_judge_say_the_same_of_the_same_runs() -> None:
    """Both at the very moment that a run was decided."""
    rollout = rollout_of(*EVERYTHING)
    effect = Effect(factors={"errors": 1.3, "cost": 1.2})
    campaign = Campaign(rollout, TRAFFIC, effect, stages_of(rollout), 40, 9)
    now_s, checked = 0.0, {ROLLED_BACK: 0, PROMOTED: 0}
    while campaign.is_running.any() and now_s < 20_000:
        before = campaign.state.copy()
        now_s += 10.0
        campaign.step(now_s, 10.0)
        for run in np.flatnonzero(campaign.state != before).tolist():
            state = int(campaign.state[run])
            judgement = judge(rollout, campaign.periods(run), 0)
            checked[state] += 1
            if state == ROLLED_BACK:
                name = rollout.gates[int(campaign.failed[run])].metric
                assert name in {one.gate for one in judgement.failing_guardrails()}
            else:
                assert {one.verdict for one in judgement.verdicts} == {"pass"}
    assert checked[ROLLED_BACK] > 10


def test_running_ones_are_not_failed_by_the_judge() -> None:
    rollout = rollout_of(*EVERYTHING)
    campaign = Campaign(rollout, TRAFFIC, Effect(), stages_of(rollout), 20, 10)
    for tick in range(1, 40):
        campaign.step(tick * 10.0, 10.0)
    for run in np.flatnonzero(campaign.is_running).tolist():
        judgement = judge(rollout, campaign.periods(run), 0)
        assert judgement.failing_guardrails() == ()
        for trial in campaign.trials:
            [own] = [one for one in judgement.verdicts if one.gate == trial.gate.metric]
            trial.passes(np.array([run]))  # evidence is looked at again
            assert float(trial.harm(np.array([run]))[0]) == pytest.approx(own.log_e, abs=1e-6)


def test_the_same_seed_gives_the_same_figures() -> None:
    assert run_of(canary(), errors=4.0) == run_of(canary(), errors=4.0)
    assert run_of(canary(), errors=4.0) != run_of(canary(), seed=2, errors=4.0)


def test_pauses_make_a_weight_last_longer() -> None:
    steps = (
        Step(set_weight=5.0),
        Step(pause=Pause(duration=Duration(600 * SECOND))),
        Step(pause=Pause()),
        Step(set_weight=50.0),
    )
    stages = stages_of(rollout_of(steps=steps))
    assert [(one.step, one.weight, one.seconds) for one in stages] == [
        (0, 0.05, 900.0),
        (3, 0.5, 300.0),
    ]


def test_what_is_not_simulated_is_named() -> None:
    rollout = rollout_of(Gate(metric="errors"), Gate(metric="drift"), Gate(metric="feedback.score"))
    found = simulate(rollout, TRAFFIC, runs=10, seed=1)
    assert found.left_out == ("drift", "feedback.score")


def test_harm_and_cost_are_told_for_each_run() -> None:
    found = simulate(
        canary(), TRAFFIC, Effect(factors={"errors": 15.0, "cost": 3.0}), runs=200, seed=1
    )
    requests = np.mean(found.outcome.challenger_requests) if found.outcome else 0.0
    assert found.harmed == pytest.approx(requests * 0.02 * 14)
    assert found.extra_usd == pytest.approx(requests * 0.002 * 2)
    assert found.timeline[-1][3] == 1.0


def test_a_sample_stands_for_its_distribution() -> None:
    sample = np.array(lognormal(800.0, 0.5))
    limit = float(np.quantile(sample, 0.99))
    assert share_above(sample, limit) == pytest.approx(0.01, abs=2e-4)
    assert share_above(sample, limit / 1.2) == pytest.approx(0.0249, abs=2e-3)
    assert share_above(sample, 0.0) == 1.0
    assert 0 < share_above(sample, 1e9) < 1e-3


def recorded_at(second: int, **more: Any) -> Record:
    fields: dict[str, Any] = {
        "v": 1,
        "id": str(second),
        "request_id": str(second),
        "time": f"2026-11-21T12:{second // 60:02d}:{second % 60:02d}.000000Z",
        "kind": "prediction",
        "gateway": "g",
        "worker": 0,
        "stream": "s",
        "seq": 1,
        "plan": "",
        "outcome": "ok",
        "status": 200,
        "timing": Timing(total_us=100_000 + second * 1000, first_byte_us=50_000),
        "request": Payload(bytes=1),
        "response": Payload(bytes=1),
        "usage": TokenUsage(input_tokens=10, output_tokens=20),
        "cost_usd": 0.001,
    }
    return Record(**{**fields, **more})


def test_a_recorded_log_says_what_traffic_is_like() -> None:
    records = [recorded_at(second) for second in range(180)]
    records += [recorded_at(180 + n, outcome="total_timeout", cost_usd=0.0) for n in range(20)]
    records.append(recorded_at(10, kind="shadow"))
    traffic = recorded(records)
    assert traffic.requests_per_s == pytest.approx(200 / 199)
    assert (traffic.shares["errors"], traffic.shares["timeouts"]) == (0.1, 0.1)
    assert len(traffic.times_ms["latency"]) == 200
    assert traffic.means["cost"].mean == pytest.approx(0.0009)
    assert traffic.source == "recorded: 200 requests"
    found = simulate(canary(), traffic, Effect(factors={"errors": 5.0}), runs=50, seed=1)
    assert found.rolled_back > 0.9


def test_too_short_a_log_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 100 answered requests, found 3"):
        recorded(recorded_at(second) for second in range(3))


def test_traffic_without_a_metric_leaves_its_gate_out() -> None:
    found = simulate(rollout_of(), Traffic(shares={"errors": 0.02}), runs=5, seed=1)
    assert found.left_out == ("timeouts", "latency")
