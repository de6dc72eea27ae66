import math
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import plan
from gateway._fast.board import Board
from gateway._fast.hashing import mixed
from gateway._fast.routes import EXCLUDED, POLICIES, Candidates
from tests.reference.routes import Chooser, Need, Offer, Rules, load, reason, started, usd

MS = 1_000_000
SECOND_NS = 1_000_000_000
NOW_NS = 1_000_000 * SECOND_NS
NOT_CAPABLE, NO_BACKEND, WAIT = -1, -2, -3
WORKERS = 2

BREAKER = plan.BreakerPlan(
    consecutive=5,
    failure_share=0.5,
    slow_share=1.0,
    slow_ns=0,
    window_ns=30 * SECOND_NS,
    minimum=20,
    open_ns=10 * SECOND_NS,
    open_max_ns=300 * SECOND_NS,
    probes=1,
)


def make_facts(offer: Offer, index: int) -> Any:
    static = {name: getattr(offer, name) for name in ("name", "capabilities", "quality")}
    return SimpleNamespace(
        **static,
        index=index,
        context_window=offer.context_window,
        max_concurrency=offer.max_concurrency,
        slow_start_ns=offer.slow_start_ns,
        input_usd=offer.input_usd,
        cached_usd=0.0,
        output_usd=offer.output_usd,
        request_usd=offer.request_usd,
        breaker=BREAKER,
        adaptive=None,
        is_off=False,
    )


def make_route(offers: list[Offer], need: Need, rules: Rules) -> Any:
    return SimpleNamespace(
        candidates=tuple(range(len(offers))),
        weights=tuple(offer.weight for offer in offers),
        policy=need.policy,
        exploration=rules.exploration,
        panic_share=rules.panic_share,
        balance=rules.balance,
        slo=plan.SloPlan(metric="first_byte", quantile=2, limit_ns=need.limit_ns),
    )


def part(board: Board, name: str) -> Any:
    """One part of the board as a numpy array that writes through."""
    place = board.layout()[name]
    return np.ndarray(place["shape"], np.dtype(place["item"]), board.buffer, offset=place["offset"])


def write_state(board: Board, position: int, offer: Offer) -> None:
    cell, gauges = part(board, "cells")[position], part(board, "gauges")[:, position]
    cell["cooldown_until_ns"] = NOW_NS + offer.cools_for_ns
    if offer.opens_in_ns is not None:
        cell["open_until_ns"] = NOW_NS + offer.opens_in_ns
    cell["probes"], cell["probed_at_ns"] = offer.probes_out, NOW_NS
    cell["unhealthy"] = offer.is_unhealthy
    if offer.healthy_for_ns is not None:
        cell["healthy_since_ns"] = NOW_NS - offer.healthy_for_ns
    cell["bytes_per_token"] = offer.bytes_per_token
    cell["output_tokens_mean"] = offer.output_tokens
    cell["failure_share"] = offer.failure_share
    cell["first_byte_q_ns"][2] = offer.latency_ns
    cell["samples"] = offer.samples
    gauges["in_flight"] = offer.in_flight
    last = position % WORKERS
    gauges["ewma_ns"][last] = offer.ewma_ns
    gauges["ewma_at_ns"][last] = NOW_NS - offer.ewma_age_ns
    gauges["ewma_ns"][1 - last] = 77 * MS
    gauges["ewma_at_ns"][1 - last] = NOW_NS - offer.ewma_age_ns - 1 if offer.ewma_ns else 0


def make_candidates(offers: list[Offer], need: Need, rules: Rules | None = None) -> Candidates:
    board = Board.create(WORKERS, 0, len(offers))
    for position, offer in enumerate(offers):
        write_state(board, position, offer)
    candidates = Candidates(
        make_route(offers, need, rules or Rules()),
        [make_facts(offer, index) for index, offer in enumerate(offers)],
        board,
        range(len(offers)),
        seed=11,
    )
    for position, offer in enumerate(offers):
        if offer.is_disabled:
            candidates.disable(position)
    return candidates


