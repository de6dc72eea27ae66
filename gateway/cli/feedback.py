"""`gateway feedback`: a signal on an earlier request, by the admin API."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from gateway.cli.admin import DEFAULT_URL, AdminUrl, AsJson, ask
from gateway.cli.verbs import verb_app
from gateway.feedback import SIGNALS

app = verb_app()


@app.command()
def feedback(
    request_id: Annotated[str, typer.Argument(help="The answer's x-request-id.")],
    signal: Annotated[str, typer.Argument(help=f"One of {', '.join(SIGNALS)}.")],
    value: Annotated[str, typer.Argument(help="As the signal wants it: JSON, or a text.")] = "",
    comment: Annotated[str, typer.Option("--comment", help="In words.")] = "",
    source: Annotated[str, typer.Option("--source", help="Who says so.")] = "",
    score_range: Annotated[
        str, typer.Option("--range", metavar="LOW:HIGH", help="Of a score.")
    ] = "",
    happened_at: Annotated[
        str, typer.Option("--happened-at", metavar="TIME", help="When, if not now; RFC 3339.")
    ] = "",
    key: Annotated[
        str, typer.Option("--key", help="Idempotency key: the same again counts once.")
    ] = "",
    admin: AdminUrl = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Say what became of an answer: accepted, edited, asked for again, right, wrong.

    Values: accept and task true or false; edit 0 to 1; thumbs up or down; score a number;
    label the truth; ticket its name; comment the text.
    """
    body: dict[str, Any] = {"request_id": request_id, "signal": signal}
    members = {
        "comment": comment,
        "source": source,
        "happened_at": happened_at,
        "idempotency_key": key,
    }
    body |= {name: text for name, text in members.items() if text}
    if value:
        body["value"] = _value(signal, value)
    if score_range:
        body["range"] = _range(score_range)
    answer = ask(admin, "/api/v1/feedback", body)
    print(json.dumps(answer, indent=2) if as_json else "\n".join(answer["ids"]))


def _value(signal: str, text: str) -> object:
    """JSON where it is some; names and comments stay texts though they look like numbers."""
    if signal in {"comment", "ticket"}:
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def _range(text: str) -> list[float]:
    low, colon, high = text.partition(":")
    try:
        if colon:
            return [float(low), float(high)]
    except ValueError:
        pass
    raise typer.BadParameter("--range is the lowest and the highest score, such as 1:5")
