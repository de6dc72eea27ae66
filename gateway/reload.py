"""The configuration in force, and every way to another one.

load → compile → offer to the workers → keep → write down. The lock makes changes take
turns; whatever is wrong with a new configuration is found before anything is changed.

Rule 1: a configuration that cannot be served on changes nothing: it is logged in one
        sentence, kept in the history as refused, and shown as the last failure.
Rule 2: what is in force is in the file of `offers` before `reload` returns, so that a
        worker that starts then, starts with it.
Rule 3: a history that cannot be written costs the entry, not the change.

Knows nothing of HTTP and of processes: `link` is whoever carries an offer out.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import msgspec
import sqlalchemy as sa

from gateway.compiler import AT_REST, compile_plan, places_of, plan_hash
from gateway.config import Config, Document, load, parse
from gateway.config.effective import effective
from gateway.config.file import replace_text
from gateway.config.masking import masked
from gateway.control.parts import Change, Version
from gateway.deltas import delta
from gateway.errors import ConfigError, GatewayError, Problem
from gateway.messages import Delivery, Offer
from gateway.offers import keep_offer, offer_of, plan_of
from gateway.state.history import ConfigHistory, Entry
from gateway.state.last_good import store_delivery, store_last_good
from gateway.telemetry import RELOAD_RESULTS

MOST_VERSIONS = 200
APPLIED, UNCHANGED, REFUSED = RELOAD_RESULTS
# What processes are given when they start, and not again.
FIXED = ("listen", "admin", "workers", "state")

log = logging.getLogger(__name__)


class Carrier(Protocol):
    """Who brings an offer to the workers."""

    in_force: Offer | None

    async def offer(self, offer: Offer) -> tuple[str, ...]: ...


class Reload:
    """One configuration file and the plan that is served."""

    def __init__(
        self,
        offer: Offer,
        *,
        file: Path,
        kept_at: Path,
        state: Path,
        environ: Mapping[str, str],
        carrier: Carrier,
        history: ConfigHistory,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self.document, self.plan = plan_of(offer, environ)
        self.delivery = offer.delivery
        self.reloads: Counter[str] = Counter(dict.fromkeys(RELOAD_RESULTS, 0))
        self.failure: Version | None = None
        self.applied_at_s = now_s()
        self.propagation_s = 0.0
        self._started_with = self.document.config
        self._offer = offer
        self._file, self._kept_at, self._state = file, kept_at, state
        self._environ, self._carrier, self._history = environ, carrier, history
        self._now_s = now_s
        self._lock = asyncio.Lock()
        carrier.in_force = offer

    # -- what the control plane asks

    @property
    def effective(self) -> Mapping[str, object]:
        return effective(self.document.config)

    def history(self) -> Sequence[Version]:
        entries = self._history.latest(MOST_VERSIONS)
        current = next(
            (e.id for e in entries if e.outcome == APPLIED and e.hash == self.plan.hash), 0
        )
        return [version_of(entry, is_current=entry.id == current) for entry in entries]

    def text(self, plan_hash: str) -> str:
        return masked(self._history.get(plan_hash).text)

    # -- ways to another configuration

    def is_file_in_force(self) -> bool:
        """Whether the file says, to the letter, what is in force; one that is not there does."""
        return self._file_text() in {self.document.text, ""}

    def start(self) -> None:
        """Write down what is in force, if the history does not say so."""
        latest = self._history.latest_good()
        if latest is None or latest.hash != self.plan.hash:
            self._write_down(
                self.document.text, self.plan.hash, "start", APPLIED, delivery=self.delivery
            )

    async def reload(self, author: str) -> Change:
        """Put the file in force; what it says already is offered again on a signal."""
        async with self._lock:
            try:
                document = load(self._file, self._environ)
            except ConfigError as error:
                self._refuse(self._file_text(), author, error)
                raise
            return await self._apply(document, author, is_forced=author == "signal")

    async def replace(self, text: str, author: str) -> Change:
        """Put a text in force and into the file."""
        async with self._lock:
            try:
                document = parse(text, self._environ)
            except ConfigError as error:
                self._refuse(text, author, error)
                raise
            change = await self._apply(document, author)
            if not change.is_changed:
                return change
            stamp = datetime.fromtimestamp(self._now_s(), UTC).strftime("%Y%m%d-%H%M%S-%f")
            try:
                replace_text(self._file, text, stamp=stamp)
            except ConfigError as error:
                return _with_note(change, f"in force until the next restart only: {error}")
            return change

    async def rollback(self, plan_hash: str, author: str) -> Change:
        """Put an earlier configuration in force and into the file."""
        return await self.replace(self._history.get(plan_hash).text, author)

    async def deliver(self, change: Callable[[Delivery], Delivery], author: str) -> Change:
        """Put another state of rollouts, switches and flags in force; the file stays as it is."""
        async with self._lock:
            return await self._apply(self.document, author, change(self.delivery))

    # -- how

    async def _apply(
        self,
        document: Document,
        author: str,
        delivery: Delivery | None = None,
        *,
        is_forced: bool = False,
    ) -> Change:
        previous = self.plan.hash
        before = self.delivery
        delivery = before if delivery is None else delivery
        is_changed = plan_hash(document.hash, delivery) != previous
        if not is_changed and not is_forced:
            self.failure = None
            self.reloads[UNCHANGED] += 1
            return Change(hash=previous, previous=previous, is_changed=False)
        try:
            plan = compile_plan(document, places=places_of(self.plan), delivery=delivery)
            offer = offer_of(document, plan, self._offer.generation + 1, delivery)
            started_s = time.monotonic()
            declined = await self._carried(offer)
            self.propagation_s = propagation_s = time.monotonic() - started_s
        except ConfigError as error:
            self._refuse(document.text, author, error)
            raise
        self.document, self.plan, self.delivery, self._offer = document, plan, delivery, offer
        notes = (*declined, *self._keep(offer), *fixed_notes(self._started_with, document.config))
        self._settle(author, delta(before, delivery), is_changed=is_changed)
        return Change(plan.hash, previous, is_changed, notes, propagation_s)

    async def _carried(self, offer: Offer) -> tuple[str, ...]:
        """The workers' objections to what is in force now; ConfigError if it is not."""
        declined = await self._carrier.offer(offer)
        if self._carrier.in_force is not offer:
            raise ConfigError(tuple(Problem(sentence) for sentence in declined))
        return declined

    def _keep(self, offer: Offer) -> tuple[str, ...]:
        """Puts it where workers that start will look; says what could not be written."""
        try:
            keep_offer(self._kept_at, offer)
            store_last_good(self._state, offer.text)
            store_delivery(self._state, offer.delivery)
        except GatewayError as error:
            log.error("configuration in force, but not kept: %s", error)
            return (f"in force until a restart only: {error}",)
        return ()

    def _settle(self, author: str, detail: str, *, is_changed: bool) -> None:
        self.failure = None
        self.applied_at_s = self._now_s()
        self.reloads[APPLIED if is_changed else UNCHANGED] += 1
        log.info("configuration in force", extra={"plan": self.plan.hash, "author": author})
        if is_changed:
            self._write_down(
                self.document.text, self.plan.hash, author, APPLIED, detail, self.delivery
            )

    def _refuse(self, text: str, author: str, error: ConfigError) -> None:
        self.reloads[REFUSED] += 1
        sentence = "; ".join(map(str, error.problems))
        log.error("configuration refused, the last one stays in force: %s", sentence)
        name = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
        self.failure = version_of(self._write_down(text, name, author, REFUSED, str(error)))

    def _write_down(
        self,
        text: str,
        name: str,
        author: str,
        outcome: str,
        detail: str = "",
        delivery: Delivery = AT_REST,
    ) -> Entry:
        entry = Entry(
            at_ms=int(self._now_s() * 1000),
            author=author,
            hash=name,
            outcome="applied" if outcome == APPLIED else "refused",
            detail=detail,
            text=text,
            delivery=None if delivery == AT_REST else msgspec.json.encode(delivery).decode(),
        )
        try:
            self._history.append(entry)
        except (GatewayError, sa.exc.SQLAlchemyError) as error:
            log.error("the history could not be written: %s", error)
        return entry

    def _file_text(self) -> str:
        try:
            return self._file.read_text("utf-8", "replace")
        except OSError:
            return ""