def asked(need: Need) -> dict[str, Any]:
    return {
        "now_ns": NOW_NS,
        "capabilities": need.capabilities,
        "input_bytes": need.input_bytes,
        "output_tokens": need.output_tokens,
        "tried": sum(1 << position for position in need.tried),
        "required": need.required,
        "sticky": need.sticky,
    }


def named(*offers: Offer) -> list[Offer]:
    return [replace(offer, name=f"backend-{index}") for index, offer in enumerate(offers)]


# Against the reference

times = st.sampled_from([0, 1, 5, 20, 100])
offers = st.builds(
    Offer,
    weight=st.integers(0, 4),
    is_disabled=st.sampled_from([False] * 9 + [True]),
    capabilities=st.sampled_from([3, 3, 3, 1]),
    context_window=st.sampled_from([0, 0, 1000, 4000]),
    max_concurrency=st.sampled_from([0, 4, 10]),
    slow_start_ns=st.sampled_from([0, 30 * SECOND_NS]),
    input_usd=st.sampled_from([0.0, 1e-6, 3e-6]),
    output_usd=st.sampled_from([0.0, 2e-6, 6e-6]),
    request_usd=st.sampled_from([0.0, 1e-3]),
    quality=st.sampled_from([0.5, 0.7, 0.9]),
    cools_for_ns=st.sampled_from([0, 0, 0, 1]),
    opens_in_ns=st.sampled_from([None, None, None, -1, 0, 1]),
    probes_out=st.integers(0, 1),
    is_unhealthy=st.sampled_from([False] * 4 + [True]),
    healthy_for_ns=st.sampled_from([None, 0, SECOND_NS, 15 * SECOND_NS, 99 * SECOND_NS]),
    in_flight=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    ewma_ns=st.sampled_from([0, 10 * MS, 50 * MS, 51 * MS]),
    ewma_age_ns=times.map(lambda seconds: seconds * SECOND_NS),
    bytes_per_token=st.sampled_from([0.0, 2.0, 3.7]),
    output_tokens=st.sampled_from([0.0, 20.5, 700.0]),
    failure_share=st.sampled_from([0.0, 0.0, 0.25, 1.0]),
    latency_ns=st.sampled_from([0, 100 * MS, 200 * MS, 300 * MS]),
    samples=st.sampled_from([0, 4, 5, 100]),
)
needs = st.builds(
    Need,
    policy=st.sampled_from(POLICIES),
    capabilities=st.sampled_from([0, 2]),
    input_bytes=st.sampled_from([0, 400, 3001, 9000]),
    output_tokens=st.sampled_from([0, 30, 1000]),
    tried=st.frozensets(st.integers(0, 7), max_size=2),
    required=st.sampled_from([-1] * 7 + [0]),
    sticky=st.sampled_from([0, 0, 0, 12345]),
    limit_ns=st.sampled_from([0, 150 * MS, 250 * MS]),
)
rules = st.builds(
    Rules,
    exploration=st.sampled_from([0.0, 0.1]),
    panic_share=st.sampled_from([0.0, 0.3, 0.5]),
    balance=st.sampled_from([(1.0, 1.0, 1.0), (1.0, 0.0, 0.0), (0.2, 0.5, 0.3)]),
)


@settings(max_examples=400)
@given(st.lists(offers, min_size=1, max_size=8), needs, rules)
def test_as_by_definition(drawn: list[Offer], need: Need, rules: Rules) -> None:
    drawn = named(*drawn)
    found = make_candidates(drawn, need, rules).explain(**asked(need))
    expected = Chooser(drawn, need, rules).probabilities()
    for position, offer in enumerate(drawn):
        candidate = found[position]
        assert candidate["excluded"] == reason(drawn, position, need, rules)
        assert candidate["expected_usd"] == pytest.approx(usd(offer, need), rel=1e-12)
        assert candidate["load"] == pytest.approx(load(offer), rel=1e-9)
        assert candidate["weight"] == pytest.approx(offer.weight * started(offer))
        assert candidate["probability"] == pytest.approx(expected[position], abs=1e-9), position


