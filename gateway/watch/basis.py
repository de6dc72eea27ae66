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

import contextlib
import hashlib
import os
import secrets
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Literal, Protocol
from urllib.parse import quote

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from gateway.config.watching import Drift, DriftConsumer, DriftReference, DriftRule
from gateway.errors import ConfigError, GatewayError
from gateway.log.files import sync_directory, why, write_durably
from gateway.profiles.recorded import from_lines
from gateway.profiles.reference import Reference, decode, from_file
from gateway.store import Store
from gateway.store.database import StoreError
from gateway.store.filters import Filter
from gateway.store.moments import to_us

Origin = Literal["training", "pinned", "learned"]
Recorded = Callable[[str, datetime, datetime], Iterable[bytes]]  # lines of a route, from, until

DIRECTORY = "drift/bases"  # under the state directory
PINNED_LINES = 50_000  # of recorded traffic that a pinned reference is made of, the newest

SEQUENTIAL = {"adwin", "page_hinkley"}  # tests of labelled error: not looks at profiles


class Basis(Struct, frozen=True, kw_only=True):
    """What one route is counted on."""

    name: str  # the reference's hash
    route: str
    origin: Origin
    reference: Reference


class Pin(Struct, frozen=True, kw_only=True):
    """A stretch of recorded traffic that is to be a reference."""

    name: str  # of its document on a shelf
    reference: str  # entry of `drift.references`
    route: str
    since: datetime
    until: datetime

    def reference_of(self, lines: Iterable[bytes], consumer: DriftConsumer) -> Reference:
        """Of lines of the route and the stretch; without any it has no rows."""
        return from_lines(
            lines,
            self.route,
            source=f"{self.route}, {_text(self.since)} to {_text(self.until)}",
            bins=consumer.bins,
            top=consumer.top,
            most=consumer.fields,
        )


class Bases(Struct, frozen=True, kw_only=True):
    """All that is to be counted, and what each rule looks at."""

    all: tuple[Basis, ...] = ()  # by route and name; of one route there may be several
    of_rule: Mapping[tuple[str, str], Basis] = {}  # by rule and route
    learning: tuple[str, ...] = ()  # routes whose fields are still to be learned
    pinning: tuple[Pin, ...] = ()  # stretches that whoever has the records must make references of
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
        own = {
            name: _own(drift, rule, route)
            for name, rule in rules.items()
            if rule.reference in drift.references and (not rule.routes or route in rule.routes)
        }
        shared = next((want for want in own.values() if want), Want("learned", "", route))
        found.update({(name, route): want or shared for name, want in own.items()})
    return found


