"""`gateway status`: how a running gateway is."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from time import sleep
from typing import Annotated, Any

import typer

from gateway.cli import backends
from gateway.cli.admin import DEFAULT_URL, AdminUrl, AsJson, ask
from gateway.cli.columns import FIRST_BYTE, TOTAL, age, columns, latency, rate, share, usd
from gateway.cli.verbs import verb_app

app = verb_app()

EVERY_S = 1.0
MOST_CHANGED = 3
_CLEAR = "\x1b[H\x1b[2J\x1b[3J"
ROUTE_HEAD = ("ROUTE", "POLICY", "REQ/S", "SUCCESS", "WAITING", FIRST_BYTE, TOTAL, "COST/H")
ROUTE_RIGHT = f"REQ/S SUCCESS WAITING {FIRST_BYTE} {TOTAL} COST/H"


@app.command()
def status(
    admin: AdminUrl = DEFAULT_URL,
    as_json: AsJson = False,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Again each second.")] = False,
) -> None:
    """Show how a running gateway is: health, routes, backends, workers, last changes.

    With --watch and --json it prints one line of JSON a second.
    """
    while True:
        answer = ask(admin, "/api/v1/status")
        if as_json:
            print(json.dumps(answer, indent=None if watch else 2), flush=True)
        else:
            clear = _CLEAR if watch and sys.stdout.isatty() else ""
            print(clear + page(answer), flush=True)
        if not watch:
            return
        sleep(EVERY_S)


def page(answer: dict[str, Any]) -> str:
    """The status as text."""
    parts = [_head(answer), routes(answer["routes"]), backends.table(answer["backends"])]
    parts += [_failure(answer["failure"])] if answer["failure"] else []
    return "\n\n".join(parts)


def routes(answer: Sequence[dict[str, Any]]) -> str:
    """The routes as aligned lines."""
    rows = [
        (
            route["name"],
            route["policy"],
            rate(route["traffic"]["requests_per_s"]),
            share(route["traffic"]["success_share"]),
            str(route["traffic"]["queued"]),
            latency(route["first_byte"]),
            latency(route["total"]),
            usd(route["traffic"]["cost_per_hour_usd"]),
        )
        for route in answer
    ]
    return columns(ROUTE_HEAD, rows, ROUTE_RIGHT)


def _head(answer: dict[str, Any]) -> str:
    workers, traffic = answer["workers"], answer["traffic"]
    up = sum(worker["is_up"] for worker in workers)
    return (
        f"{answer['health']}: {answer['sentence']}\n"
        f"gateway {answer['version']}, up {age(answer['uptime_s'])},"
        f" plan {answer['plan']['hash'][:12]}, {up} of {len(workers)} workers,"
        f" {rate(traffic['requests_per_s'])} requests/s, {traffic['in_flight']} in flight\n"
        f"log {answer['log']['health']}: {answer['log']['sentence']}"
        f"{_watch(answer)}"
    )


def _watch(answer: dict[str, Any]) -> str:
    """What the rules of `drift` found last; "" nobody looks."""
    looks, alerts = answer.get("looks", []), answer.get("alerts", [])
    if not looks and not alerts:
        return ""
    changed = [f"{one['route']} ({one['rule'] or 'no rule'})" for one in looks if one["findings"]]
    said = f"changed: {', '.join(changed[:MOST_CHANGED])}" if changed else "as before"
    more = f" and {len(changed) - MOST_CHANGED} more" if len(changed) > MOST_CHANGED else ""
    latest = max((one["at"] for one in looks), default="")
    until = f", data until {latest}" if latest else ""
    opened = f"{len(alerts)} alert{'' if len(alerts) == 1 else 's'} open"
    return f"\nwatch {said}{more}; {opened}{until}"


def _failure(failure: dict[str, Any]) -> str:
    return (
        f"The last configuration, by {failure['author']} at {failure['at']}, was refused;"
        f" the one in force is unchanged:\n{failure['detail']}"
    )
