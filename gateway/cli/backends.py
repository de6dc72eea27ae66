"""`gateway backends`: every backend of a running gateway, its state and its figures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from gateway.cli.admin import DEFAULT_URL, AdminUrl, AsJson, ask
from gateway.cli.columns import FIRST_BYTE, TOTAL, age, columns, latency, rate, share, usd
from gateway.cli.verbs import verb_app

app = verb_app()

HEAD = ("BACKEND", "STATE", "IN-FLIGHT", "ATT/S", "SUCCESS", FIRST_BYTE, TOTAL, "COST/H")
RIGHT = f"IN-FLIGHT ATT/S SUCCESS {FIRST_BYTE} {TOTAL} COST/H"


@app.command()
def backends(admin: AdminUrl = DEFAULT_URL, as_json: AsJson = False) -> None:
    """List the backends of a running gateway: state, load, latency (p50/p95), cost."""
    answer = ask(admin, "/api/v1/backends")
    print(json.dumps(answer, indent=2) if as_json else table(answer))


def table(answer: Sequence[dict[str, Any]]) -> str:
    """The backends as aligned lines."""
    return columns(HEAD, [_row(backend) for backend in answer], RIGHT)


def _row(backend: dict[str, Any]) -> tuple[str, ...]:
    now = backend["now"]
    limit = "" if now["limit"] is None else f"/{now['limit']}"
    return (
        backend["name"],
        state(now),
        f"{now['in_flight']}{limit}",
        rate(backend["attempts_per_s"]),
        share(backend["success_share"]),
        latency(backend["first_byte"]),
        latency(backend["total"]),
        usd(backend["cost_per_hour_usd"]),
    )


def state(now: dict[str, Any]) -> str:
    """In words, with the time left where there is one."""
    words = {"open": "breaker open"}.get(now["state"], now["state"].replace("_", " "))
    return f"{words}, {age(now['cooldown_s'])} left" if now["cooldown_s"] > 0 else words
