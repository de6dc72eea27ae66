"""Stand-ins for environment variables, so that an old configuration can be compiled again.

What the variables held when a plan was made is not kept, and must not be: it may be a
secret. A decision hardly ever needs it, so each variable gets a text that its place in the
file accepts: a word, a number, an address, … tried in turn until no problem is left there.

Rule 1: no value of the real environment comes in.
Rule 2: `undecided` names the places that choosing looks at and the environment filled.
Knows nothing of plans; `plans` calls it.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator

from gateway.config import Document, parse, source
from gateway.config.problems import Problems
from gateway.config.source import Node
from gateway.errors import ConfigError

_KINDS = (
    base64.b64encode(bytes(32)).decode(),  # a word, and a key of the right length
    "1",
    "http://placeholder.invalid",
    "127.0.0.1",
    "placeholder.invalid:1",
    "true",
)
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(:-)?", re.ASCII)
# What choosing looks at, below each backend and each route.
_OF_BACKENDS = {
    "adaptive",
    "capabilities",
    "context_window",
    "max_concurrency",
    "price",
    "quality",
    "slow_start",
}
_OF_ROUTES = {
    "backends",
    "balance",
    "exploration",
    "overrides",
    "panic",
    "policy",
    "slo",
}


def parse_without_environment(text: str) -> Document:
    """The configuration, its variables replaced by stand-ins; ConfigError if none will do."""
    kinds = dict.fromkeys((name for name, given in _variables(_tree(text)) if not given), 0)
    while True:
        environ = {name: _KINDS[kind] for name, kind in kinds.items()}
        try:
            return parse(text, environ)
        except ConfigError as error:
            places = {problem.path for problem in error.problems}
            wrong = {
                name
                for node in _walk(_tree(text))
                if node.path in places
                for name, _ in _variables_in(node)
            }
            changeable = {name for name in wrong & kinds.keys() if kinds[name] + 1 < len(_KINDS)}
            if not changeable:
                raise
            kinds |= {name: kinds[name] + 1 for name in changeable}


def undecided(text: str) -> tuple[str, ...]:
    """Places that choosing looks at and whose value came from the environment."""
    members = _members(_tree(text))
    found: list[str] = []
    for section, keys in (("backends", _OF_BACKENDS), ("routes", _OF_ROUTES)):
        for entry in _members(members.get(section)).values():
            for key, node in _members(entry).items():
                if key in keys:
                    found += [each.path for each in _walk(node) if each.is_expanded]
    return tuple(found)


def _tree(text: str) -> Node:
    root = source.read(text, {}, Problems())
    return root if root is not None else Node({}, "", 0)


def _members(node: Node | None) -> dict[str, Node]:
    return node.value if node is not None and isinstance(node.value, dict) else {}


def _walk(node: Node) -> Iterator[Node]:
    yield node
    for child in node.children():
        yield from _walk(child)


def _variables(root: Node) -> Iterator[tuple[str, bool]]:
    """Each variable, and whether the file gives a default for it."""
    for node in _walk(root):
        yield from _variables_in(node)


def _variables_in(node: Node) -> Iterator[tuple[str, bool]]:
    if node.is_expanded:
        for name, default in _VARIABLE.findall(node.text.replace("$${", "")):
            yield name, bool(default)
