"""`gateway check`: whether a configuration is right, and what will be in force."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import IO, Annotated

import msgspec
import typer
import yaml

from gateway.cli.places import DEFAULT_FILE, ConfigFile
from gateway.cli.verbs import FAILED, verb_app
from gateway.compiler import compile_plan
from gateway.config import Document, load
from gateway.config.effective import effective
from gateway.errors import ConfigError, Problem
from gateway.summary import Summary, summary_of

app = verb_app()


@app.command()
def check(
    config: ConfigFile = DEFAULT_FILE,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    show: Annotated[
        bool, typer.Option("--show", help="Print the whole configuration, defaults filled in.")
    ] = False,
) -> None:
    """Check a configuration file and show what will be in force.

    Prints every problem with its line and path, else what each route will do as it was
    compiled. Secrets are masked. Exits with 0 when the file is right, 1 when it is not.
    """
    try:
        document = load(config, os.environ)
        summary = summary_of(document, compile_plan(document))
    except ConfigError as error:
        if as_json:
            _print_json_of(error.problems)
        else:
            print_problems(config, error.problems)
        raise typer.Exit(FAILED) from None
    if as_json:
        _print_json(document, summary, show=show)
    elif show:
        print(yaml.safe_dump(effective(document.config), sort_keys=False, width=100), end="")
    else:
        _print_summary(config, document, summary)


def print_problems(config: Path, problems: tuple[Problem, ...], to: IO[str] | None = None) -> None:
    """Every problem of a file, for people."""
    noun = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    print(f"{config} is not valid: {noun}", file=to)
    for problem in problems:
        print(f"  {problem}", file=to)


def _print_json_of(problems: tuple[Problem, ...]) -> None:
    found = msgspec.to_builtins(problems)
    print(json.dumps({"valid": False, "problems": found, "warnings": []}, indent=2))


def _print_json(document: Document, summary: Summary, *, show: bool) -> None:
    answer = {
        "valid": True,
        "hash": document.hash,
        "problems": [],
        "warnings": msgspec.to_builtins(document.warnings),
        "summary": msgspec.to_builtins(summary),
    }
    if show:
        answer["config"] = effective(document.config)
    print(json.dumps(answer, indent=2))


def _print_summary(config: Path, document: Document, summary: Summary) -> None:
    print(f"{config} is valid; plan {document.hash[:12]}")
    for warning in document.warnings:
        print(f"  warning: {warning}")
    print()
    for label, text in summary.process.items():
        print(f"{label:<14}{text}")
    for title, facts in [*summary.routes.items(), *summary.backends.items()]:
        print(f"\n{title}")
        for label, text in facts.items():
            print(f"  {label:<14}{text}")