@settings(max_examples=200)
@given(st.lists(offers, min_size=1, max_size=8), needs, rules)
def test_probabilities_sum_to_one_or_there_is_no_choice(
    drawn: list[Offer], need: Need, rules: Rules
) -> None:
    candidates = make_candidates(named(*drawn), need, rules)
    explained = candidates.explain(**asked(need))
    total = sum(candidate["probability"] for candidate in explained)
    chosen = candidates.choose_once(**asked(need))
    if chosen["position"] < 0:
        assert total == 0
        assert chosen["eligible"] == 0
    else:
        assert total == pytest.approx(1)
        assert explained[chosen["position"]]["probability"] == chosen["probability"] > 0
        eligible = [p for p in range(len(drawn)) if chosen["eligible"] >> p & 1]
        assert eligible == [c["position"] for c in explained if not c["excluded"]]


@settings(max_examples=30)
@given(st.lists(offers, min_size=2, max_size=8), needs, rules)
def test_frequencies_are_the_probabilities(drawn: list[Offer], need: Need, rules: Rules) -> None:
    candidates = make_candidates(named(*drawn), need, rules)
    count = 40_000
    counts = candidates.choose_often(count, **asked(need))
    for candidate, times in zip(candidates.explain(**asked(need)), counts, strict=True):
        p = candidate["probability"]
        assert abs(times - count * p) <= 6 * math.sqrt(count * p * (1 - p)) + 1e-6
    assert sum(counts) in (0, count)


# Policies, by example


def positions(candidates: Candidates, need: Need, times: int = 2000) -> set[int]:
    counts = candidates.choose_often(times, **asked(need))
    return {position for position, count in enumerate(counts) if count}


def test_ordered_takes_the_first_usable() -> None:
    need = Need(policy="ordered")
    drawn = named(Offer(opens_in_ns=1), Offer(cools_for_ns=1), Offer(), Offer())
    assert positions(make_candidates(drawn, need), need) == {2}


def test_weighted_shares_follow_the_weights() -> None:
    need = Need(policy="weighted")
    drawn = named(Offer(weight=1), Offer(weight=2), Offer(weight=5), Offer(weight=0))
    counts = make_candidates(drawn, need).choose_often(2**17, **asked(need))
    for count, weight in zip(counts, (1, 2, 5, 0), strict=True):
        assert count == pytest.approx(2**17 * weight / 8, abs=1000)
    assert counts[3] == 0


def test_weight_zero_is_still_had_by_who_asks_for_it() -> None:
    need = Need(policy="weighted", required=1)
    drawn = named(Offer(weight=1), Offer(weight=0))
    assert positions(make_candidates(drawn, need), need) == {1}


def test_slow_start_gives_a_recovered_backend_its_weight_step_by_step() -> None:
    need = Need(policy="weighted")
    for seconds, share in ((0, 0.1), (1, 0.1), (6, 0.2), (15, 0.5), (30, 1.0), (99, 1.0)):
        young = Offer(slow_start_ns=30 * SECOND_NS, healthy_for_ns=seconds * SECOND_NS)
        found = make_candidates(named(Offer(), young), need).explain(**asked(need))
        assert found[1]["probability"] == pytest.approx(share / (1 + share))


def test_least_loaded_never_takes_the_highest_of_three() -> None:
    need = Need(policy="least_loaded")
    drawn = named(*(Offer(ewma_ns=n * MS, in_flight=(1, 1)) for n in (10, 20, 30)))
    candidates = make_candidates(drawn, need)
    probabilities = [c["probability"] for c in candidates.explain(**asked(need))]
    assert probabilities == pytest.approx([2 / 3, 1 / 3, 0])
    assert positions(candidates, need) == {0, 1}


def test_least_loaded_tries_an_unknown_backend_once_until_it_answered() -> None:
    need = Need(policy="least_loaded")
    known = Offer(ewma_ns=10 * MS)
    assert positions(make_candidates(named(known, Offer()), need), need) == {1}
    busy = Offer(in_flight=(1, 0))
    assert positions(make_candidates(named(known, busy), need), need) == {0}


def test_cheapest_counts_failures_as_paid_again() -> None:
    need = Need(policy="cheapest", input_bytes=4000)
    drawn = named(Offer(input_usd=1e-6, failure_share=0.6), Offer(input_usd=2e-6))
    assert positions(make_candidates(drawn, need), need) == {1}


