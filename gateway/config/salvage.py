"""The part of a wrong configuration whose shape is right.

What a problem points at is taken out of the tree, and with it whatever cannot be without
it, until the rest can be built; so that what is wrong between the fields of that rest can
be told in the same breath.

Rule: what was taken out is named in `gone`, since its absence says nothing of the file.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from msgspec import Struct

from gateway.config.problems import Problems
from gateway.config.schema import Config
from gateway.config.shape import build
from gateway.config.source import Node
from gateway.errors import Problem


class Salvage(Struct, frozen=True):
    """What is left of a configuration."""

    config: Config
    root: Node
    gone: frozenset[str]  # paths


def salvage(root: Node, found: Iterable[Problem]) -> Salvage | None:
    """What is left without that which the problems point at; None where it is nothing."""
    paths, gone = _paths(found), frozenset[str]()
    while not paths <= gone:
        left = _without(root, paths)
        if left is None:
            return None
        root, gone, problems = left, gone | paths, Problems()
        config = build(Config, root, problems)
        paths = _paths(problems.found)
        if not paths:
            return Salvage(config, root, gone)
    return None


def _paths(problems: Iterable[Problem]) -> frozenset[str]:
    return frozenset(problem.path for problem in problems)


def _without(node: Node, paths: frozenset[str]) -> Node | None:
    """The tree without these places; a list goes as a whole, since its places are counted."""
    if node.path in paths:
        return None
    if isinstance(node.value, dict):
        members = {key: _without(child, paths) for key, child in node.value.items()}
        kept = {key: child for key, child in members.items() if child is not None}
        return msgspec.structs.replace(node, value=kept)
    if isinstance(node.value, list) and any(_without(each, paths) is None for each in node.value):
        return None
    return node
