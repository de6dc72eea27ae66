"""Finds the module of a verb, runs it, and turns every error into a sentence and an exit code."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from typing import Any

import typer
from typer.core import TyperGroup

from gateway.errors import GatewayError
from gateway.loading import loading

FAILED = 1
EPILOG = "Exit codes: 0 good, 1 not good, 2 wrong usage, 130 interrupted."


def verb_app(**settings: Any) -> typer.Typer:
    """A Typer for one verb: plain help, and tracebacks without the values of variables."""
    return typer.Typer(
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        **settings,
    )


def run(arguments: list[str], verbs: Mapping[str, str]) -> None:
    """Run one verb and exit."""

    class Verbs(TyperGroup):
        """Imports a verb's module only when it is called."""

        def get_command(self, ctx: typer.Context, cmd_name: str) -> Any:  # type: ignore[override]
            if cmd_name not in verbs:
                from gateway.config.problems import meant  # noqa: PLC0415  slow to import

                ctx.fail(f"There is no verb `{cmd_name}`{meant(cmd_name, verbs)}")
            with loading():
                module = importlib.import_module(f"gateway.cli.{cmd_name}")
            return typer.main.get_command(module.app)

        def format_commands(self, ctx: typer.Context, formatter: Any) -> None:  # type: ignore[override]
            with formatter.section("Verbs"):
                formatter.write_dl(list(verbs.items()))

    app = verb_app(cls=Verbs, no_args_is_help=True, epilog=EPILOG)

    @app.callback()
    def gateway() -> None:
        """A high-throughput gateway in front of model servers and LLM providers."""

    try:
        app(arguments, prog_name="gateway")  # ends with SystemExit, always
    except GatewayError as error:
        print(f"gateway: {error}", file=sys.stderr)
        sys.exit(FAILED)
