"""Alerts as they live in the controller: looks come in, people are told, things are done.

    look ─► book ─► database ─► answer
    every second: what is due ─► database (a parcel a receiver) ─► couriers ─► told, struck out
                  what rules ask for ─► log of actions ─► done ─► log of actions

Rule 1: what is told or done is in the database first. After a restart what was not told is
        told under the same key, and what was begun is done again; each may be repeated.
Rule 2: where the database fails, nothing is kept in memory that is not in it: it is read again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import Protocol, cast

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from gateway.alerts.actions import Arms, Done, wanted
from gateway.alerts.alert import Alert, Event, Symptom
from gateway.alerts.book import NS_PER_MS, Book
from gateway.alerts.deeds import Action, Deed, Result, opened, sealed
from gateway.alerts.finding import Look
from gateway.alerts.looked import Looked, LookFigures
from gateway.alerts.receivers import Couriers, Receiver, training_body, training_name
from gateway.alerts.views import AlertView, view_of
from gateway.config.problems import meant
from gateway.config.watching import Drift, DriftRule
from gateway.errors import ControlError, GatewayError
from gateway.notices.courier import Outcome, Parcel, Send
from gateway.notices.receiver import ReceiverFigures
from gateway.state.alerts import Changes, KeptAlert, KeptDeed, KeptParcel

LOOK_S = 1.0
PAST_MS = 86_400_000  # what was found last so long ago begins no action
AHEAD_MS = 300_000  # clocks of others may be so wrong
LONGEST_SILENCE_MS = 30 * 86_400_000
MOST_SHOWN = 200

log = logging.getLogger(__name__)


class UnknownAlert(ControlError):
    """There is none of this number."""

    reason = "no_alert"
    status = 404


class BadLook(ControlError):
    """What was said cannot be."""

    reason = "bad_look"
    status = 422


class Store(Protocol):
    """`state.alerts`."""

    def live(self) -> list[KeptAlert]: ...
    def latest(self, limit: int) -> list[KeptAlert]: ...
    def alert(self, number: int) -> KeptAlert | None: ...
    def last_id(self) -> int: ...
    def symptoms(self) -> dict[str, str]: ...
    def parcels(self) -> list[KeptParcel]: ...
    def deeds(self, *, alert: int = ..., after: int = ..., limit: int = ...) -> list[KeptDeed]: ...
    def last_deed(self) -> tuple[int, str]: ...
    def save(self, changes: Changes) -> None: ...


class Taken(Struct, frozen=True):
    """What became of a look."""

    watched: int  # symptoms that are in no alert yet
    open: tuple[int, ...]  # alerts that are open on its route


class _Kept(Struct, frozen=True):
    """A parcel as it is kept."""

    event: str
    about: str
    body: str


class AlertDesk:
    """All alerts of the gateway; `run` is its life. Of one event loop."""

    def __init__(
        self,
        *,
        settings: Callable[[], Drift],
        routes: Callable[[], Sequence[str]],
        store: Store,
        arms: Arms,
        topic: Callable[[str], Send],
        now_ms: Callable[[], int] = lambda: time.time_ns() // NS_PER_MS,
    ) -> None:
        self._settings, self._routes, self._store = settings, routes, store
        self._arms, self._now_ms = arms, now_ms
        self._couriers = Couriers(settings, self._delivered, topic)
        self._book: Book | None = None
        self._looked = Looked()
        self._last_error = ""
        self._lock = asyncio.Lock()

    # -- what comes in

    async def look(self, look: Look) -> Taken:
        """One look of a rule on a route."""
        now_ms, drift = self._now_ms(), self._settings()
        self._check(look, now_ms, drift)
        look = replace(look, at_ms=look.at_ms or now_ms)
        async with self._lock:
            book = self._read()
            book.take(look, drift.rules.get(look.rule, DriftRule()), drift.alerts.group, now_ms)
            self._save(Changes())
            self._looked.take(look)
        is_here = [one for one in book.alerts.values() if one.route == look.route]
        return Taken(
            sum(one.route == look.route for one in book.symptoms.values()),
            tuple(one.id for one in is_here if one.status == "open"),
        )

    def _check(self, look: Look, now_ms: int, drift: Drift) -> None:
        if look.rule and look.rule not in drift.rules:
            raise BadLook(f"drift.rules has no `{look.rule}`{meant(look.rule, drift.rules)}")
        if look.route not in self._routes():
            raise BadLook(f"There is no route `{look.route}`{meant(look.route, self._routes())}")
        if look.at_ms > now_ms + AHEAD_MS:
            raise BadLook("`at_ms` is in the future; it is milliseconds since 1970.")

    # -- what is shown and said

    def alerts(self, limit: int = MOST_SHOWN, *, is_all: bool = False) -> list[AlertView]:
        """The open ones, or the latest of all, the newest first."""
        if is_all:
            return [self._view(_alert(one)) for one in self._store.latest(limit)]
        found = [one for one in self._read().alerts.values() if one.status == "open"]
        return [self._view(one) for one in sorted(found, key=lambda one: -one.id)[:limit]]

    def alert(self, number: int) -> AlertView:
        return self._view(self._alert(number))

    def deeds(self, after: int = 0, limit: int = MOST_SHOWN, alert: int = 0) -> list[KeptDeed]:
        """The log of actions as it is kept, the oldest first."""
        return self._store.deeds(after=after, limit=limit, alert=alert)

    def looks(self) -> tuple[LookFigures, ...]:
        """The latest look of each rule on each route."""
        return self._looked.figures(self._settings().rules, self._routes())

    def receivers(self) -> tuple[ReceiverFigures, ...]:
        return self._couriers.figures()

    @property
    def turned_away(self) -> int:
        """Symptoms and alerts for which there was no room."""
        return self._book.turned_away if self._book else 0

    async def silence(self, number: int, for_s: float, actor: str) -> AlertView:
        """Tell nobody for so long; 0: tell again."""
        async with self._lock:
            alert, now_ms = self._open(number), self._now_ms()
            until_ms = now_ms + min(int(for_s * 1000), LONGEST_SILENCE_MS) if for_s else 0
            self._read().silence(number, until_ms, actor if for_s else "")
            said = f"for {for_s:.0f} s" if for_s else "ended"
            self._save(Changes(deeds=self._sealed([_deed(alert, now_ms, actor, "silence", said)])))
            return self._view(alert)

    async def resolve(self, number: int, actor: str) -> AlertView:
        """Say that it is over."""
        async with self._lock:
            alert, now_ms = self._open(number), self._now_ms()
            self._read().resolve(number, now_ms, actor)
            self._save(Changes(deeds=self._sealed([_deed(alert, now_ms, actor, "resolve", "")])))
            return self._view(alert)

    # -- time

    async def run(self) -> None:
        """Tells and does, until cancelled."""
        couriers = asyncio.create_task(self._couriers.run())
        try:
            while True:
                await self._try()
                await asyncio.sleep(LOOK_S)
        finally:
            couriers.cancel()
            await asyncio.gather(couriers, return_exceptions=True)

    async def _try(self) -> None:
        try:
            await self.tick()
            self._last_error = ""
        except Exception as error:
            self._book = None
            if str(error) != self._last_error:
                is_ours = isinstance(error, GatewayError)
                log.error("alerts are held up: %s", error, exc_info=None if is_ours else error)
            self._last_error = str(error)

    async def tick(self) -> None:
        """What is due now."""
        async with self._lock:
            book, drift, now_ms = self._read(), self._settings(), self._now_ms()
            self._offer_kept(self._couriers.follow())
            book.forget(now_ms)
            parcels = [parcel for alert, event in book.due(drift.alerts, now_ms)
                       for parcel in self._parcels(alert, event, now_ms)]  # fmt: skip
            self._save(Changes(parcels=parcels))
            self._offer(parcels)
            for alert in list(book.alerts.values()):
                await self._act(book, alert, drift, now_ms)
            await self._arms.drop_strays(book.alerts)
            self._drop(book, drift)

    # -- telling

    def _parcels(self, alert: Alert, event: Event, now_ms: int) -> list[KeptParcel]:
        view, key = self._view(alert), f"alert-{alert.id}-{alert.told}"
        return [
            _parcel(one, key, event, alert, one.body(view, event, key), now_ms)
            for one in self._couriers.receivers.values()
            if one.wants(view)
        ]

    def _offer_kept(self, names: set[str] | None) -> None:
        """What is kept for couriers that are new, to them; what is for nobody goes."""
        if names is None:
            return
        kept = self._store.parcels()
        self._offer([one for one in kept if one.receiver in names])
        orphans = [one for one in kept if not self._couriers.has(one.receiver)]
        if orphans:
            self._store.save(Changes(told=[(one.key, one.receiver) for one in orphans]))

    def _offer(self, parcels: Sequence[KeptParcel]) -> None:
        for kept in parcels:
            said = msgspec.json.decode(kept.text, type=_Kept)
            body = said.body.encode()
            parcel = Parcel(key=kept.key, event=said.event, about=said.about, body=body)
            self._couriers.put(kept.receiver, parcel)

    def _delivered(self, receiver: str, parcel: Parcel, outcome: Outcome) -> None:
        """A courier is done with a parcel; called on the loop."""
        changes = Changes(told=[(parcel.key, receiver)])
        if parcel.event == "retrain":
            alert = int(parcel.about.rpartition(" ")[2])
            result: Result = "done" if outcome.is_told else "failed"
            deed = Deed(
                alert=alert,
                at_ms=self._now_ms(),
                actor=f"alert:{alert}",
                action="retrain",
                target=receiver.partition(":")[2],
                result=result,
                sentence=outcome.sentence or "confirmed by its receiver",
            )
            changes.deeds = self._sealed([deed])
        try:
            self._store.save(changes)
        except GatewayError as error:
            log.error("what was told may be told again: %s", error)

    # -- doing

    async def _act(self, book: Book, alert: Alert, drift: Drift, now_ms: int) -> None:
        age_ms, group_ms = now_ms - alert.opened_ms, drift.alerts.group // NS_PER_MS
        is_silent = now_ms < alert.silenced_until_ms
        # Why: a week that is replayed is told of, but must roll nothing back today.
        is_past = now_ms - alert.last_ms > PAST_MS
        if alert.status == "open" and age_ms >= group_ms and not (is_silent or is_past):
            # Why each time: a rule that finds the same cause later may ask for more.
            news = [each for each in wanted(alert, drift.rules) if each not in alert.asked]
            if news or not alert.is_acted:
                self._begin(book, alert, news, drift, now_ms)
        for action, target in alert.pending:
            done = await self._do(alert, action, target)
            alert.pending = tuple(each for each in alert.pending if each != (action, target))
            self._keep(book, alert, done, now_ms)
        if alert.status == "resolved" and alert.is_acted and not alert.is_undone:
            await self._undo(book, alert, now_ms)

    def _begin(
        self,
        book: Book,
        alert: Alert,
        asked: Sequence[tuple[Action, str]],
        drift: Drift,
        now_ms: int,
    ) -> None:
        """Write down what is asked for, and the parcels of trainings."""
        alert.is_acted = True
        alert.asked = (*alert.asked, *asked)
        deeds, parcels = [], []
        for action, target in asked:
            refusal = self._refusal(book, alert, action, target, drift, now_ms)
            result: Result = "refused" if refusal else "asked"
            deeds.append(_deed(alert, now_ms, "", action, refusal, target, result))
            if action == "retrain" and not refusal:
                parcels.append(self._training(alert, target, now_ms))
            elif not refusal:
                alert.pending = (*alert.pending, (action, target))
        book.touched.alerts.add(alert.id)
        self._save(Changes(deeds=self._sealed(deeds), parcels=parcels))
        self._offer(parcels)

    def _refusal(
        self, book: Book, alert: Alert, action: Action, target: str, drift: Drift, now_ms: int
    ) -> str:
        """Why something is not begun; "" it is."""
        if action == "switch_off" and not self._arms.claims(alert, target, _others(book, alert)):
            return "somebody has switched it off already"
        if action in {"weights", "payload"}:
            refusal = self._arms.refusal(alert, action, target)
            alert.held = alert.held if refusal else (*alert.held, (action, target))
            return refusal
        return self._too_soon(target, drift, now_ms) if action == "retrain" else ""

    def _too_soon(self, name: str, drift: Drift, now_ms: int) -> str:
        if name not in drift.retraining:
            return "it is no longer in drift.retraining"
        least_ms = drift.retraining[name].at_most_every // NS_PER_MS
        asked = [one.at_ms for one in self._history()
                 if (one.action, one.target, one.result) == ("retrain", name, "asked")]  # fmt: skip
        if asked and now_ms - asked[-1] < least_ms:
            return f"it was asked for {(now_ms - asked[-1]) // 60_000} minutes ago"
        return ""

    def _history(self) -> list[Deed]:
        """The latest of the log of actions."""
        last, _hash = self._store.last_deed()
        return [opened(one) for one in self._store.deeds(after=max(0, last - 1000))]

    def _training(self, alert: Alert, name: str, now_ms: int) -> KeptParcel:
        key = f"alert-{alert.id}-retrain-{name}"
        kept = _Kept("retrain", f"alert {alert.id}",
                     training_body(self._view(alert), key, name).decode())  # fmt: skip
        return KeptParcel(key, training_name(name), now_ms, msgspec.json.encode(kept).decode())

    async def _do(self, alert: Alert, action: str, target: str) -> list[Done]:
        if action == "rollout":
            return await self._arms.rollout(alert, target)
        if action in {"weights", "payload"}:
            return [await self._arms.hold(alert, cast("Action", action), target)]
        return [await self._arms.switch_off(alert, target)]

    async def _undo(self, book: Book, alert: Alert, now_ms: int) -> None:
        done = [await self._arms.switch_on(alert, name, _others(book, alert))
                for name in alert.switched]  # fmt: skip
        done += await self._arms.take_back(alert)
        alert.is_undone, alert.switched, alert.held = True, (), ()
        self._keep(book, alert, done, now_ms)

    def _keep(self, book: Book, alert: Alert, done: Sequence[Done], now_ms: int) -> None:
        book.touched.alerts.add(alert.id)
        deeds = [
            _deed(alert, now_ms, "", one.action, one.sentence, one.target, one.result)
            for one in done
        ]
        self._save(Changes(deeds=self._sealed(deeds)))

    # -- the database

    def _read(self) -> Book:
        if self._book is None:
            symptoms = {
                key: msgspec.json.decode(text, type=Symptom)
                for key, text in self._store.symptoms().items()
            }
            alerts = [_alert(one) for one in reversed(self._store.live())]
            self._book = Book(symptoms, alerts, self._store.last_id())
        return self._book

    def _save(self, changes: Changes) -> None:
        """What was touched, and this, at once."""
        book = self._read()
        touched = book.touched
        changes.alerts = [
            _kept(book.alerts[number], is_live=True)
            for number in sorted(touched.alerts)
            if number in book.alerts
        ]
        changes.symptoms = {
            key: msgspec.json.encode(book.symptoms[key]).decode() if key in book.symptoms else None
            for key in touched.symptoms
        }
        if not (changes.alerts or changes.symptoms or changes.parcels or changes.deeds):
            return
        try:
            self._store.save(changes)
        except GatewayError:
            self._book = None
            raise
        touched.alerts.clear()
        touched.symptoms.clear()

    def _drop(self, book: Book, drift: Drift) -> None:
        """What is over, told and taken back stays in the database only."""
        dropped = book.drop_told(drift.alerts)
        if dropped:
            self._store.save(Changes(alerts=[_kept(one, is_live=False) for one in dropped]))

    def _sealed(self, deeds: Sequence[Deed]) -> list[KeptDeed]:
        """The next entries of the chain."""
        found: list[KeptDeed] = []
        n, prev = self._store.last_deed()
        for deed in deeds:
            found.append(sealed(deed, n + 1, prev))
            n, prev = n + 1, found[-1].hash
        return found

    # -- one alert

    def _alert(self, number: int) -> Alert:
        if (live := self._read().alerts.get(number)) is not None:
            return live
        kept = self._store.alert(number)
        if kept is None:
            raise UnknownAlert(f"There is no alert {number}.")
        return _alert(kept)

    def _open(self, number: int) -> Alert:
        alert = self._alert(number)
        if alert.status != "open":
            raise BadLook(f"Alert {number} is resolved already.")
        return alert

    def _view(self, alert: Alert) -> AlertView:
        return view_of(alert, self._settings())


def _others(book: Book, alert: Alert) -> list[Alert]:
    return [one for one in book.alerts.values() if one.id != alert.id]


def _alert(kept: KeptAlert) -> Alert:
    return msgspec.json.decode(kept.text, type=Alert)


def _kept(alert: Alert, *, is_live: bool) -> KeptAlert:
    return KeptAlert(alert.id, is_live, msgspec.json.encode(alert).decode())


def _parcel(
    receiver: Receiver, key: str, event: Event, alert: Alert, body: bytes, now_ms: int
) -> KeptParcel:
    kept = _Kept(event, f"alert {alert.id}", body.decode())
    return KeptParcel(key, receiver.name, now_ms, msgspec.json.encode(kept).decode())


def _deed(
    alert: Alert,
    now_ms: int,
    actor: str,
    action: str,
    sentence: str,
    target: str = "",
    result: Result = "done",
) -> Deed:
    return Deed(
        alert=alert.id,
        at_ms=now_ms,
        actor=actor or f"rule:{alert.leader.rule}",
        action=cast("Action", action),
        target=target,
        result=result,
        sentence=sentence,
    )
