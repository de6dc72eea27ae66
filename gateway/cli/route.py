"""`gateway route`: the routes of a running gateway, and what one would do with a request."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from gateway.cli import status
from gateway.cli.admin import DEFAULT_URL, AdminUrl, AsJson, ask
from gateway.cli.columns import NONE, columns, seconds, share, usd
from gateway.cli.verbs import verb_app

app = verb_app(help="Look at routes, and explain what one would do with a request.")

HEAD = ("", "BACKEND", "CHANCE", "SCORE", "EXPECTED", "PREDICTED", "WHY-NOT")


@app.command(name="list")
def list_(admin: AdminUrl = DEFAULT_URL, as_json: AsJson = False) -> None:
    """List the routes: policy, traffic, latency (p50/p95), cost."""
    answer = ask(admin, "/api/v1/routes")
    print(json.dumps(answer, indent=2) if as_json else status.routes(answer))


@app.command()
def explain(
    route: Annotated[str, typer.Argument(help="The route's name.")],
    body: Annotated[
        str, typer.Option("--body", "-d", help="The request's JSON, @FILE, or - for stdin.")
    ] = "",
    header: Annotated[
        list[str] | None, typer.Option("--header", "-H", help="A request header, NAME:VALUE.")
    ] = None,
    path: Annotated[str, typer.Option("--path", help="Path of the request.")] = "",
    admin: AdminUrl = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Show who would answer this request now, who would not, and why; nothing is sent."""
    question = {"path": path, "headers": dict(map(_header, header or [])), "body": _body(body)}
    answer = ask(admin, f"/api/v1/routes/{quote(route, safe='')}/explain", question)
    print(json.dumps(answer, indent=2) if as_json else page(answer))


def page(answer: dict[str, Any]) -> str:
    """The explanation as text."""
    choice = answer["choice"]
    lines = [
        f"{answer['route']} ({answer['policy']}): "
        + (f"{choice} would be asked" if choice else _no_choice(answer["refusal"])),
    ]
    if answer["needs"]:
        lines.append(f"needs {', '.join(answer['needs'])}")
    if answer["input_tokens"] is not None:
        lines.append(f"about {answer['input_tokens']:.0f} input tokens")
    if answer["is_panic"]:
        lines.append("too few candidates are usable, so breakers and health are ignored")
    rows = [_row(candidate, choice) for candidate in answer["candidates"]]
    table = columns(HEAD, rows, "CHANCE SCORE EXPECTED PREDICTED")
    return "\n".join([*lines, *answer["notes"], "", table])


def _no_choice(refusal: str) -> str:
    return f"refused, {refusal}" if refusal else "the request would wait"


def _row(candidate: dict[str, Any], choice: str | None) -> tuple[str, ...]:
    score = candidate["score"]
    return (
        "->" if candidate["backend"] == choice else "",
        candidate["backend"],
        share(candidate["probability"]) if candidate["is_eligible"] else NONE,
        NONE if score is None else f"{score:.4g}",
        usd(candidate["expected_usd"]),
        seconds(candidate["predicted_s"]),
        candidate["sentence"] or candidate["reason"],
    )


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise typer.BadParameter(f"`{text}` is not NAME:VALUE")
    return name.strip(), value.strip()


def _body(text: str) -> object:
    if text == "-":
        text = sys.stdin.read()
    elif text.startswith("@"):
        text = _file_text(Path(text[1:]))
    try:
        return json.loads(text) if text else None
    except ValueError:
        raise typer.BadParameter("--body is not JSON") from None


def _file_text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        raise typer.BadParameter(f"cannot read {path}") from None
