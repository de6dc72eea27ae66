"""`gateway flag`: the flags of a running gateway, what is forced of them, what they say."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from gateway.cli.admin import DEFAULT_URL, AdminUrl, AsJson, ask
from gateway.cli.columns import NONE, columns
from gateway.cli.switch import Author, outcome
from gateway.cli.verbs import verb_app

app = verb_app(help="Look at flags, force a variant, evaluate one for a context.")

FLAGS = "/api/v1/flags"
OFREP = "/ofrep/v1/evaluate/flags"
HEAD = ("FLAG", "KIND", "STATE", "DEFAULT", "RULES", "VARIANTS")

Key = Annotated[str, typer.Argument(help="The flag's key.")]


@app.command(name="list")
def list_(admin: AdminUrl = DEFAULT_URL, as_json: AsJson = False) -> None:
    """List the flags: kind, state, default, rules, variants."""
    found = ask(admin, FLAGS)
    if as_json:
        print(json.dumps(found, indent=2))
    else:
        print(columns(HEAD, [_row(each) for each in found], "RULES") if found else "no flags")


@app.command()
def get(key: Key, admin: AdminUrl = DEFAULT_URL, as_json: AsJson = False) -> None:
    """Show one flag: its variants with their values, and what is forced."""
    found = ask(admin, _path(key))
    print(json.dumps(found, indent=2) if as_json else page(found))


@app.command(name="set")
def set_(
    key: Key,
    variant: Annotated[
        str, typer.Argument(help="The variant that everybody gets; none with --off.")
    ] = "",
    off: Annotated[
        bool, typer.Option("--off", help="Switch it off: applications use their own default.")
    ] = False,
    author: Author = "",
    admin: AdminUrl = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Give everybody one variant, in every worker at once, until it is reset."""
    if off == bool(variant):
        raise typer.BadParameter("give exactly one of VARIANT and --off")
    body = {"variant": variant, "is_off": off, **_author(author)}
    said = f"{key}: off" if off else f"{key}: everybody gets {variant}"
    print(outcome(ask(admin, _path(key), body), said, as_json=as_json))


@app.command()
def reset(
    key: Key, author: Author = "", admin: AdminUrl = DEFAULT_URL, as_json: AsJson = False
) -> None:
    """Let the flag's own rules decide again."""
    changed = ask(admin, f"{_path(key)}/reset", _author(author))
    print(outcome(changed, f"{key}: its own rules decide", as_json=as_json))


@app.command(name="eval")
def evaluate(
    key: Annotated[str, typer.Argument(help="The flag's key; all flags without it.")] = "",
    context: Annotated[
        str, typer.Option("--context", "-d", help="The context's JSON, @FILE, or - for stdin.")
    ] = "",
    unit: Annotated[
        str, typer.Option("--targeting-key", "-k", help="Its targetingKey: the user, for one.")
    ] = "",
    admin: AdminUrl = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Evaluate a flag as an application would, and say why it has this value."""
    whom = {**_context(context), **({"targetingKey": unit} if unit else {})}
    path = f"{OFREP}/{quote(key, safe='')}" if key else OFREP
    found = ask(admin, path, {"context": whom})
    if as_json:
        print(json.dumps(found, indent=2))
        return
    print("\n".join(told(each) for each in found.get("flags", [found])))


def page(found: dict[str, Any]) -> str:
    """One flag as text."""
    lines = [f"{found['key']} ({found['kind']}): {_state(found)}"]
    lines += [
        f"  {name} = {json.dumps(value)}" + (" (default)" if name == found["default"] else "")
        for name, value in found["variants"].items()
    ]
    rules = f"{found['rules']} rules" if found["rules"] != 1 else "1 rule"
    return "\n".join([*lines, f"{rules}, splits by {found['unit']}", *found["notes"]])


def told(found: dict[str, Any]) -> str:
    """One evaluation as a line."""
    if "errorCode" in found:
        return f"{found['key']}: {found['errorCode']}: {found.get('errorDetails', '')}"
    if "value" not in found:
        return f"{found['key']}: the application's own default ({found['reason']})"
    value = json.dumps(found["value"])
    return f"{found['key']} = {value} ({found['variant']}, {found['reason']})"


def _row(found: dict[str, Any]) -> tuple[str, ...]:
    return (
        found["key"],
        found["kind"],
        _state(found),
        found["default"],
        str(found["rules"]),
        ", ".join(found["variants"]) or NONE,
    )


def _state(found: dict[str, Any]) -> str:
    if not found["is_enabled"]:
        return "off"
    return f"forced to {found['forced']}" if found["forced"] else "on"


def _path(key: str) -> str:
    return f"{FLAGS}/{quote(key, safe='')}"


def _author(author: str) -> dict[str, str]:
    return {"author": author} if author else {}


def _context(text: str) -> dict[str, Any]:
    if text == "-":
        text = sys.stdin.read()
    elif text.startswith("@"):
        try:
            text = Path(text[1:]).read_text("utf-8")
        except (OSError, UnicodeDecodeError):
            raise typer.BadParameter(f"cannot read {text[1:]}") from None
    try:
        context = json.loads(text or "{}")
    except ValueError:
        raise typer.BadParameter("--context is not JSON") from None
    if not isinstance(context, dict):
        raise typer.BadParameter("--context is not an object")
    return context