def test_cheapest_expects_no_more_output_than_asked_for() -> None:
    drawn = named(Offer(output_usd=1e-6, output_tokens=1000.0), Offer(request_usd=5e-4))
    short = Need(policy="cheapest", output_tokens=100)
    assert positions(make_candidates(drawn, short), short) == {0}
    long = Need(policy="cheapest")
    assert positions(make_candidates(drawn, long), long) == {1}


def test_equal_prices_share_the_requests() -> None:
    need = Need(policy="cheapest", input_bytes=4000)
    counts = make_candidates(named(*[Offer(input_usd=1e-6)] * 3), need).choose_often(
        30_000, **asked(need)
    )
    assert all(abs(count - 10_000) < 600 for count in counts)


FAST, SLOW = (Offer(latency_ns=ns * MS, samples=100) for ns in (100, 300))


def test_fastest_finds_out_about_who_is_not_known_by_a_bounded_share() -> None:
    need = Need(policy="fastest")
    drawn = named(FAST, SLOW, Offer())
    found = make_candidates(drawn, need).explain(**asked(need))
    assert [c["probability"] for c in found] == pytest.approx([0.95, 0, 0.05])


def test_fastest_looks_again_at_who_was_slow_long_ago() -> None:
    need = Need(policy="fastest")
    drawn = named(FAST, replace(SLOW, samples=4))
    found = make_candidates(drawn, need).explain(**asked(need))
    assert [c["probability"] for c in found] == pytest.approx([0.95, 0.05])


CHEAP: dict[str, Any] = {"input_usd": 1e-6}
DEAR: dict[str, Any] = {"input_usd": 9e-6}


@pytest.mark.parametrize(
    "drawn, expected",
    [
        ([replace(FAST, **DEAR), replace(SLOW, **CHEAP)], [1, 0]),
        ([replace(FAST, **DEAR), replace(FAST, **CHEAP)], [0, 1]),
        ([replace(SLOW, **DEAR), replace(SLOW, latency_ns=400 * MS, **CHEAP)], [1, 0]),
        ([replace(FAST, **DEAR), Offer(**CHEAP)], [0.95, 0.05]),
        ([replace(FAST, **CHEAP), Offer(**DEAR)], [1, 0]),
        ([replace(SLOW, **CHEAP), Offer(**DEAR)], [0, 1]),
        ([replace(SLOW, **CHEAP, samples=0), Offer(**DEAR)], [0.05, 0.95]),
        ([Offer(**CHEAP), Offer(**DEAR)], [0.95, 0.05]),
    ],
)
def test_cheapest_within_slo(drawn: list[Offer], expected: list[float]) -> None:
    need = Need(policy="cheapest_within_slo", input_bytes=4000, limit_ns=200 * MS)
    found = make_candidates(named(*drawn), need).explain(**asked(need))
    assert [c["probability"] for c in found] == pytest.approx(expected)


@pytest.mark.parametrize(
    "balance, best", [((1.0, 0.0, 0.0), 0), ((0.0, 1.0, 0.0), 1), ((0.0, 0.0, 1.0), 2)]
)
def test_balanced_follows_its_weights(balance: tuple[float, float, float], best: int) -> None:
    need = Need(policy="balanced", input_bytes=4000)
    drawn = named(
        replace(SLOW, **CHEAP),
        replace(FAST, **DEAR),
        replace(SLOW, **DEAR, quality=0.9),
    )
    candidates = make_candidates(drawn, need, Rules(balance=balance))
    assert positions(candidates, need) == {best}


def test_exploration_reaches_everyone_eligible_and_nobody_else() -> None:
    need, rules = Need(policy="ordered"), Rules(exploration=0.3)
    drawn = named(Offer(), Offer(), Offer(is_unhealthy=True))
    candidates = make_candidates(drawn, need, rules)
    found = [c["probability"] for c in candidates.explain(**asked(need))]
    assert found == pytest.approx([0.85, 0.15, 0])
    explored = [candidates.choose_once(**asked(need))["is_exploring"] for _ in range(4000)]
    assert sum(explored) == pytest.approx(1200, abs=150)


# Filters


