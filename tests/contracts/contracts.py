"""Contracts written for a test, as the file would have them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from gateway.config import parse
from gateway.config.watching import Contract
from gateway.contracts.checker import Checker
from gateway.contracts.inspection import Inspected

NOW_S = 1_795_000_000.0  # 2026-11-18


def contract_of(**contract: Any) -> Contract:
    settings = {
        "backends": {"one": {"protocol": "http", "url": "http://one.test"}},
        "routes": {"fraud": {"backends": ["one"], "contract": contract}},
    }
    found = parse(json.dumps(settings), {}).config.routes["fraud"].contract
    assert found is not None
    return found


def checker(
    fields: dict[str, Any] | None = None,
    *,
    action: str = "reject",
    protocol: str = "http",
    now_s: Callable[[], float] = lambda: NOW_S,
    **side: Any,
) -> Checker:
    """Of an input with these fields."""
    made = {"fields": fields or {}, **side}
    contract = contract_of(input=made, on_violation=action)
    return Checker(contract, "input", protocol, now_s=now_s)


def checked(made: Checker, body: Any) -> Inspected | None:
    return made.check(body if isinstance(body, bytes) else json.dumps(body).encode())


def names_of(found: Inspected | None) -> list[tuple[str, str]]:
    """(anomaly, place) of each."""
    return [(each.name, each.pointer) for each in found.anomalies] if found else []
