"""`gateway explain`: why a request was answered as it was.

A running gateway has everything at hand that takes most of a second to load, so it is asked
first; it need not run, though: the state directory says the same.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import typer

from gateway.cli.admin import DEFAULT_URL, AdminError, AdminUrl, ask, ask_text
from gateway.cli.places import DEFAULT_FILE
from gateway.cli.verbs import verb_app

app = verb_app()


@app.command()
def explain(
    request_id: Annotated[
        str, typer.Argument(metavar="REQUEST_ID", help="The answer's x-request-id, or a record's.")
    ],
    config: Annotated[
        Path | None,
        typer.Option("--config", "-c", help=f"The configuration file; default: {DEFAULT_FILE}."),
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option("--state", help="The state directory; default: as the file says."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    payload: Annotated[
        bool, typer.Option("--payload", help="Also print the bodies, as far as they are kept.")
    ] = False,
    admin: AdminUrl = DEFAULT_URL,
) -> None:
    """Tell what was asked, who could have answered, who did and why, how long it took, what it
    cost, and whether choosing again from the record gives the same.

    Asks the gateway at --admin. Where none answers or it does not know the request, and with
    --config, --state or --payload, it reads the state directory; no gateway needs to run.
    """
    is_here = config is not None or state is not None or payload
    found = "" if is_here else _asked(admin, request_id, as_json=as_json)
    if found:
        print(found)
        return
    from gateway.cli.explain_offline import (  # noqa: PLC0415  half a second, for those who need it
        explain_offline,
    )

    explain_offline(request_id, config or DEFAULT_FILE, state, as_json=as_json, payload=payload)


def _asked(admin: str, request_id: str, *, as_json: bool) -> str:
    """What a running gateway says; "" where none does."""
    path = f"/api/v1/records/{quote(request_id, safe='')}/explanation"
    try:
        if as_json:
            return json.dumps(ask(admin, path), indent=2)
        return ask_text(admin, f"{path}?format=text").rstrip("\n")
    except AdminError:
        return ""