@pytest.mark.parametrize(
    "offer, need, excluded",
    [
        (Offer(is_disabled=True), Need(policy="ordered"), "disabled"),
        (Offer(), Need(policy="ordered", required=1), "not_wanted"),
        (Offer(capabilities=1), Need(policy="ordered", capabilities=3), "capability"),
        (Offer(context_window=1000), Need(policy="ordered", input_bytes=4001), "context"),
        (Offer(context_window=9), Need(policy="ordered", output_tokens=10), "context"),
        (Offer(), Need(policy="ordered", tried=frozenset([0])), "tried"),
        (Offer(cools_for_ns=1), Need(policy="ordered"), "cooling_down"),
        (Offer(opens_in_ns=1), Need(policy="ordered"), "breaker_open"),
        (Offer(opens_in_ns=-1, probes_out=1), Need(policy="ordered"), "breaker_open"),
        (Offer(opens_in_ns=-1), Need(policy="ordered"), ""),
        (Offer(is_unhealthy=True), Need(policy="ordered"), "unhealthy"),
        (Offer(max_concurrency=4, in_flight=(1, 3)), Need(policy="ordered"), "at_limit"),
        (Offer(max_concurrency=4, in_flight=(1, 2)), Need(policy="ordered"), ""),
        (Offer(context_window=1000), Need(policy="ordered", input_bytes=4000), ""),
    ],
)
def test_filter(offer: Offer, need: Need, excluded: str) -> None:
    assert make_candidates(named(offer), need).explain(**asked(need))[0]["excluded"] == excluded


def test_the_first_reason_is_the_reason() -> None:
    everything_wrong = Offer(
        is_disabled=True,
        capabilities=0,
        context_window=1,
        cools_for_ns=1,
        opens_in_ns=1,
        is_unhealthy=True,
        max_concurrency=1,
        in_flight=(1, 0),
    )
    need = Need(policy="ordered", capabilities=1, output_tokens=9, tried=frozenset([0]), required=1)
    repairs: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({"is_disabled": False}, {}),
        ({}, {"required": 0}),
        ({"capabilities": 1}, {}),
        ({"context_window": 0}, {}),
        ({}, {"tried": frozenset()}),
        ({"cools_for_ns": 0}, {}),
        ({"opens_in_ns": None}, {}),
        ({"is_unhealthy": False}, {}),
        ({"in_flight": (0, 0)}, {}),
    ]
    found = []
    for offer_repair, need_repair in repairs:
        candidates = make_candidates(named(everything_wrong), need)
        found.append(candidates.explain(**asked(need))[0]["excluded"])
        everything_wrong = replace(everything_wrong, **offer_repair)
        need = replace(need, **need_repair)
    assert found == list(EXCLUDED[1:])
    assert (
        make_candidates(named(everything_wrong), need).choose_once(**asked(need))["position"] == 0
    )


@pytest.mark.parametrize(
    "drawn, need, position",
    [
        ([Offer(), Offer()], Need(policy="ordered", capabilities=1), NOT_CAPABLE),
        ([Offer(context_window=1)], Need(policy="ordered", output_tokens=9), NOT_CAPABLE),
        ([Offer(is_disabled=True)], Need(policy="ordered"), NO_BACKEND),
        ([Offer()], Need(policy="ordered", required=5), NO_BACKEND),
        ([Offer(opens_in_ns=1), Offer(is_unhealthy=True)], Need(policy="ordered"), NO_BACKEND),
        ([Offer(), Offer(capabilities=1)], Need(policy="ordered", capabilities=3), NOT_CAPABLE),
        (
            [Offer(), Offer(capabilities=1, cools_for_ns=1)],
            Need(policy="ordered", capabilities=1),
            NO_BACKEND,
        ),
        (
            [Offer(opens_in_ns=1), Offer(max_concurrency=1, in_flight=(1, 0))],
            Need(policy="ordered"),
            WAIT,
        ),
        ([Offer()], Need(policy="ordered", tried=frozenset([0])), NO_BACKEND),
    ],
)
def test_why_there_is_no_choice(drawn: list[Offer], need: Need, position: int) -> None:
    chosen = make_candidates(named(*drawn), need).choose_once(**asked(need))
    assert chosen["position"] == position
    assert chosen["probability"] == 0


