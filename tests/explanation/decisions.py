"""Decisions as the data plane records them, made by its own compiled candidates."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from gateway._fast.board import Board
from gateway._fast.routes import Candidates
from gateway.messages import Candidate, Decision
from gateway.plan import CAPABILITIES, BackendPlan, Plan, RoutePlan, SloPlan
from tests.control.plans import blank
from tests.fast.test_routes import BREAKER, NOW_NS, WORKERS, write_state
from tests.reference.routes import Need, Offer, Rules

PLAN = "a1b2c3d4e5f60718"
_NAMES = {bit: name for name, bit in CAPABILITIES.items()}
# What each policy looks at, and so what a record has.
_LOOKED_AT = {
    "ordered": (),
    "weighted": ("weight",),
    "least_loaded": ("load_us",),
    "cheapest": ("expected_usd",),
    "fastest": ("predicted_us",),
    "cheapest_within_slo": ("expected_usd", "predicted_us"),
    "balanced": ("expected_usd", "predicted_us", "score"),
}


def plan_of(offers: list[Offer], need: Need, rules: Rules) -> Plan:
    backends = tuple(_backend(offer, index) for index, offer in enumerate(offers))
    route = blank(
        RoutePlan,
        name="chat",
        policy=need.policy,
        candidates=tuple(range(len(offers))),
        weights=tuple(offer.weight for offer in offers),
        exploration=rules.exploration,
        panic_share=rules.panic_share,
        balance=rules.balance,
        slo=SloPlan(metric="first_byte", quantile=2, limit_ns=need.limit_ns),
        overrides=("x-gateway-backend",),
    )
    return blank(Plan, hash=PLAN, backends=backends, routes=(route,))


def _backend(offer: Offer, index: int) -> BackendPlan:
    same: tuple[str, ...] = ("name", "capabilities", "quality", "context_window", "max_concurrency")
    same += ("slow_start_ns", "input_usd", "output_usd", "request_usd")
    return blank(
        BackendPlan,
        index=index,
        cell=index,
        breaker=BREAKER,
        **{name: getattr(offer, name) for name in same},
    )


def decide(plan: Plan, offers: list[Offer], need: Need, seed: int) -> Decision:
    """One choice of the compiled candidates, as a record tells it."""
    route = plan.routes[0]
    chooser = _candidates(plan, offers, seed)
    wish = _wish(need)
    chosen = chooser.choose_once(**wish)
    found = chooser.explain(**wish)
    position = chosen["position"]
    decision = Decision(
        route=route.name,
        policy=need.policy,
        at_us=12,
        candidates=tuple(_candidate(each, need) for each in found),
        panic=chosen["is_panic"],
        capabilities=tuple(name for bit, name in _NAMES.items() if need.capabilities & bit),
        input_bytes=need.input_bytes,
        output_tokens=need.output_tokens,
        required=plan.backends[need.required].name if need.required >= 0 else "",
        sticky=f"{need.sticky:016x}" if need.sticky else "",
        tried=tuple(offers[p].name for p in sorted(need.tried) if p < len(offers)),
    )
    decision = replace(decision, draw=f"{seed:016x}")
    if position < 0:
        return decision
    return replace(
        decision,
        chosen=found[position]["backend"],
        probability=round(chosen["probability"], 9),
        exploring=chosen["is_exploring"],
    )


def _candidates(plan: Plan, offers: list[Offer], seed: int) -> Candidates:
    board = Board.create(WORKERS, 0, len(offers))
    for position, offer in enumerate(offers):
        write_state(board, position, offer)
    cells = range(len(offers))
    chooser = Candidates(plan.routes[0], plan.backends, board, cells, seed=seed)
    for position, offer in enumerate(offers):
        chooser.disable(position, offer.is_disabled)
    return chooser


def _wish(need: Need) -> dict[str, Any]:
    return {
        "now_ns": NOW_NS,
        "capabilities": need.capabilities,
        "input_bytes": need.input_bytes,
        "output_tokens": need.output_tokens,
        "tried": sum(1 << position for position in need.tried),
        "required": need.required,
        "sticky": need.sticky,
    }


def _candidate(found: dict[str, Any], need: Need) -> Candidate:
    if found["excluded"]:
        return Candidate(backend=found["backend"], excluded=found["excluded"])
    figures = {
        "weight": round(found["weight"], 6),
        "load_us": round(found["load"] / 1000, 3),
        "expected_usd": round(found["expected_usd"], 12),
        "predicted_us": round(found["predicted_ns"] / 1000, 3),
        "score": round(found["score"], 12),
    }
    stale = not found["predicted_ns"] or not found["is_fresh"]
    names = ("score",) if need.sticky else _LOOKED_AT[need.policy]
    return Candidate(
        backend=found["backend"],
        stale="predicted_us" in names and stale,
        **{name: figures[name] for name in names},
    )
