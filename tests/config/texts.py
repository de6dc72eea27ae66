"""Small valid configurations, and how to vary them."""

from __future__ import annotations

import copy
from typing import Any

import yaml

from gateway.config import Document, parse
from gateway.errors import ConfigError, Problem

SMALL: dict[str, Any] = {
    "backends": {
        "one": {"protocol": "openai", "url": "http://127.0.0.1:9001/v1"},
        "two": {"protocol": "openai", "url": "https://two.example/v1"},
        "score": {"protocol": "http", "url": "http://127.0.0.1:9003"},
    },
    "routes": {
        "chat": {"backends": ["one", "two"]},
        "fraud": {"backends": ["score"]},
    },
}


def varied(changes: dict[str, Any] | None = None, /, **top: Any) -> dict[str, Any]:
    """SMALL with values put at dotted paths: {"routes.chat.policy": "fastest"}."""
    result = copy.deepcopy(SMALL) | top
    for path, value in (changes or {}).items():
        *parents, last = path.split(".")
        place = result
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = copy.deepcopy(value)
    return result


def document(
    changes: dict[str, Any] | None = None, environ: dict[str, str] | None = None, /, **top: Any
) -> Document:
    return parse(yaml.safe_dump(varied(changes, **top), sort_keys=False), environ or {})


def problems(text: str, environ: dict[str, str] | None = None) -> tuple[Problem, ...]:
    """What is wrong with a text; () when nothing is."""
    try:
        parse(text, environ or {})
    except ConfigError as error:
        return error.problems
    return ()


def problems_of(changes: dict[str, Any] | None = None, /, **top: Any) -> dict[str, str]:
    """What is wrong with a varied SMALL: path -> message."""
    found = problems(yaml.safe_dump(varied(changes, **top), sort_keys=False))
    return {problem.path: problem.message for problem in found}