def test_the_first_time_somebody_may_be_asked_again_is_known() -> None:
    need = Need(policy="ordered")
    drawn = named(Offer(opens_in_ns=9), Offer(cools_for_ns=5), Offer(is_unhealthy=True))
    chosen = make_candidates(drawn, need).choose_once(**asked(need))
    assert chosen["available_at_ns"] == NOW_NS + 5
    both = named(Offer(opens_in_ns=9, cools_for_ns=5))
    assert make_candidates(both, need).choose_once(**asked(need))["available_at_ns"] == NOW_NS + 9


def test_a_lost_probe_is_taken_and_the_next_choice_goes_elsewhere() -> None:
    """What the caller does when breaker_admit says no to the chosen one."""
    need = Need(policy="ordered")
    candidates = make_candidates(named(Offer(opens_in_ns=-1), Offer()), need)
    assert candidates.choose_once(**asked(need))["position"] == 0
    again = replace(need, tried=frozenset([0]))
    assert candidates.choose_once(**asked(again))["position"] == 1


# Panic


@pytest.mark.parametrize(
    "drawn, share, eligible",
    [
        ([Offer(opens_in_ns=1), Offer(is_unhealthy=True), Offer()], 0.5, {0, 1, 2}),
        ([Offer(opens_in_ns=1), Offer()], 0.5, {1}),
        ([Offer(opens_in_ns=1)], 0.0, set()),
        ([Offer(opens_in_ns=1), Offer(cools_for_ns=1)], 0.5, {0}),
        ([Offer(opens_in_ns=1), Offer(is_disabled=True)], 0.5, {0}),
        ([Offer(opens_in_ns=1, max_concurrency=1, in_flight=(1, 0))], 0.5, set()),
    ],
)
def test_panic_ignores_breakers_and_health_only(
    drawn: list[Offer], share: float, eligible: set[int]
) -> None:
    need = Need(policy="least_loaded")
    candidates = make_candidates(named(*drawn), need, Rules(panic_share=share, exploration=1.0))
    assert positions(candidates, need) == eligible


def test_a_retry_is_no_reason_to_panic() -> None:
    need = Need(policy="ordered", tried=frozenset([0, 1]))
    drawn = named(Offer(), Offer(), Offer(opens_in_ns=1))
    chosen = make_candidates(drawn, need, Rules(panic_share=0.5)).choose_once(**asked(need))
    assert (chosen["position"], chosen["is_panic"]) == (NO_BACKEND, False)


# Sticky


def home(candidates: Candidates, key: int, tried: int = 0) -> int:
    position: int = candidates.choose_once(now_ns=NOW_NS, sticky=key, tried=tried)["position"]
    return position


KEYS = [mixed(number) for number in range(1, 4001)]


@pytest.mark.parametrize("policy", ["weighted", "least_loaded"])
def test_a_key_moves_only_when_its_backend_goes(policy: str) -> None:
    need = Need(policy=policy)
    candidates = make_candidates(named(*[Offer(weight=w) for w in (1, 2, 3, 4)]), need)
    before = {key: home(candidates, key) for key in KEYS}
    for gone in range(4):
        for key in KEYS:
            now = home(candidates, key, tried=1 << gone)
            assert now != gone
            assert now == before[key] or before[key] == gone
    assert {key: home(candidates, key) for key in KEYS} == before


def test_sticky_keys_are_spread_evenly_or_by_weight() -> None:
    even = make_candidates(named(*[Offer()] * 4), Need(policy="cheapest"))
    counts = Counter(home(even, key) for key in KEYS)
    assert all(count == pytest.approx(1000, abs=120) for count in counts.values())
    uneven = make_candidates(named(*[Offer(weight=w) for w in (1, 2, 5)]), Need(policy="weighted"))
    shares = Counter(home(uneven, key) for key in KEYS)
    for position, weight in enumerate((1, 2, 5)):
        assert shares[position] == pytest.approx(len(KEYS) * weight / 8, abs=130)


