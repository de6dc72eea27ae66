"""`gateway alert`: alerts of a running gateway."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from gateway.cli.admin import DEFAULT_URL, AdminUrl, AsJson, ask
from gateway.cli.columns import columns
from gateway.cli.verbs import verb_app

app = verb_app(help="List and show alerts, silence one, say that it is over.")

ALERTS = "/api/v1/alerts"
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
MOST_FACTS = 20

Author = Annotated[
    str, typer.Option("--author", envvar="USER", help="Who does it, for the log of actions.")
]
Number = Annotated[int, typer.Argument(help="The alert's number.", min=1)]


@app.command(name="list")
def list_(
    admin: AdminUrl = DEFAULT_URL,
    is_all: Annotated[bool, typer.Option("--all", help="The resolved ones too.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the alerts that are open."""
    found = ask(admin, f"{ALERTS}?all={str(is_all).lower()}")
    if as_json:
        print(json.dumps(found, indent=2))
    elif not found:
        print("no alerts" if is_all else "no alert is open")
    else:
        head = ("ID", "SEVERITY", "ROUTE", "WHAT", "FOLLOWERS", "COUNT", "SINCE", "STATUS")
        print(columns(head, list(map(_row, found)), right="ID FOLLOWERS COUNT"))


@app.command()
def show(number: Number, admin: AdminUrl = DEFAULT_URL, as_json: AsJson = False) -> None:
    """Show one alert: the evidence, what follows from it, what was done."""
    found = ask(admin, f"{ALERTS}/{number}")
    deeds = ask(admin, f"{ALERTS}/actions?alert={number}&limit=200")
    if as_json:
        print(json.dumps({**found, "actions": deeds}, indent=2))
    else:
        print("\n".join([*_lines(found), *_actions(deeds)]))


@app.command()
def silence(
    number: Number,
    length: Annotated[str, typer.Argument(help="Such as 30m, 8h, 3d; 0: tell again.")],
    author: Author = "",
    admin: AdminUrl = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Tell nobody of it for some time, and begin no action."""
    for_s = _seconds(length)
    found = ask(admin, f"{ALERTS}/{number}/silence", {"for_s": for_s, **_said_by(author)})
    until = found["silenced_until"]
    said = f"alert {number} is silent until {until}" if for_s else f"alert {number} is told again"
    print(json.dumps(found, indent=2) if as_json else said)


@app.command()
def resolve(
    number: Number, author: Author = "", admin: AdminUrl = DEFAULT_URL, as_json: AsJson = False
) -> None:
    """Say that it is over; what goes on nevertheless opens another."""
    found = ask(admin, f"{ALERTS}/{number}/resolve", _said_by(author))
    print(json.dumps(found, indent=2) if as_json else f"alert {number} is resolved")


def _said_by(author: str) -> dict[str, str]:
    return {"author": author} if author else {}


def _seconds(length: str) -> int:
    number, unit = (length, "s") if length == "0" else (length[:-1], length[-1:])
    if not (number.isascii() and number.isdecimal() and len(number) <= 9 and unit in SECONDS):
        raise typer.BadParameter("a time such as 30m, 8h or 3d is needed")
    return int(number) * SECONDS[unit]


def _row(alert: dict[str, Any]) -> tuple[str, ...]:
    followers = len(alert["followers"]) + alert["followers_left_out"]
    status = "silent" if alert["silenced_until"] and alert["status"] == "open" else alert["status"]
    return (
        str(alert["id"]),
        alert["severity"],
        alert["route"],
        _plain(alert["title"]),
        str(followers),
        str(alert["count"]),
        alert["opened_at"],
        status,
    )


def _lines(alert: dict[str, Any]) -> list[str]:
    lead, status = alert["lead"], alert["status"]
    by = f" by {_plain(alert['resolved_by'])}" if alert["resolved_by"] else ""
    ended = f", resolved {alert['resolved_at']}{by}" if status == "resolved" else ""
    model = f"{lead['model']} {lead['version']}".strip()
    fields = {
        "route": alert["route"],
        "model": model,
        "rule": lead["rule"],
        "cause": alert["cause"],
        "since": f"{alert['opened_at']}, last found {alert['last_at']}{ended}",
        "silent until": f"{alert['silenced_until']} {alert['silenced_by']}".strip(),
        "test": lead["test"],
        "effect": _figure(lead["effect"]),
        "p": _figure(lead["p"]),
        "log e": _figure(lead["log_e"]),
        **{name: _figure(value) for name, value in list(lead["evidence"].items())[:MOST_FACTS]},
        "requests": ", ".join(lead["requests"]),
        "found": f"{alert['count']} times",
        "while open": ", ".join(alert["holds"]),
        "what to do": alert["runbook"],
    }
    head = f"alert {alert['id']}  {alert['severity']}  {_plain(alert['title'])}"
    shown = [f"  {_plain(name):<14}{_plain(text)}" for name, text in fields.items() if text]
    return [head, f"  {_plain(lead['sentence'])}", *shown, *_followers(alert)]


def _followers(alert: dict[str, Any]) -> list[str]:
    if not alert["followers"]:
        return []
    more = alert["followers_left_out"]
    lines = [f"  {_plain(one['sentence'])}" for one in alert["followers"]]
    return ["what follows from it:", *lines, *([f"  and {more} more"] if more else [])]


def _actions(kept: list[dict[str, Any]]) -> list[str]:
    deeds = [json.loads(one["text"]) for one in kept]
    lines = [
        "  " + _plain(" ".join(filter(None, (one["action"], one.get("target", ""), one["result"],
        f"by {one['actor']}", f"({one['sentence']})" if one.get("sentence") else ""))))
        for one in deeds
    ]  # fmt: skip
    return ["what was done:", *lines] if lines else []


def _figure(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _plain(text: str) -> str:
    """Without what could move a terminal's cursor: names come from elsewhere."""
    return "".join(character if character.isprintable() else " " for character in text)