def _own(drift: Drift, rule: DriftRule, route: str) -> Want | None:
    """Of a rule whose reference has fields of its own."""
    kind = drift.references[rule.reference].kind
    if kind == "training" or kind == "pinned":  # noqa: PLR1714 - a type checker follows this
        return Want(kind, rule.reference, route)
    return None


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

    `learned` holds what is made of traffic, by `learned_name(route)` or a pin's name; by default
    the same shelf. `recorded` reads the store; without it stretches that are not there are in
    `pinning`.
    """
    wanted = wants(drift, routes)
    makers = _Makers(drift, shelf, learned or shelf, recorded)
    made: dict[Want, Basis] = {}
    learning: list[str] = []
    problems: list[str] = []
    for want in dict.fromkeys(wanted.values()):
        try:
            reference = makers.reference_of(want)
        except (GatewayError, OSError) as error:
            problems.append(_sentence(want, error))
            continue
        if reference is None:
            if want.origin == "learned":
                learning.append(want.route)
        else:
            made[want] = Basis(
                name=reference.hash, route=want.route, origin=want.origin, reference=reference
            )
    whole = {(one.route, one.name): one for one in made.values()}
    return Bases(
        all=tuple(whole[key] for key in sorted(whole)),
        of_rule={key: made[want] for key, want in wanted.items() if want in made},
        learning=tuple(learning),
        pinning=tuple(makers.pinning.values()),
        problems=(*problems, *(_awaited(pin) for pin in makers.pinning.values())),
    )


def _awaited(pin: Pin) -> str:
    what = f"drift.references.{pin.reference}: the traffic of {pin.route}"
    return f"{what} until {_text(pin.until)} is made a reference by the member that leads"


def _sentence(want: Want, error: Exception) -> str:
    where = f"drift.references.{want.reference}" if want.reference else f"route {want.route}"
    said = error.problems[0].message if isinstance(error, ConfigError) else str(error)
    return f"{where}: {said}"


class _Makers:
    """How references of each origin are had."""

    def __init__(
        self, drift: Drift, shelf: Shelf, learned: Shelf, recorded: Recorded | None
    ) -> None:
        self._drift, self._shelf, self._learned = drift, shelf, learned
        self._recorded = recorded
        self.pinning: dict[str, Pin] = {}  # by name: those that cannot be made here
        self._files: dict[str, Reference] = {}  # of this call: one file may serve many routes

    def reference_of(self, want: Want) -> Reference | None:
        """None of one that is still to be learned, or pinned, of traffic seen elsewhere."""
        if want.origin == "learned":
            name = learned_name(want.route)
            document = self._learned.get(name)
            return None if document is None else decode(document, name)
        described = self._drift.references[want.reference]
        if want.origin == "pinned":
            return self._pinned(want, described)
        if want.reference not in self._files:
            self._files[want.reference] = self._of_file(want.reference, Path(described.file))
        return self._files[want.reference]

    def _of_file(self, reference: str, path: Path) -> Reference:
        try:
            if path.suffix == ".json":
                return decode(path.read_bytes(), str(path))
            stamp = path.stat()
        except OSError as error:
            raise StoreError(f"{path} cannot be read: {why(error)}") from None
        name = self._named("training", reference, (str(path), stamp.st_size, stamp.st_mtime_ns))
        consumer = self._drift.consumer

        def make() -> Reference:
            made = from_file(path, bins=consumer.bins, top=consumer.top)
            # Why not all: profiles are kept of every field, each minute.
            return replace(made, fields=made.fields[: consumer.fields])

        return self._made(name, make)

    def _pinned(self, want: Want, described: DriftReference) -> Reference | None:
        since, until = _moment(described.since), _moment(described.until)
        route = described.route or want.route
        name = self._named("pinned", want.reference, (route, since.isoformat(), until.isoformat()))
        pin = Pin(name=name, reference=want.reference, route=route, since=since, until=until)
        recorded = self._recorded
        if recorded is None:
            document = self._learned.get(name)
            if document is None:
                self.pinning[name] = pin
                return None
            return decode(document, name)

        def make() -> Reference:
            if until > datetime.now(UTC):
                raise StoreError(f"its stretch ends at {described.until}: it is made then")
            made = pin.reference_of(recorded(route, since, until), self._drift.consumer)
            if not made.rows:
                raise StoreError(f"no record of the route `{route}` is in the store of that time")
            return made

        return self._made(name, make)

    def _named(self, origin: str, reference: str, of: object) -> str:
        consumer = self._drift.consumer
        made_by = (of, consumer.bins, consumer.top, consumer.fields)
        stamp = hashlib.sha256(msgspec.json.encode(made_by)).hexdigest()[:12]
        return f"{origin}.{quote(reference, safe='')}.{stamp}"

    def _made(self, name: str, make: Callable[[], Reference]) -> Reference:
        document = self._shelf.get(name)
        if document is None:
            document = self._shelf.put(name, make().encode())
        return decode(document, name)


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def learned_name(route: str) -> str:
    """Of a learned reference on a shelf."""
    return f"learned.{quote(route, safe='')}"


def recorded_in(store: Store) -> Recorded:
    """The predictions in the local store."""

    def lines(route: str, since: datetime, until: datetime) -> Iterable[bytes]:
        wanted = Filter(
            since_us=to_us(since), until_us=to_us(until), kind=("prediction",), route=(route,)
        )
        found = store.search(wanted, limit=PINNED_LINES)
        return [match.line for match in reversed(found.matches)]

    return lines


class BasisDocuments:
    """A shelf in memory, of what was read elsewhere; who has it brings on what is put there."""

    def __init__(self, documents: Mapping[str, bytes] = MappingProxyType({})) -> None:
        self.documents = dict(documents)

    def get(self, name: str) -> bytes | None:
        return self.documents.get(name)

    def put(self, name: str, document: bytes) -> bytes:
        return self.documents.setdefault(name, document)


class BasisFiles:
    """A shelf in a directory: `state/drift/bases`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def get(self, name: str) -> bytes | None:
        """The document, or none."""
        try:
            return self._path(name).read_bytes()
        except FileNotFoundError:
            return None

    def put(self, name: str, document: bytes) -> bytes:
        """Keep it, unless there is one; the one that is there then."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._path(name)
        fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        write_durably(fresh, document)
        try:
            # Why a link and not a renaming: of two that put at once, one fails.
            with contextlib.suppress(FileExistsError):
                os.link(fresh, path)
        finally:
            fresh.unlink(missing_ok=True)
        sync_directory(self._directory)
        return path.read_bytes()

    def _path(self, name: str) -> Path:
        return self._directory / f"{name}.json"