def test_changing_one_weight_moves_only_the_keys_it_must() -> None:
    need = Need(policy="weighted")
    before = make_candidates(named(*[Offer(weight=w) for w in (2, 2, 2)]), need)
    after = make_candidates(named(*[Offer(weight=w) for w in (2, 2, 4)]), need)
    moves = [(home(before, key), home(after, key)) for key in KEYS]
    assert {there for here, there in moves if here != there} == {2}


def test_a_sticky_request_does_not_explore() -> None:
    need = Need(policy="fastest", sticky=KEYS[0])
    candidates = make_candidates(named(FAST, SLOW, Offer()), need, Rules(exploration=0.5))
    chosen = candidates.choose_once(**asked(need))
    assert (chosen["probability"], chosen["is_exploring"]) == (1.0, False)
    assert len(positions(candidates, need)) == 1


# The rest


def test_policies_are_the_plans_in_the_same_order() -> None:
    assert POLICIES == plan.POLICIES


def test_a_request_may_have_a_policy_of_its_own() -> None:
    need = Need(policy="ordered")
    drawn = named(Offer(request_usd=0.5), Offer(request_usd=0.1))
    candidates = make_candidates(drawn, need)
    assert candidates.choose_once(now_ns=NOW_NS)["position"] == 0
    assert candidates.choose_once(now_ns=NOW_NS, policy="cheapest")["position"] == 1


def test_sixty_four_candidates_are_all_reached() -> None:
    need = Need(policy="weighted")
    candidates = make_candidates(named(*[Offer()] * 64), need)
    assert positions(candidates, need, times=20_000) == set(range(64))


@settings(max_examples=30)
@given(st.integers(1, 2**64 - 1))
def test_any_set_of_sixty_four_is_drawn_from_evenly(usable: int) -> None:
    need, rules = Need(policy="ordered"), Rules(exploration=1.0)
    drawn = named(*[Offer(is_disabled=not usable >> place & 1) for place in range(64)])
    counts = make_candidates(drawn, need, rules).choose_often(20_000, **asked(need))
    mean = 20_000 / usable.bit_count()
    for place, count in enumerate(counts):
        assert abs(count - mean) < 7 * math.sqrt(mean) if usable >> place & 1 else count == 0


@settings(max_examples=30)
@given(st.data(), st.sampled_from([9, 32, 63, 64]))
def test_pairs_of_many_are_as_probable_as_by_definition(data: st.DataObject, count: int) -> None:
    some = st.builds(
        Offer,
        is_disabled=st.booleans(),
        ewma_ns=st.sampled_from([0, 10 * MS, 50 * MS, 51 * MS]),
        in_flight=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    )
    need = Need(policy="least_loaded")
    drawn = named(*data.draw(st.lists(some, min_size=count, max_size=count)))
    expected = Chooser(drawn, need, Rules()).probabilities()
    candidates = make_candidates(drawn, need)
    for _ in range(2):  # what the choice before found must not matter
        found = [each["probability"] for each in candidates.explain(**asked(need))]
        assert found == pytest.approx(expected, abs=1e-12)
        candidates.choose_often(3, **asked(need))


@pytest.mark.parametrize("count", [0, 65])
def test_a_route_has_one_to_sixty_four_candidates(count: int) -> None:
    offers = named(*[Offer()] * count)
    route = make_route(offers, Need(policy="ordered"), Rules())
    facts = [make_facts(offer, index) for index, offer in enumerate(offers)]
    with pytest.raises(ValueError, match=f"not {count}"):
        Candidates(route, facts, Board.create(1, 0, max(count, 1)), range(count))


def test_what_is_misspelt_is_refused() -> None:
    candidates = make_candidates(named(Offer()), Need(policy="ordered"))
    with pytest.raises(TypeError, match="no stiky"):
        candidates.choose_once(now_ns=NOW_NS, stiky=1)
    with pytest.raises(IndexError):
        candidates.disable(1)
    with pytest.raises(ValueError, match="not in tuple"):
        candidates.choose_once(now_ns=NOW_NS, policy="nearest")


def test_it_shows_its_policy_and_names() -> None:
    candidates = make_candidates(named(Offer(), Offer()), Need(policy="fastest"))
    assert repr(candidates) == "<Candidates fastest of backend-0, backend-1>"
    assert (len(candidates), candidates.names) == (2, ("backend-0", "backend-1"))
