"""The desk: looks at every rollout twice a second, and does what follows.

    declared → read evidence → judge → machine → write down → deliver → tell

Rule 1: states and decisions are one transaction, before anything is delivered; what is
        delivered is worked out of the states, so that a controller that starts anywhere in
        between delivers it again, and decides nothing twice.
Rule 2: what is counted while weights change is evidence for nobody.
Rule 3: a defect in one rollout's look is logged and leaves the others alone.
Rule 4: a decision that cannot be put in force is offered again and again, and shown.

Knows nothing of HTTP, of SQL and of workers: its `parts` are protocols.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from typing import get_args

from msgspec.structs import replace

from gateway.config import Document
from gateway.config.document import rollout_hash
from gateway.config.rollouts import Rollout
from gateway.errors import GatewayError, IllegalTransition, UnknownRollout
from gateway.messages import Delivery
from gateway.rollout import machine
from gateway.rollout.admission import admitted
from gateway.rollout.cases import Case, Kept, harm_in
from gateway.rollout.clock import NS_PER_MS, Clock
from gateway.rollout.counts import Evidence
from gateway.rollout.decisions import Decision, Entry, opened
from gateway.rollout.ledger import Ledger, Tell
from gateway.rollout.machine import Move, State
from gateway.rollout.parts import Changed, Figures, Gateway, Judge, Store, Witness
from gateway.rollout.standing import delivery_of, is_moved
from gateway.rollout.verdict import Value
from gateway.rollout.views import ArmView as ArmView
from gateway.rollout.views import View as View
from gateway.rollout.views import view_of
from gateway.rollout.windows import Window, is_open, opening, parsed

LOOK_S = 0.5
GLANCE_S = 0.1  # for harm that was done
SETTLE_GLANCE_S = 0.02  # for requests that the old weights drew
SAVE_MS = 5_000  # a board that is lost with its gateway takes so much evidence along
SETTLE_MS = 30_000  # longer than that nobody waits for the requests drawn by old weights
FIRST_PAUSE_NS, LONGEST_PAUSE_NS = 5 * 10**8, 10 * 10**9
MOST_BY_HAND = 100
MOST_HISTORY = 10_000
OFF = "feature.rollouts"
DESK, FILE = "desk", "file"

log = logging.getLogger(__name__)


class Desk:
    """Every rollout of one gateway."""

    def __init__(
        self,
        *,
        gateway: Gateway,
        store: Store,
        witness: Witness,
        judge: Judge,
        clock: Clock,
        tell: Tell | None = None,
        versions: Callable[[Rollout, Document], dict[str, str]] | None = None,
    ) -> None:
        self._gateway, self._store, self._witness = gateway, store, witness
        self._judge, self._clock = judge, clock
        self._versions = versions
        self._ledger = Ledger(store, clock, tell)
        self._lock = asyncio.Lock()
        self._document: Document | None = None  # whose rollouts were taken in last
        self._retry_ns, self._pause_ns = 0, FIRST_PAUSE_NS
        self._last_error = ""
        self._failures = 0

    # -- what is shown

    def rollouts(self) -> list[View]:
        """All that are declared, then those started by hand."""
        self._read()
        shown = [case for case in self._ledger.cases.values() if not case.kept.is_gone]
        return [view_of(case) for case in sorted(shown, key=lambda one: one.source)]

    def view(self, name: str) -> View:
        """UnknownRollout if there never was one of this name."""
        return view_of(self._case(name))

    def history(self, name: str) -> list[Decision]:
        """What was decided of one rollout, the oldest first, each with what became of it."""
        self._case(name)
        entries = self._store.decisions(rollout=name, limit=MOST_HISTORY)
        return _joined(map(opened, entries))

    def decisions(self, after: int = 0, limit: int = 1000) -> list[Entry]:
        """The log as it is kept, to be exported and verified."""
        return self._store.decisions(after=after, limit=limit)

    @property
    def has_any(self) -> bool:
        """Whether there is, or ever was, anything to look at."""
        self._read()
        return bool(self._ledger.cases)

    def live(self) -> list[tuple[str, Rollout, int]]:
        """What is looked at: names, declarations, and since when (milliseconds)."""
        if not self.has_any:
            return []
        cases = [case for case in self._ledger.cases.values() if case.is_live]
        return [(case.state.name, case.rollout, case.state.begun_ms) for case in cases]

    def figures(self) -> Figures:
        figures = Figures(
            decisions={(event,): count for event, count in self._ledger.decided.items()},
            failures={(): self._failures},
        )
        for view in self.rollouts():
            for phase in get_args(machine.Phase):
                figures.phase[view.name, phase] = int(view.phase == phase)
            figures.step[view.name,] = view.step + 1
            figures.is_pending[view.name,] = int(
                bool(self._ledger.cases[view.name].kept.undelivered)
            )
            for arm in view.arms:
                figures.weight[view.name, arm.name] = arm.weight / 100
            for one in view.verdicts:
                for value in get_args(Value):
                    is_said = int(one.verdict == value)
                    figures.verdict[view.name, one.arm, one.gate, value] = is_said
            if view.propagation_ms is not None:
                figures.propagation_s[view.name,] = view.propagation_ms / 1000
        return figures

    # -- what people say; IllegalTransition where the phase does not allow it

    async def start(self, name: str, actor: str, text: str = "") -> View:
        """Begin one that is declared in the file, or with `text` (YAML) one that is not."""
        async with self._lock:
            self._take_in()
            case = self._by_hand(name, text) if text else self._case(name)
            move = machine.start(case.state, self._clock.now_ms(), actor)
            return await self._said(case, move, actor)

    async def promote(self, name: str, actor: str, *, full: bool = False) -> View:
        """Pass by the present step; with `full` go to the end at once."""

        def order(case: Case, now_ms: int) -> Move:
            verdicts = case.judgement.verdicts if case.judgement else ()
            state, rollout = case.state, case.rollout
            return machine.promote(state, rollout, now_ms, actor, full=full, verdicts=verdicts)

        return await self._say(name, actor, order)

    async def pause(self, name: str, actor: str) -> View:
        """Stay where it is; guardrails go on."""
        return await self._say(name, actor, lambda case, at: machine.pause(case.state, at, actor))

    async def resume(self, name: str, actor: str) -> View:
        """Go on after a pause."""
        return await self._say(name, actor, lambda case, at: machine.resume(case.state, at, actor))

    async def abort(self, name: str, actor: str, reason: str = "") -> View:
        """End it: the champion serves all."""
        sentence = f"Aborted by {actor}{': ' if reason else ''}{reason}."
        return await self._say(
            name, actor, lambda case, at: machine.abort(case.state, at, sentence)
        )

    async def retry(self, name: str, actor: str) -> View:
        """Begin again from the first step, as a new revision."""
        return await self._say(name, actor, lambda case, at: machine.retry(case.state, at, actor))

    async def undo(self, name: str, actor: str) -> View:
        """Take a promotion back at once."""
        return await self._say(name, actor, lambda case, at: machine.undo(case.state, at, actor))

    async def confirm(self, name: str, actor: str) -> View:
        """Say go on where it asks."""
        return await self._say(name, actor, lambda case, at: machine.confirm(case.state, at, actor))

    async def _say(self, name: str, actor: str, order: Callable[[Case, int], Move]) -> View:
        async with self._lock:
            self._take_in()
            case = self._case(name)
            if case.kept.is_gone:
                raise IllegalTransition(f"Rollout {name} is no longer declared.")
            return await self._said(case, order(case, self._clock.now_ms()), actor)

    async def _said(self, case: Case, move: Move, actor: str) -> View:
        self._follow(case, move, actor)
        await self._deliver(actor)
        if case.is_live and not case.kept.undelivered:
            self._look_at(case)  # Why now: what was waited for may be there already
            await self._deliver(actor)
        return view_of(case)

    # -- looks

    async def run(self) -> None:
        """Looks, until cancelled."""
        while True:
            try:
                await self.look()
                self._last_error = ""
                await self._rest()
            except Exception as error:  # noqa: BLE001  a guardrail that nobody watches is none
                self._failures += 1
                self._ledger.is_read = False  # Why: somebody else may have written
                self._report(error)
                await asyncio.sleep(LOOK_S)

    def _report(self, error: Exception) -> None:
        """Once, however often it comes."""
        if str(error) == self._last_error:
            return
        self._last_error = str(error)
        is_ours = isinstance(error, GatewayError)
        log.error("rollouts were not looked at: %s", error, exc_info=None if is_ours else error)

    async def _rest(self) -> None:
        """Until the next look, or until there is reason to look at once.

        Cost: reading the counters of a rollout takes a tenth of what judging them takes.
        """
        loop = asyncio.get_running_loop()
        until_s = loop.time() + LOOK_S
        while (left_s := until_s - loop.time()) > 0:
            live = [case for case in self._ledger.cases.values() if case.is_live]
            settling = [case for case in live if case.settling is not None]
            glance_s = SETTLE_GLANCE_S if settling else GLANCE_S
            await asyncio.sleep(min(left_s, glance_s if live else LOOK_S))
            async with self._lock:
                for case in settling:
                    self._try(self._settle, case)
                if any(self._try(self._has_news, case) for case in live):
                    return

    def _has_news(self, case: Case) -> bool:
        """Whether a challenger has done harm since it was looked at last."""
        if not case.is_live:
            return True
        reading = self._witness.read(case.state.name, case.rollout)
        return harm_in(reading) > case.harm or bool(reading.open_breakers)

    def _settle(self, case: Case) -> None:
        """Evidence counts again once the requests that the old weights drew have ended."""
        if case.is_live and case.kept.is_settling:
            case.credit(self._witness.read(case.state.name, case.rollout), SETTLE_MS)
        if not case.kept.is_settling:
            case.settling = None
            self._ledger.save([case])

    async def look(self) -> None:
        """Once at everything."""
        async with self._lock:
            self._take_in()
            await self._deliver(DESK)
            for case in list(self._ledger.cases.values()):
                if case.is_live:
                    self._try(self._look_at, case)
            await self._deliver(DESK)

    def _try(self, act: Callable[[Case], object], case: Case) -> bool:
        """Whether it says so; a defect is told once, and shown until it is gone."""
        try:
            found = bool(act(case))
        except GatewayError:
            raise
        except Exception as error:  # Why: Rule 3
            self._failures += 1
            sentence = f"It cannot be looked at, by a defect: {error!r}."
            if case.defect != sentence:
                log.exception("rollout could not be looked at", extra={"rollout": case.state.name})
            case.defect = sentence
            return False
        return found

    def _look_at(self, case: Case) -> None:
        """Reads, judges and follows, until nothing follows any more."""
        name, frozen = case.state.name, _frozen(case)
        was_settling = case.kept.is_settling
        reading = self._witness.read(name, case.rollout)
        case.harm = harm_in(reading)
        case.credit(reading, SETTLE_MS)
        case.kept.account.freeze(case.rollout, self._witness.reference(case.rollout))
        now_ms = self._clock.now_ms()
        case.judged = tuple(case.kept.account.periods)
        case.judgement = self._judge(case.rollout, case.judged, now_ms)
        decided_ns = self._clock.monotonic_ns()
        for _ in range(len(case.rollout.steps) + 2):
            seen = self._seen(case, now_ms, reading)
            move = machine.look(case.state, case.rollout, seen)
            case.sentence, case.wait = move.sentence, move.wait
            is_something = self._follow(case, move, DESK, decided_ns=decided_ns)
            if not is_something or case.kept.undelivered:
                break  # Why: one step at a time, each delivered before the next
        case.defect = ""
        is_old = now_ms - case.kept.at_ms >= SAVE_MS
        if is_old or was_settling != case.kept.is_settling or frozen != _frozen(case):
            self._ledger.save([case])

    def _seen(self, case: Case, now_ms: int, reading: Evidence) -> machine.Seen:
        seen = case.seen(now_ms, case.judgement, reading)
        is_in_window, when = self._window(case.rollout)
        is_off = OFF in self._gateway.delivery.off
        return replace(seen, is_in_window=is_in_window, window=when, is_off=is_off)

    def _window(self, rollout: Rollout) -> tuple[bool, str]:
        try:
            windows: tuple[Window, ...] = parsed(rollout.windows)
            wall_s = self._clock.wall_s()
            is_in = is_open(windows, wall_s)
            return is_in, "" if is_in else opening(windows, wall_s)
        except ValueError as error:
            return False, f"Its windows cannot be read: {error}."

    # -- writing down

    def _follow(self, case: Case, move: Move, actor: str, *, decided_ns: int = 0) -> bool:
        """Writes down what follows; whether something did."""
        before = case.state
        if move.state == before and not move.event:
            return False
        case.sentence, case.wait = move.sentence, move.wait
        kept = replace(case.kept, state=move.state)
        if not move.event:
            self._ledger.save([case], {case.state.name: kept})
            return False
        decision = self._decision(case, move, actor)
        kept = self._unsettled(case, before, kept)
        if decided_ns or not case.kept.undelivered:
            case.decided_ns = decided_ns or self._clock.monotonic_ns()
        self._ledger.save([case], {case.state.name: kept}, [decision])
        return True

    def _unsettled(self, case: Case, before: State, kept: Kept) -> Kept:
        """What the move means for evidence and delivery."""
        number, after = self._ledger.following, kept.state
        if after.revision != before.revision:
            kept = replace(kept, account=type(kept.account)())
        if is_moved(before, after):
            case.settling = None
            return replace(kept, is_settling=True, undelivered=number)
        if after.step != before.step or after.headers != before.headers:
            if not kept.is_settling and kept.account.periods:
                case.begin(kept.account, after, kept.account.seen)
            return replace(kept, undelivered=number)
        return kept

    def _decision(self, case: Case, move: Move, actor: str) -> Decision:
        state, judgement = move.state, case.judgement if actor == DESK else None
        document = self._gateway.document
        return Decision(
            rollout=state.name,
            revision=state.revision,
            at_ms=judgement.at_ms if judgement else self._clock.now_ms(),
            actor=actor,
            event=move.event,
            sentence=move.sentence,
            phase=state.phase,
            step=state.step,
            weights=state.weights,
            judgement=judgement,
            periods=case.judged if judgement else (),
            spec_hash=state.spec_hash,
            spec=case.kept.spec,
            plan_before=self._gateway.plan.hash,
            versions=self._versions(case.rollout, document) if self._versions else {},
        )

    # -- delivering

    async def _deliver(self, author: str) -> None:
        """Puts in force what was decided, if it is not; says so when it is."""
        standing = [
            case.standing() for case in self._ledger.cases.values() if not case.kept.is_gone
        ]
        waiting = [case for case in self._ledger.cases.values() if case.kept.undelivered]
        before = self._gateway.delivery
        wanted = delivery_of(standing, before)
        if wanted == before and not waiting:
            return
        if wanted != before and author == DESK and self._clock.monotonic_ns() < self._retry_ns:
            return
        self._unsettle(wanted, before)
        try:
            changed = await self._gateway.deliver(
                lambda now: delivery_of(standing, now), f"rollout:{author}"
            )
        except GatewayError as error:
            self._failed(waiting, error)
            return
        self._retry_ns, self._pause_ns = 0, FIRST_PAUSE_NS
        if waiting:
            self._confirm(waiting, changed)
        for case in self._ledger.cases.values():
            if case.is_live and case.kept.is_settling and case.settling is None:
                self._try(self._settle, case)

    def _unsettle(self, wanted: Delivery, before: Delivery) -> None:
        """What stands otherwise than it was decided (after a crash) is evidence for nobody."""
        for case in self._ledger.cases.values():
            name = case.state.name
            is_other = wanted.rollouts.get(name) != before.rollouts.get(name)
            if case.is_live and is_other and not case.kept.undelivered:
                case.kept = replace(case.kept, is_settling=True)
                case.settling = None

    def _failed(self, waiting: Sequence[Case], error: GatewayError) -> None:
        """What was decided is not in force: said once, shown as it is, tried again later."""
        self._failures += 1
        self._retry_ns = self._clock.monotonic_ns() + self._pause_ns
        self._pause_ns = min(2 * self._pause_ns, LONGEST_PAUSE_NS)
        sentence = f"Not in force yet: {error}"
        concerned = waiting or [case for case in self._ledger.cases.values() if case.is_live]
        news = [case for case in concerned if not case.failure]
        for case in concerned:
            case.failure = sentence
        said = [
            self._decision(case, Move(state=case.state, event="failed", sentence=sentence), FILE)
            for case in news
        ]
        if news:
            log.error("rollouts are not in force: %s", error)
            self._ledger.save(news, decisions=[replace(one, actor=DESK) for one in said])

    def _confirm(self, waiting: Sequence[Case], changed: Changed) -> None:
        """It is in force on every worker: written down, each with the time it took."""
        now_ns = self._clock.monotonic_ns()
        entries = [self._delivered(case, changed, now_ns) for case in waiting]
        now_ms = self._clock.now_ms()
        kept = {
            case.state.name: _in_force(case.kept, said.propagation_ms, now_ms)
            for case, said in zip(waiting, entries, strict=True)
        }
        self._ledger.save(waiting, kept, entries)
        for case in waiting:
            case.failure, case.decided_ns = "", 0

    def _delivered(self, case: Case, changed: Changed, now_ns: int) -> Decision:
        spent_ms = (now_ns - case.decided_ns) / NS_PER_MS if case.decided_ns else None
        took = "." if spent_ms is None else f" after {spent_ms:.0f} ms."
        sentence = " ".join((f"In force{took}", *changed.notes))
        move = Move(state=case.state, event="delivered", sentence=sentence)
        return replace(
            self._decision(case, move, FILE),
            actor=DESK,
            of=case.kept.undelivered,
            plan_after=changed.hash,
            propagation_ms=spent_ms,
            spec="",
            versions={},
        )

    # -- what is declared, and what was written down

    def _take_in(self) -> None:
        """The file's rollouts as they are now, beside those that are known."""
        self._read()
        document = self._gateway.document
        if document is self._document:
            return
        declared = document.config.rollouts
        for name, rollout in declared.items():
            self._take_in_one(name, rollout)
        for case in self._ledger.cases.values():
            if case.source == "file" and not case.kept.is_gone and case.state.name not in declared:
                self._let_go(case)
        self._document = document

    def _take_in_one(self, name: str, rollout: Rollout) -> None:
        case, hash_ = self._ledger.cases.get(name), rollout_hash(rollout)
        if case is None:
            case = self._ledger.open(rollout, machine.declared(name, hash_, self._clock.now_ms()))
        elif case.state.spec_hash != hash_ or case.kept.is_gone or case.source == "hand":
            why = "it is in the file now" if case.kept.text else "its declaration was changed"
            self._abort_if_live(case, f"Aborted: {why}, which begins the next revision.")
            case = self._ledger.open(rollout, self._next(case, hash_))
        else:
            case.rollout = rollout
        if rollout.autostart and case.state.phase == "pending":
            self._follow(case, machine.start(case.state, self._clock.now_ms(), FILE), FILE)

    def _next(self, case: Case, hash_: str) -> State:
        revision = case.state.revision + 1
        return machine.declared(case.state.name, hash_, self._clock.now_ms(), revision=revision)

    def _let_go(self, case: Case) -> None:
        """It is no longer in the file."""
        self._abort_if_live(case, "Aborted: it is no longer declared in the file.")
        kept, said = replace(case.kept, is_gone=True), []
        if case.state.phase == "promoted":
            sentence = "No longer declared after its promotion: the route is as the file says."
            move = Move(state=case.state, event="retired", sentence=sentence)
            said = [self._decision(case, move, FILE)]
            kept = replace(kept, undelivered=self._ledger.following)
        self._ledger.save([case], {case.state.name: kept}, said)

    def _abort_if_live(self, case: Case, sentence: str) -> None:
        if case.is_live:
            now_ms = self._clock.now_ms()
            self._follow(case, machine.abort(case.state, now_ms, sentence), FILE)

    def _by_hand(self, name: str, text: str) -> Case:
        """A new case of a declaration that is not in the file."""
        document = self._gateway.document
        if name in document.config.rollouts:
            raise IllegalTransition(f"Rollout {name} is declared in the file; change it there.")
        others = {
            case.state.name: case.rollout
            for case in self._ledger.cases.values()
            if case.state.name != name and case.standing().is_standing
        }
        rollout = admitted(name, text, document.config.rollouts | others, document.config)
        known = self._ledger.cases.get(name)
        if known is not None and (known.is_live or known.state.phase == "promoted"):
            phase = known.state.phase.replace("_", " ")
            raise IllegalTransition(f"Rollout {name} is {phase}; abort or undo it first.")
        if sum(case.source == "hand" for case in self._ledger.cases.values()) >= MOST_BY_HAND:
            raise IllegalTransition(f"There are {MOST_BY_HAND} rollouts by hand; use a known name.")
        hash_ = rollout_hash(rollout)
        first = machine.declared(name, hash_, self._clock.now_ms())
        return self._ledger.open(rollout, self._next(known, hash_) if known else first, text)

    def _case(self, name: str) -> Case:
        self._read()
        if name not in self._ledger.cases:
            raise UnknownRollout(f"There is no rollout {name}.")
        return self._ledger.cases[name]

    def _read(self) -> None:
        if self._ledger.read():
            self._document = None  # Why: what is declared is compared with what was read


def _in_force(kept: Kept, propagation_ms: float | None, now_ms: int) -> Kept:
    """Times count from here: until now nobody was served by what was decided."""
    state = replace(kept.state, step_since_ms=now_ms, progress_ms=now_ms)
    spent_ms = kept.propagation_ms if propagation_ms is None else propagation_ms
    return replace(kept, state=state, undelivered=0, propagation_ms=spent_ms)


def _frozen(case: Case) -> int:
    return sum(len(period.frozen) for period in case.kept.account.periods)


def _joined(decisions: Iterable[Decision]) -> list[Decision]:
    """Each decision with the plan it led to and how long that took."""
    joined: dict[int, Decision] = {}
    for one in decisions:
        if one.event != "delivered":
            joined[one.n] = one
        elif one.of in joined:
            joined[one.of] = replace(
                joined[one.of], plan_after=one.plan_after, propagation_ms=one.propagation_ms
            )
    return list(joined.values())
