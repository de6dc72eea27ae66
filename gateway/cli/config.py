"""`gateway config`: the history of the configuration, differences, and the way back."""

from __future__ import annotations

import contextlib
import difflib
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.places import DEFAULT_FILE, ConfigFile, StateDirectory
from gateway.cli.verbs import FAILED, verb_app
from gateway.config import load, parse
from gateway.config.document import state_directory
from gateway.config.file import replace_text
from gateway.config.manual import manual
from gateway.config.masking import masked
from gateway.errors import ConfigError, Problem, StateError
from gateway.state.database import look_into_database
from gateway.state.history import ConfigHistory, Entry

app = verb_app(help="Look at the history of the configuration, compare, roll back.")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def history(
    config: ConfigFile = DEFAULT_FILE,
    state: StateDirectory = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1000)] = 20,
    as_json: AsJson = False,
) -> None:
    """List the configurations that were applied or refused, newest first."""
    with _history(config, state) as past:
        entries = past.latest(limit)
    if as_json:
        print(json.dumps([_as_row(entry) for entry in entries], indent=2))
        return
    for entry in entries:
        row = _as_row(entry)
        print(f"{row['at']}  {entry.hash[:12]}  {entry.outcome:<8} {entry.author}", end="")
        print(f"  {entry.detail.splitlines()[0]}" if entry.detail else "")
    if not entries:
        print("the history is empty")


@app.command()
def diff(
    a: Annotated[str, typer.Argument(help="A hash; default: the one applied last.")] = "",
    b: Annotated[str, typer.Argument(help="A hash; default: the file.")] = "",
    config: ConfigFile = DEFAULT_FILE,
    state: StateDirectory = None,
) -> None:
    """Show how two configurations differ; secrets in them are masked."""
    with _history(config, state) as past:
        old = past.get(a) if a else past.latest_good()
        new = past.get(b) if b else None
    old_name, old_text = (old.hash[:12], old.text) if old else ("(none)", "")
    new_name, new_text = (new.hash[:12], new.text) if new else (str(config), _text_of(config))
    lines = list(
        difflib.unified_diff(
            masked(old_text).splitlines(),
            masked(new_text).splitlines(),
            old_name,
            new_name,
            lineterm="",
        )
    )
    print("\n".join(lines) if lines else _likeness(old_text, new_text))


@app.command()
def rollback(
    hash_prefix: Annotated[str, typer.Argument(metavar="HASH", help="Which to go back to.")],
    config: ConfigFile = DEFAULT_FILE,
    state: StateDirectory = None,
) -> None:
    """Put an earlier configuration back into the file; the present file is kept beside it."""
    with _history(config, state) as past:
        entry = past.get(hash_prefix)
    try:
        document = parse(entry.text, os.environ)
    except ConfigError as error:
        print(f"{entry.hash[:12]} is not valid now, so the file was left as it is:")
        print("\n".join(f"  {problem}" for problem in error.problems))
        raise typer.Exit(FAILED) from None
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    backup = replace_text(config, entry.text, stamp=stamp)
    print(f"{config} is now {document.hash[:12]}; what it was is in {backup}")
    print("A running gateway notices the change by itself; `gateway status` shows its plan.")


@app.command()
def show(
    hash_prefix: Annotated[
        str, typer.Argument(metavar="HASH", help="Which to show; default: the one applied last.")
    ] = "",
    config: ConfigFile = DEFAULT_FILE,
    state: StateDirectory = None,
) -> None:
    """Print a configuration of the history as it was written; secrets in it are masked."""
    with _history(config, state) as past:
        entry = past.get(hash_prefix) if hash_prefix else past.latest_good()
    if entry is None:
        raise StateError("no configuration was applied yet; `gateway check --show` shows a file")
    print(masked(entry.text), end="")


@app.command()
def keys() -> None:
    """Print the manual: every key, its type, its default, what it means."""
    print(manual(), end="")


@app.command(name="hash")
def hash_(config: ConfigFile = DEFAULT_FILE) -> None:
    """Print the hash that names the plan of a file."""
    print(load(config, os.environ).hash)


@contextlib.contextmanager
def _history(config: Path, state: Path | None) -> Iterator[ConfigHistory]:
    engine = look_into_database(state or state_directory(config, os.environ))
    try:
        yield ConfigHistory(engine)
    finally:
        engine.dispose()


def _as_row(entry: Entry) -> dict[str, object]:
    at = datetime.fromtimestamp(entry.at_ms / 1000, UTC)
    return {
        "at": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "hash": entry.hash,
        "outcome": entry.outcome,
        "author": entry.author,
        "detail": entry.detail,
    }


def _text_of(config: Path) -> str:
    try:
        return config.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError):
        raise ConfigError((Problem(f"cannot read {config}"),)) from None


def _likeness(old: str, new: str) -> str:
    return "no difference" if old == new else "no difference but in secrets, which are masked"
