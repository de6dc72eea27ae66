"""`gateway demo`: the gateway before stand-in models, with clients, in the terminal."""

from __future__ import annotations

from typing import Annotated

import typer

from gateway.cli.verbs import verb_app
from gateway.demo.show import run
from gateway.demo.stage import DATA_PORT

app = verb_app()


@app.command()
def demo(
    seconds: Annotated[
        float | None,
        typer.Option("--seconds", metavar="N", min=4, help="End after so long; else by Ctrl-C."),
    ] = None,
    port: Annotated[
        int, typer.Option(metavar="N", min=0, max=65534, help="Data port, if it is free.")
    ] = DATA_PORT,
    plain: Annotated[
        bool, typer.Option("--plain", help="Print lines; so it does where there is no terminal.")
    ] = False,
) -> None:
    """Show the gateway at work: stand-in models, clients, a failure, a rollout taken back.

    Starts everything itself, on this machine only, and removes it at the end. Exits with 0
    when every request of the clients was answered, else with 1.
    """
    raise typer.Exit(run(seconds, port=port, is_plain=plain))
