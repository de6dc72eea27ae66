"""A basis: the fields that a route's values are counted on, and where they come from.

    training   a file: CSV, Parquet, or what `gateway drift pin` wrote
    pinned     a stretch of recorded traffic, made a reference once and kept
    learned    the first traffic seen; for rules whose reference is traffic itself

Rules by `last_week` and `champion` compare traffic with traffic, on whatever fields their route
has: those of its first training or pinned reference, in the order of the rules' names, else
learned ones. A basis is named by its reference's hash; one file for several routes is one name,
so a key of what is counted is (name, source), and the source has the route.

Rule 1: every process that asks gets the same bases: what is made is kept on a shelf, and the
        first that was put there is the one that holds.
Rule 2: a basis that cannot be had (yet) is a sentence in `problems`; the others go on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol
from urllib.parse import quote

from msgspec import Struct

from gateway.config.watching import Drift, DriftConsumer, DriftRule
from gateway.profiles.reference import Reference

Origin = Literal["training", "pinned", "learned"]
Recorded = Callable[[str, datetime, datetime], Iterable[bytes]]  # lines of a route, from, until

SEQUENTIAL = {"adwin", "page_hinkley"}  # tests of labelled error: not looks at profiles


class Basis(Struct, frozen=True, kw_only=True):
    """What one route is counted on."""

    name: str  # the reference's hash
    route: str
    origin: Origin
    reference: Reference


class Bases(Struct, frozen=True, kw_only=True):
    """All that is to be counted, and what each rule looks at."""

    all: tuple[Basis, ...] = ()  # by route and name; of one route there may be several
    of_rule: Mapping[tuple[str, str], Basis] = {}  # by rule and route
    learning: tuple[str, ...] = ()  # routes whose fields are still to be learned
    problems: tuple[str, ...] = ()  # sentences


class Shelf(Protocol):
    """Where documents of references are kept by name."""

    def get(self, name: str) -> bytes | None:
        """The document, or none."""

    def put(self, name: str, document: bytes) -> bytes:
        """Keep it, unless there is one; the one that is there then."""


class Want(Struct, frozen=True):
    """A basis that is asked for."""

    origin: Origin
    reference: str  # entry of `drift.references`; "" of learned ones
    route: str


def wants(drift: Drift, routes: Iterable[str]) -> dict[tuple[str, str], Want]:
    """What each (rule, route) is counted on; rules that do not look at profiles are left out."""
    found: dict[tuple[str, str], Want] = {}
    if not drift.enabled:
        return found
    rules = {name: drift.rules[name] for name in sorted(drift.rules) if _looks(drift.rules[name])}
    for route in routes:
        of_route = [
            (name, drift.references[rule.reference], rule)
            for name, rule in rules.items()
            if rule.reference in drift.references and (not rule.routes or route in rule.routes)
        ]
        fixed = [
            Want(reference.kind, rule.reference, route)
            for _name, reference, rule in of_route
            if reference.kind in {"training", "pinned"}
        ]
        first = fixed[0] if fixed else Want("learned", "", route)
        for name, reference, rule in of_route:
            is_own = reference.kind in {"training", "pinned"}
            found[name, route] = Want(reference.kind, rule.reference, route) if is_own else first
    return found


def _looks(rule: DriftRule) -> bool:
    return bool(rule.reference) and rule.test not in SEQUENTIAL


def bases_of(
    drift: Drift,
    routes: Iterable[str],
    shelf: Shelf,
    *,
    learned: Shelf | None = None,
    recorded: Recorded | None = None,
) -> Bases:
    """Every basis that the rules need. Blocks: reads files, and for a pinned stretch the store.

    `learned` holds documents named `learned_name(route)`, by default on the same shelf.
    `recorded` reads the store; without it a pinned stretch that is not on the shelf is a problem.
    """
    raise NotImplementedError


def learned_name(route: str) -> str:
    """Of a learned reference on a shelf."""
    return f"learned.{quote(route, safe='')}"


class BasisFiles:
    """A shelf in a directory: `state/drift/bases`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def get(self, name: str) -> bytes | None:
        """The document, or none."""
        raise NotImplementedError

    def put(self, name: str, document: bytes) -> bytes:
        """Keep it, unless there is one; the one that is there then."""
        raise NotImplementedError


class Learner:
    """Lines of one route until they are enough for a reference; bounded.

    Enough are LEARN_LINES, or LEAST_LINES once LEARN_MINUTES have passed. What was learned from
    is not counted: it is what the fields were frozen on.
    """

    def __init__(self, route: str, consumer: DriftConsumer | None = None) -> None:
        raise NotImplementedError

    def add(self, data: bytes, now_minute: int) -> Reference | None:
        """Whole lines of the log, of any route; the reference once there are enough.

        The caller puts it on the shelf, `put(learned_name(route), reference.encode())`, and
        takes what the shelf answers (`decode`), which another process may have put first.
        """
        raise NotImplementedError
