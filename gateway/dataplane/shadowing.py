"""What becomes of copies that are over: compared with the client's answer, judged, recorded.

The compiled part hands over each copy once (`ended`); `work`, called once a tick, compares
and records what has come, for at most a share of the worker's time. Beyond that share,
and beyond what fits into one tick, the bodies are not looked at: the record has the figures
alone, and the copy is counted as uncompared.

Rule 1: every copy that comes is recorded and released, once, whatever fails on the way.
Rule 2: SHARE of the worker's time, TICK_NS at a stretch: the next request does not wait longer.
Rule 3: what a judge is asked is an ordinary request to its route, with a record of its own,
        paid from the copies' money of the day.
Cost: nothing until a copy ends.
"""

from __future__ import annotations

import time
from collections import deque

import msgspec

from gateway._fast import Mirror, Shadow, Worker
from gateway.comparison.answers import Answer
from gateway.comparison.comparer import Comparer, Readings, figures_of
from gateway.comparison.judgement import Verdict
from gateway.dataplane.judges import Judges
from gateway.errors import OUTCOMES
from gateway.messages import Comparison

SHARE = 0.10  # of the worker's time
SAVED_NS = 50_000_000  # that it may be ahead, when nothing came for a while
TICK_NS = 4_000_000  # of one call
_DAY_S = 86_400


class Allowance:
    """Time that may be spent: a share of what has passed."""

    def __init__(self, now_ns: int, share: float = SHARE) -> None:
        self._share, self._at_ns, self._saved_ns = share, now_ns, float(SAVED_NS)

    def earn(self, now_ns: int) -> None:
        """So late is it."""
        earned = (now_ns - self._at_ns) * self._share
        self._saved_ns = min(self._saved_ns + max(earned, 0.0), SAVED_NS)
        self._at_ns = now_ns

    def spend(self, ns: int) -> None:
        self._saved_ns -= ns

    def __bool__(self) -> bool:
        return self._saved_ns > 0


class Shadowing:
    """One for each worker."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._over: deque[Shadow] = deque()
        self._comparers: dict[int, tuple[Mirror, Comparer]] = {}
        self._allowance = Allowance(time.monotonic_ns())
        self._judges = Judges(worker)

    @property
    def is_idle(self) -> bool:
        """Whether nothing is under way."""
        return not (self._worker.shadows or self._over or self._judges.under_way)

    def ended(self, shadow: Shadow) -> None:
        """A copy and its client's answer are over."""
        self._over.append(shadow)

    def work(self) -> None:
        """Compare and record what has come, as long as there is time."""
        if not self._over:
            return
        self._allowance.earn(time.monotonic_ns())
        begun_ns = time.thread_time_ns()
        spent_ns = 0
        while self._over and spent_ns < TICK_NS:
            self._settle(self._over.popleft(), has_time=bool(self._allowance))
            now_ns = time.thread_time_ns()
            self._allowance.spend(now_ns - begun_ns - spent_ns)
            spent_ns = now_ns - begun_ns

    def stop_judging(self) -> None:
        """The worker drains: no judge is waited for."""
        self._judges.cancel()

    def finish(self) -> None:
        """The worker ends: what is under way is cancelled, and all is recorded."""
        self._worker.cancel_shadows()
        self._judges.cancel()
        while self._over:
            self._settle(self._over.popleft(), has_time=False)

    def forget(self) -> None:
        """A new plan is in force: what belongs to the old one need not be kept."""
        self._comparers.clear()

    def _settle(self, shadow: Shadow, *, has_time: bool) -> None:
        """Rule 1."""
        try:
            if self._worker.recorder is None:
                shadow.release()
                return
            comparison, readings = self._compared(shadow, has_time=has_time)
        except Exception as error:  # noqa: BLE001  a defect of ours must not lose the record
            self._worker.report(error)
            shadow.mirror.count_uncompared()
            comparison, readings = Comparison(of=shadow.record_id.decode(), backend=""), None
        if readings is not None and self._asks(shadow, comparison, readings):
            return
        self._record(shadow, comparison)

    def _compared(self, shadow: Shadow, *, has_time: bool) -> tuple[Comparison, Readings | None]:
        client, own = answer_of(shadow.client_answer()), answer_of(shadow.own_answer())
        of = shadow.record_id.decode()
        is_readable = client.is_good and own.is_good
        if not is_readable or not has_time or client.body is None or own.body is None:
            if is_readable:
                shadow.mirror.count_uncompared()
            return figures_of(of, client, own), None
        comparer = self._comparer(shadow)
        readings = comparer.read(client, own, shadow.operation_name)
        return self._redacted(shadow, comparer.compare(of, client, own, readings)), readings

    def _comparer(self, shadow: Shadow) -> Comparer:
        """Made at the first copy; that of a mirror which is no more is made for it alone."""
        mirror = shadow.mirror
        found = self._comparers.get(id(mirror))
        if found is None:
            # Safety: the mirror is kept, so that its id is nobody else's.
            found = mirror, Comparer(mirror.plan.compare, shadow.protocol)
            self._comparers[id(mirror)] = found
        return found[1]

    def _redacted(self, shadow: Shadow, comparison: Comparison) -> Comparison:
        """Labels and members' names are words of the answers: what is taken out there, goes."""
        if not shadow.redacts or not (comparison.labels or comparison.differences):
            return comparison

        def safe(text: str) -> str:
            told: bytes = shadow.slow.recorded_name(self._worker, shadow.asked_route, text.encode())
            return told.decode()

        labels = comparison.labels and (safe(comparison.labels[0]), safe(comparison.labels[1]))
        return msgspec.structs.replace(
            comparison, labels=labels, differences=tuple(map(safe, comparison.differences))
        )

    # -- the judge

    def _asks(self, shadow: Shadow, comparison: Comparison, readings: Readings) -> bool:
        """Whether a judge has the case now, so that the record waits for its word."""
        client, own = readings.client.text, readings.shadow.text
        route = shadow.mirror.plan.compare.judge
        if route < 0 or client is None or own is None:
            return False
        if client == own:
            self._record(shadow, msgspec.structs.replace(comparison, judge="tie"))
            return True

        def heard(verdict: Verdict, nano_usd: int) -> None:
            if nano_usd:
                shadow.mirror.spend(int(time.time()) // _DAY_S, nano_usd)
            self._record(shadow, msgspec.structs.replace(comparison, judge=verdict))

        return self._judges.ask(shadow, client, own, heard)

    def _record(self, shadow: Shadow, comparison: Comparison) -> None:
        recorder = self._worker.recorder
        try:
            if recorder is not None:
                recorder.write_copy(shadow, msgspec.json.encode(comparison))
        except Exception as error:  # noqa: BLE001  Rule 1
            self._worker.report(error)
        finally:
            shadow.release()


def answer_of(figures: tuple[int, int, str, bytes | None, str, int, int, int, int]) -> Answer:
    """As the compiled part has it."""
    outcome, status, backend, body, form, total_ns, first_byte_ns, nano_usd, tokens = figures
    return Answer(
        outcome=OUTCOMES[outcome].reason,
        status=status,
        backend=backend,
        body=body,
        form=form,  # type: ignore[arg-type]  # one of its three
        total_ns=total_ns,
        first_byte_ns=first_byte_ns,
        nano_usd=nano_usd,
        output_tokens=tokens,
    )
