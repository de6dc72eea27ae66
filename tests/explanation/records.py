"""Records of every kind, as the data plane would write them, over one small plan."""

from __future__ import annotations

from typing import Any

from msgspec import Raw

from gateway.messages import (
    RECORD_VERSION,
    Assignment,
    AttemptRecord,
    Candidate,
    Decision,
    Payload,
    Price,
    Record,
    Timing,
    TokenUsage,
)

TEXT = """
backends:
  mini:
    protocol: openai
    url: "http://${HOST}/v1"
    api_key: "${KEY}"
    model: gpt-mini
    price: {input: 0.4, output: 1.6, cached: 0.1}
  large: {protocol: openai, url: "http://127.0.0.1:1/v1", price: {input: 2, output: 8}}
  local: {protocol: openai, url: "http://127.0.0.1:2/v1", capabilities: [chat]}
routes:
  chat: {backends: [mini, large, local], policy: cheapest, fallback: [{route: spare}]}
  spare: {backends: [large], policy: ordered}
"""


def candidates(**excluded: str) -> tuple[Candidate, ...]:
    """Those of the route chat: the given ones excluded, the others with their prices."""
    usd = {"mini": 0.00042, "large": 0.0021, "local": 0.0}
    return tuple(
        Candidate(backend=name, excluded=excluded[name])
        if name in excluded
        else Candidate(backend=name, expected_usd=usd[name])
        for name in usd
    )


def decision(chosen: str, **changes: Any) -> Decision:
    """A choice of the route chat."""
    values: dict[str, Any] = {
        "route": "chat",
        "policy": "cheapest",
        "at_us": 140,
        "candidates": candidates(local="capability"),
        "chosen": chosen,
        "probability": 1.0 if chosen else 0.0,
        "capabilities": ("chat", "tools"),
        "input_bytes": 1234,
        "output_tokens": 300,
        "draw": "00000000deadbeef" if chosen else "",
    }
    return Decision(**(values | changes))


def attempt(backend: str, outcome: str = "ok", **changes: Any) -> AttemptRecord:
    values: dict[str, Any] = {
        "backend": backend,
        "outcome": outcome,
        "begun_us": 150,
        "ended_us": 812_000,
        "status": 200 if outcome == "ok" else 0,
        "first_byte_us": 320_000 if outcome == "ok" else 0,
    }
    return AttemptRecord(**(values | changes))


def record(plan: str, **changes: Any) -> Record:
    """One good answer of mini, unless changed."""
    values: dict[str, Any] = {
        "v": RECORD_VERSION,
        "id": "019a0000-0000-7000-8000-000000000001",
        "request_id": "019a0000-0000-7000-8000-000000000001",
        "time": "2026-11-01T12:00:00.123456Z",
        "kind": "prediction",
        "gateway": "gw-1",
        "worker": 0,
        "stream": "w0-0123456789ababcd",
        "seq": 7,
        "plan": plan,
        "outcome": "ok",
        "status": 200,
        "timing": Timing(
            total_us=812_345, upstream_us=812_000, gateway_us=345, first_byte_us=320_100
        ),
        "request": Payload(bytes=1234, xxh3="00ff00ff00ff00ff"),
        "response": Payload(bytes=2345, type="json", body=Raw(b'{"a":1}')),
        "route": "chat",
        "protocol": "openai",
        "operation": "chat",
        "model": "chat",
        "user": "u-17",
        "backend": "mini",
        "backend_model": "gpt-mini",
        "version": "2026-04",
        "decisions": (decision("mini"),),
        "attempts": (attempt("mini", cost_usd=0.000328),),
        "usage": TokenUsage(input_tokens=420, output_tokens=120, cached_tokens=100),
        "cost_usd": 0.00033,
        "price": Price(source="config", input=0.4, output=1.6, cached=0.1),
        "finish_reason": "stop",
    }
    return Record(**(values | changes))


def refusal(plan: str) -> Record:
    nobody = candidates(mini="capability", large="capability", local="capability")
    return record(
        plan,
        kind="refusal",
        outcome="not_capable",
        status=422,
        backend="",
        backend_model="",
        version="",
        decisions=(decision("", candidates=nobody, capabilities=("chat", "predict")),),
        attempts=(),
        usage=None,
        price=None,
        cost_usd=0.0,
        finish_reason="",
        timing=Timing(total_us=180),
    )


ROLLOUT = Assignment(
    layer="models", salt="s1", bucket=123_456, arm="candidate", rollout="mini-2026", step=2
)
