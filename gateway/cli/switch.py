"""`gateway switch`: kill switches of a running gateway."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from gateway.cli.admin import DEFAULT_URL, AdminUrl, AsJson, ask
from gateway.cli.columns import columns, seconds
from gateway.cli.verbs import verb_app

app = verb_app(help="Switch a route, a backend or a feature off, and on again.")

SWITCHES = "/api/v1/switches"

Author = Annotated[
    str, typer.Option("--author", envvar="USER", help="Who does it, for the history.")
]
Name = Annotated[str, typer.Argument(help="route.NAME, backend.NAME or feature.NAME.")]


@app.command(name="list")
def list_(admin: AdminUrl = DEFAULT_URL, as_json: AsJson = False) -> None:
    """List the switches, and which are off."""
    found = ask(admin, SWITCHES)
    rows = [(each["name"], _state(each)) for each in found]
    print(json.dumps(found, indent=2) if as_json else columns(("SWITCH", "STATE"), rows))


@app.command()
def off(
    name: Name, author: Author = "", admin: AdminUrl = DEFAULT_URL, as_json: AsJson = False
) -> None:
    """Switch it off, in every worker at once."""
    _throw(name, admin, author, is_off=True, as_json=as_json)


@app.command()
def on(
    name: Name, author: Author = "", admin: AdminUrl = DEFAULT_URL, as_json: AsJson = False
) -> None:
    """Switch it on again, in every worker at once."""
    _throw(name, admin, author, is_off=False, as_json=as_json)


def _throw(name: str, admin: str, author: str, *, is_off: bool, as_json: bool) -> None:
    body = {"name": name, "is_off": is_off, **({"author": author} if author else {})}
    said = f"{name}: {'off' if is_off else 'on'}"
    print(outcome(ask(admin, SWITCHES, body), said, as_json=as_json))


def outcome(change: dict[str, Any], said: str, *, as_json: bool) -> str:
    """What became of a change."""
    if as_json:
        return json.dumps(change, indent=2)
    if not change["is_changed"]:
        return f"{said} already"
    return "\n".join([f"{said}, after {seconds(change['propagation_s'])}", *change["notes"]])


def _state(found: dict[str, Any]) -> str:
    if not found["is_known"]:
        return "off, and gone from the configuration"
    return "off" if found["is_off"] else "on"
