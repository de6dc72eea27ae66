"""`gateway serve`: runs the gateway in the foreground."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Literal

import typer

from gateway.cli.check import print_problems
from gateway.cli.places import DEFAULT_FILE, ConfigFile
from gateway.cli.verbs import FAILED, verb_app
from gateway.errors import ConfigError
from gateway.run.start import Wish
from gateway.run.start import serve as run_gateway

app = verb_app()

LogFormat = Literal["text", "json"]
LogLevel = Literal["debug", "info", "warning", "error"]


@app.command()
def serve(
    config: ConfigFile = DEFAULT_FILE,
    log_format: Annotated[
        LogFormat, typer.Option("--log-format", help="One line an event on stderr.")
    ] = "text",
    log_level: Annotated[
        LogLevel, typer.Option("--log-level", help="The least that is told.")
    ] = "info",
    last_good: Annotated[
        bool,
        typer.Option(
            "--last-good", help="Start on the last good configuration if FILE is not valid."
        ),
    ] = False,
) -> None:
    """Run the gateway until SIGTERM or Ctrl-C, which drain it; the same again ends it at once.

    The file is watched: a change is checked, and put in force without a restart. SIGHUP
    reads it at once. SIGUSR2 replaces the workers one after another. A file that is not
    valid, a port in use or a state directory that cannot be written end with exit code 1.
    """
    wish = Wish(file=config, log_format=log_format, log_level=log_level, use_last_good=last_good)
    try:
        code = run_gateway(wish, os.environ)
    except ConfigError as error:
        if len(error.problems) == 1:
            raise  # one sentence, as of any other error
        print_problems(config, error.problems, sys.stderr)
        code = FAILED
    raise typer.Exit(code)
