"""Rollouts in files, before anything moves: whether they are right, and what they would do."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import yaml

from gateway.compiler import compile_plan
from gateway.config import Document, load, parse
from gateway.config.document import parse_rollout
from gateway.config.rollouts import Rollout
from gateway.errors import ConfigError, Problem

DEFAULT_CONFIG = Path("gateway.yaml")
_WHOLE = ("backends", "routes", "rollouts")


class Found(msgspec.Struct, frozen=True):
    """What a file declares, and what is to be said of it."""

    rollouts: Mapping[str, Rollout]
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    note: str = ""


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


def page(file: Path, found: Found) -> str:
    """What is said of a file without problems."""
    names = ", ".join(found.rollouts)
    lines = [f"{file} is valid{f': {names}' if names else ''}"]
    lines += [f"  warning: {warning}" for warning in found.warnings]
    lines += [f"  note: {found.note}"] if found.note else []
    return "\n".join(lines)


def as_json(found: Found) -> dict[str, Any]:
    return {
        "valid": not found.problems,
        "rollouts": list(found.rollouts),
        "problems": msgspec.to_builtins(found.problems),
        "warnings": msgspec.to_builtins(found.warnings),
        "note": found.note,
    }
