"""Rollouts in files, before anything moves: whether they are right, and what they would do."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
import yaml

from gateway.cli.admin import AsJson
from gateway.cli.check import print_problems
from gateway.cli.verbs import FAILED
from gateway.compiler import compile_plan
from gateway.config import Document, load, parse
from gateway.config.document import parse_rollout
from gateway.config.rollouts import Rollout
from gateway.errors import ConfigError, Problem

DEFAULT_CONFIG = Path("gateway.yaml")
_WHOLE = ("backends", "routes", "rollouts")

SpecFile = Annotated[
    Path, typer.Argument(metavar="FILE", help="A gateway.yaml, or YAML of one rollout.")
]
Config = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", help="What one rollout refers to; default: gateway.yaml, if it is there."
    ),
]


class Found(msgspec.Struct, frozen=True):
    """What a file declares, and what is to be said of it."""

    rollouts: Mapping[str, Rollout]
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    note: str = ""


def lint(file: SpecFile, config: Config = None, as_json: AsJson = False) -> None:
    """Say every problem of the rollouts in a file, with its path; nothing is changed.

    The file is a whole gateway.yaml, or one rollout as `start --file` takes it. Exits with
    0 when it is right, 1 when it is not.
    """
    found = look_into(file, config)
    if as_json:
        print(json.dumps(_as_json(found), indent=2))
    elif found.problems:
        print_problems(file, found.problems)
    else:
        _print_good(file, found)
    if found.problems:
        raise typer.Exit(FAILED)


def look_into(file: Path, config: Path | None) -> Found:
    """Everything that can be said without a running gateway."""
    text = text_of(file)
    try:
        if _is_whole(text):
            return _whole(load(file, os.environ))
        rollout = parse_rollout(text, f"rollouts.{file.stem}")
        config = config or (DEFAULT_CONFIG if DEFAULT_CONFIG.exists() else None)
        if config is None:
            note = "what it refers to was not looked for; name a configuration with --config"
            return Found({file.stem: rollout}, note=note)
        return _beside(file.stem, text, rollout, text_of(config))
    except ConfigError as error:
        return Found({}, error.problems)


def text_of(file: Path) -> str:
    """Of a file that somebody named."""
    try:
        return file.read_text("utf-8-sig")
    except OSError as error:
        raise ConfigError((Problem(f"cannot read {file}: {error.strerror}"),)) from None
    except UnicodeDecodeError:
        raise ConfigError((Problem(f"{file} is not UTF-8 text"),)) from None


def _is_whole(text: str) -> bool:
    data = _plain(text)
    return isinstance(data, dict) and any(key in data for key in _WHOLE)


def _plain(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:  # `load` says it better
        return None


def _whole(document: Document) -> Found:
    compile_plan(document)
    rollouts = document.config.rollouts
    return Found(rollouts, warnings=document.warnings, note="" if rollouts else "it has no rollout")


def _beside(name: str, text: str, rollout: Rollout, config: str) -> Found:
    """One rollout as if it stood in the configuration."""
    whole = _plain(config)
    if not isinstance(whole, dict):
        raise ConfigError((Problem("the file of --config is no configuration"),))
    others = whole.get("rollouts") or {}
    whole["rollouts"] = {**others, name: _plain(text)}
    at = f"rollouts.{name}"
    try:
        document = parse(yaml.safe_dump(whole, sort_keys=False), os.environ)
        compile_plan(document)
    except ConfigError as error:
        raise ConfigError(tuple(_unplaced(one) for one in error.problems)) from None
    warnings = tuple(_unplaced(one) for one in document.warnings if one.path.startswith(at))
    return Found({name: rollout}, warnings=warnings)


def _unplaced(problem: Problem) -> Problem:
    """Without its line, which is of a text that nobody wrote."""
    return msgspec.structs.replace(problem, line=0)


def _print_good(file: Path, found: Found) -> None:
    names = ", ".join(found.rollouts)
    print(f"{file} is valid{f': {names}' if names else ''}")
    for warning in found.warnings:
        print(f"  warning: {warning}")
    if found.note:
        print(f"  note: {found.note}")


def _as_json(found: Found) -> dict[str, Any]:
    return {
        "valid": not found.problems,
        "rollouts": list(found.rollouts),
        "problems": msgspec.to_builtins(found.problems),
        "warnings": msgspec.to_builtins(found.warnings),
        "note": found.note,
    }
