"""Rollouts in files, before anything moves: whether they are right, and what they would do."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import yaml

from gateway.cli.log_search import store_of
from gateway.cli.places import DEFAULT_FILE
from gateway.compiler import compile_plan
from gateway.config import Document, load, parse
from gateway.config.document import parse_rollout
from gateway.config.problems import meant
from gateway.config.rollouts import Rollout
from gateway.config.units import Duration, Share
from gateway.errors import ConfigError, Problem
from gateway.messages import Record
from gateway.rollout.traffic import Traffic, assumed, recorded
from gateway.store.filters import Filter
from gateway.store.moments import moment_us

MOST_RECORDS = 50_000  # of a log that is simulated
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
        config = config or (DEFAULT_FILE if DEFAULT_FILE.exists() else None)
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


def one_of(found: Found, name: str) -> tuple[str, Rollout]:
    """The rollout of this name, or the only one."""
    names = list(found.rollouts)
    if not name and len(names) == 1:
        name = names[0]
    if name not in found.rollouts:
        hint = meant(name, names) if name else f"; it has {', '.join(names) or 'none'}"
        sentence = f"no rollout `{name}` in the file{hint}" if name else f"say which one{hint}"
        raise ConfigError((Problem(sentence),))
    return name, found.rollouts[name]


def assumed_traffic(
    *, rate: float, errors: str, latency: str, cost_usd: float, accepted: str
) -> Traffic:
    """A champion as somebody says it is."""
    return assumed(
        requests_per_s=rate,
        error_share=_share("--errors", errors),
        latency_ms=_milliseconds("--latency", latency),
        cost_usd=cost_usd,
        accepted=_share("--accepted", accepted),
    )


def recorded_traffic(route: str, config: Path, state: Path | None, since: str) -> Traffic:
    """A champion as the prediction log has it."""
    wanted = Filter(route=(route,), since_us=moment_us(since, time.time()))
    matches = store_of(config, state).search(wanted, limit=MOST_RECORDS).matches
    try:
        return recorded(_records(match.line for match in reversed(matches)))
    except ValueError as error:
        raise ConfigError((Problem(f"--log: {error} of the route {route}"),)) from None


def _records(lines: Iterable[bytes]) -> Iterator[Record]:
    decoder = msgspec.json.Decoder(Record)
    for line in lines:
        with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError):
            yield decoder.decode(line)


def _share(option: str, text: str) -> float:
    try:
        return float(Share.parse(float(text) if _is_number(text) else text))
    except ValueError as error:
        raise ConfigError((Problem(f"{option}: {error}"),)) from None


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).isdecimal()


def _milliseconds(option: str, text: str) -> float:
    try:
        return Duration.parse(text) / 1e6
    except ValueError as error:
        raise ConfigError((Problem(f"{option}: {error}"),)) from None