class FileWatch:
    """Notices that a file has another content, once it has stayed the same for one look.

    Why stat and not inotify: it works on every file system, network mounts and the links
    of Kubernetes volumes included, at two system calls a second.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known = self._seen = self._signature()

    def look(self) -> bool:
        """Whether there is something new to load."""
        signature = self._signature()
        is_stable = signature == self._seen
        self._seen = signature
        if not is_stable or signature in {self._known, None}:
            return False  # Why None: an editor that saves by renaming has no file for a moment
        self._known = signature
        return True

    def _signature(self) -> tuple[int, int, int] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return (found.st_ino, found.st_mtime_ns, found.st_size)


def version_of(entry: Entry, *, is_current: bool = False) -> Version:
    at = datetime.fromtimestamp(entry.at_ms / 1000, UTC)
    return Version(
        hash=entry.hash,
        author=entry.author,
        at=at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        outcome=entry.outcome,
        detail=entry.detail,
        is_current=is_current,
    )


def fixed_notes(started_with: Config, wanted: Config) -> tuple[str, ...]:
    """What takes effect with the next restart only."""
    return tuple(
        f"`{name}` takes effect when the gateway is started again"
        for name in FIXED
        if getattr(started_with, name) != getattr(wanted, name)
    )


def _with_note(change: Change, note: str) -> Change:
    return msgspec.structs.replace(change, notes=(*change.notes, note))
