"""The follower of the prediction log: joins feedback, and shadows' answers, to arms.

    follower.watch([watch_of(name, rollout, since_ms), …])
    follower.poll(now_ms)         every look: what is new in the streams
    follower.feedback(rollout)    by step, arm and signal
    follower.pairs(rollout)       by challenger

A record with a drawn assignment is remembered by its ids, in the order of the log, until too
many or too old; a signal of the product finds its arms there. A signal counts once for a
request: the latest that came before it matured, as long as the request is remembered.

Cost: an ordinary line is searched for three texts and no more: 0.3 us a KiB. One with an
      assignment is decoded, in 2 us.
Rule 1: nothing is counted twice: what was read is in the same State as what it came to.
Rule 2: everything is bounded; what falls out is counted in `Figures`.
Rule 3: only requests that were drawn, after the rollout began, are anybody's evidence.

Knows nothing of the board and of gates. Not for several threads at once.
"""

from __future__ import annotations

import heapq
import secrets
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec
from msgspec import UNSET, Raw, Struct, field

from gateway.config.rollouts import Rollout
from gateway.log.names import list_segments
from gateway.log.reader import DEFAULT_BYTES, SegmentGone, SegmentReader
from gateway.rollout.counts import PairCounts, SignalCounts
from gateway.rollout.log_lines import (
    ASSIGNED,
    FEEDBACK,
    RECORDS,
    SHADOW,
    SHADOWS,
    SIGNALS,
    Line,
    Measured,
    add_pair,
    decoded,
    lines_with,
    measured_of,
    ms_of,
)
from gateway.rollout.metrics import metric_of, signal_key

ANY = "any"  # the key under which requests with whatever signal are counted
MOST_REQUESTS = 200_000
MOST_WAITING = 10_000  # signals whose request was not read yet
WAIT_MS = 30_000
WINDOW_MS = 24 * 3600 * 1000
MOST_BYTES = 32 << 20  # read at one poll

_READ = -1  # position of a segment that was read to its end

Step = int
Place = tuple[str, Step, str]  # rollout, step, arm


class Watch(Struct, frozen=True, kw_only=True):
    """What is followed of one rollout."""

    rollout: str
    route: str
    since_ms: int  # of this revision; records before it are nobody's evidence
    mirrors: dict[str, str] = {}  # challenger by the backend that its copies go to
    # signals that must mature: signal and milliseconds, by the key they are counted under
    keys: dict[str, tuple[str, int]] = {}


class Figures(Struct, kw_only=True):
    """What became of what was read."""

    lines: int = 0  # that were looked at closer
    joined: int = 0  # signals that found their arms
    unknown: int = 0  # … whose request took part in nothing, or is forgotten
    late: int = 0  # … that came after the others had matured
    forgotten: int = 0  # requests that fell out before they were too old
    missed: int = 0  # segments that were gone before they were read to their end
    malformed: int = 0


class Waiting(Struct, array_like=True):
    """A signal whose request was not read yet."""

    until_ms: int
    request_id: str
    signal: str
    value: Raw


class Request(Struct, array_like=True):
    """One request that takes part in something."""

    id: str
    also: str  # the client's own id
    at_ms: int
    places: tuple[Place, ...]
    given: dict[str, Measured] = {}  # value and whether it is good, by signal


class State(Struct, kw_only=True):
    """All of a follower: where it is and what that came to, of one moment."""

    name: str
    positions: dict[str, int] = {}  # by segment: what was read of it
    since: dict[str, int] = {}  # by rollout
    feedback: dict[str, dict[Step, dict[str, dict[str, SignalCounts]]]] = {}
    pairs: dict[str, dict[str, PairCounts]] = {}
    requests: list[Request] = field(default_factory=list)
    due: list[tuple[int, str, str]] = field(default_factory=list)  # when, request, key
    waiting: list[Waiting] = field(default_factory=list)
    figures: Figures = field(default_factory=Figures)


def watch_of(name: str, rollout: Rollout, since_ms: int) -> Watch:
    """What is to be followed of a rollout."""
    keys: dict[str, tuple[str, int]] = {}
    for gate in rollout.gates:
        metric = metric_of(gate.metric)
        if metric and metric.signal and gate.matured:
            keys[signal_key(gate)] = (metric.signal, gate.matured // 1_000_000)
    mirrors = {
        backend: arm for arm, of in reversed(rollout.arms.items()) for backend in of.backends
    }
    return Watch(rollout=name, route=rollout.route, since_ms=since_ms, mirrors=mirrors, keys=keys)


def needs_log(rollout: Rollout) -> bool:
    """Whether anything of a rollout is only in the log."""
    metrics = (metric_of(gate.metric) for gate in rollout.gates)
    is_mirrored = any(step.set_mirror_route for step in rollout.steps)
    return is_mirrored or any(metric and "log" in metric.needs for metric in metrics)


class Follower:
    """Follows every stream in the directory of the log."""

    def __init__(
        self,
        directory: Path,
        state: State | None = None,
        *,
        most_requests: int = MOST_REQUESTS,
        window_ms: int = WINDOW_MS,
    ) -> None:
        """Goes on from `state`; without one, begins with what is written from now on."""
        self._directory = directory
        self._most, self._window_ms = most_requests, window_ms
        self._watches: dict[str, Watch] = {}
        self._readers: dict[str, SegmentReader] = {}
        self._requests: dict[str, Request] = {}  # by both of their ids, the oldest first
        self._state = state or State(name=secrets.token_hex(8))
        for request in self._state.requests:
            self._remember(request)
        self._waiting = deque(self._state.waiting, maxlen=MOST_WAITING)
        self._due = list(self._state.due)
        heapq.heapify(self._due)
        if state is None:
            self._skip()

    @property
    def name(self) -> str:
        """Names what is counted: another one counts from nothing."""
        return self._state.name

    @property
    def figures(self) -> Figures:
        return self._state.figures

    def watch(self, watches: Iterable[Watch]) -> None:
        """From now on these; what was counted of others, or of an earlier revision, goes."""
        self._watches = {watch.rollout: watch for watch in watches}
        state = self._state
        since = {name: watch.since_ms for name, watch in self._watches.items()}
        for name in [name for name in state.since if since.get(name) != state.since[name]]:
            state.feedback.pop(name, None)
            state.pairs.pop(name, None)
        state.since = since

    def feedback(self, rollout: str) -> dict[Step, dict[str, dict[str, SignalCounts]]]:
        """Signals of the product by step, arm and key; copies."""
        return {
            step: {
                arm: {key: msgspec.structs.replace(counts) for key, counts in keys.items()}
                for arm, keys in arms.items()
            }
            for step, arms in self._state.feedback.get(rollout, {}).items()
        }

    def pairs(self, rollout: str) -> dict[str, PairCounts]:
        """Answers of the shadows beside the clients', by challenger; copies."""
        found = self._state.pairs.get(rollout, {})
        return {arm: pairs.plus(PairCounts()) for arm, pairs in found.items()}

    def state(self) -> State:
        """All that is needed to go on from here in another process."""
        return msgspec.structs.replace(
            self._state,
            requests=[request for name, request in self._requests.items() if name == request.id],
            due=self._due,
            waiting=list(self._waiting),
        )

    def close(self) -> None:
        for reader in self._readers.values():
            reader.close()
        self._readers.clear()

    # -- reading

    def poll(self, now_ms: int, *, most_bytes: int = MOST_BYTES) -> bool:
        """Takes in what is new; True: there is more."""
        signals: list[bytes] = []
        left = most_bytes
        while left > 0:
            chunks = list(self._chunks(min(DEFAULT_BYTES, left)))
            for data in chunks:
                left -= len(data)
                for line in lines_with(data, ASSIGNED):
                    self._take_record(line)
                for line in lines_with(data, SHADOW):
                    self._take_shadow(line)
                signals += lines_with(data, FEEDBACK)
            if not chunks:
                break
        # Why last: a signal may stand in a stream that was read before its request's.
        self._retry_waiting(now_ms)
        for line in signals:
            self._take_signal(line, now_ms)
        self._ripen(now_ms)
        self._forget(now_ms)
        return left <= 0

    def _chunks(self, limit_bytes: int) -> Iterator[bytes]:
        positions = self._state.positions
        listed = {
            name.segment: path
            for name, path in list_segments(self._directory)
            if name.state != "new"
        }
        for segment in positions.keys() - listed.keys():
            if positions[segment] != _READ and segment not in self._readers:
                self.figures.missed += 1
                positions[segment] = _READ
        for segment in sorted(listed.keys() | self._readers.keys()):
            data = self._read(segment, listed.get(segment), limit_bytes)
            if data:
                yield data
        for segment in positions.keys() - listed.keys() - self._readers.keys():
            del positions[segment]

    def _read(self, segment: str, path: Path | None, limit_bytes: int) -> bytes:
        positions = self._state.positions
        if positions.get(segment, 0) == _READ:
            return b""
        reader = self._readers.get(segment)
        if reader is None and path is not None:
            try:
                reader = self._readers[segment] = SegmentReader(path)
            except SegmentGone:
                self.figures.missed += segment in positions
                positions.pop(segment, None)
        if reader is None:
            return b""
        chunk = reader.read(positions.get(segment, 0), limit_bytes)
        positions[segment] = _READ if chunk.is_final else chunk.next_offset
        if chunk.is_final:
            reader.close()
            del self._readers[segment]
        return chunk.data

    def _skip(self) -> None:
        """Passes by all that is there."""
        for name, _path in list_segments(self._directory):
            if name.state == "sealed":  # Why not read: there may be gigabytes of them
                self._state.positions[name.segment] = _READ
        while any(self._chunks(16 * DEFAULT_BYTES)):
            pass

    def _decoded(self, line: bytes, decoder: msgspec.json.Decoder[Line]) -> Line | None:
        found = decoded(line, decoder)
        self.figures.lines += 1
        self.figures.malformed += found is None
        return found

    # -- records

    def _take_record(self, line: bytes) -> None:
        record = self._decoded(line, RECORDS)
        if record is None:
            return
        at_ms = -1
        places: list[Place] = []
        for one in record.assignments:
            watch = self._watches.get(one.rollout)
            if watch is None or one.reason or not one.arm or record.kind == "shadow":
                continue
            at_ms = ms_of(record.time) if at_ms < 0 else at_ms
            if at_ms >= watch.since_ms:
                places.append((one.rollout, one.step, one.arm))
        if places:
            self._remember(Request(record.id, record.request_id, at_ms, tuple(places)))

    def _remember(self, request: Request) -> None:
        self._requests[request.id] = request
        self._requests[request.also] = request

    def _forget(self, now_ms: int) -> None:
        """Lets go of those that are too old, or too many."""
        until_ms = now_ms - self._window_ms
        gone = []
        excess = len(self._requests) - self._most
        for at, (name, request) in enumerate(self._requests.items()):
            if at >= excess and request.at_ms >= until_ms:
                break
            gone.append(name)
            self.figures.forgotten += name == request.id and request.at_ms >= until_ms
        for name in gone:
            del self._requests[name]

    # -- signals

    def _take_signal(self, line: bytes, now_ms: int) -> None:
        signal = self._decoded(line, SIGNALS)
        if signal is None or signal.kind != "feedback":
            return  # Why the kind: the text may have stood somewhere in a body
        value = Raw(b"null") if signal.value is UNSET else signal.value
        if self._joins(signal.request_id, signal.signal, value, now_ms):
            return
        if len(self._waiting) == MOST_WAITING:
            self.figures.unknown += 1  # the oldest falls out
        self._waiting.append(
            Waiting(now_ms + WAIT_MS, signal.request_id, signal.signal, Raw(bytes(value)))
        )

    def _retry_waiting(self, now_ms: int) -> None:
        for _ in range(len(self._waiting)):
            one = self._waiting.popleft()
            if self._joins(one.request_id, one.signal, one.value, now_ms):
                continue
            if one.until_ms > now_ms:
                self._waiting.append(one)
            else:
                self.figures.unknown += 1

    def _joins(self, request_id: str, signal: str, value: Raw, now_ms: int) -> bool:
        request = self._requests.get(request_id)
        if request is None:
            return False
        self.figures.joined += 1
        for name, measured in measured_of(signal, value):
            self._give(request, name, measured, now_ms)
        return True

    def _give(self, request: Request, signal: str, measured: Measured, now_ms: int) -> None:
        before = request.given.get(signal)
        is_first = not request.given
        # Why a new dict: an empty one may be shared by all requests that came out of a State.
        request.given = {**request.given, signal: measured}
        for rollout, step, arm in request.places:
            watch = self._watches.get(rollout)
            if watch is None or request.at_ms < watch.since_ms:
                continue
            if is_first:
                self._count(rollout, step, arm, ANY, (1.0, True), 1)
            if before is not None:
                self._count(rollout, step, arm, signal, before, -1)
            self._count(rollout, step, arm, signal, measured, 1)
            for key, (wanted, matured_ms) in watch.keys.items():
                if wanted == signal:
                    self._wait_for(request, key, request.at_ms + matured_ms, before, now_ms)

    def _wait_for(
        self,
        request: Request,
        key: str,
        due_ms: int,
        before: Measured | None,
        now_ms: int,
    ) -> None:
        if due_ms <= now_ms:
            self.figures.late += 1
        elif before is None:
            heapq.heappush(self._due, (due_ms, request.id, key))

    def _ripen(self, now_ms: int) -> None:
        """Counts the signals of requests that are old enough now."""
        while self._due and self._due[0][0] <= now_ms:
            _, name, key = heapq.heappop(self._due)
            request = self._requests.get(name)
            for rollout, step, arm in request.places if request else ():
                watch = self._watches.get(rollout)
                if watch is None or key not in watch.keys or request is None:
                    continue
                measured = request.given.get(watch.keys[key][0])
                if measured is not None:
                    self._count(rollout, step, arm, key, measured, 1)

    def _count(
        self,
        rollout: str,
        step: Step,
        arm: str,
        key: str,
        measured: Measured,
        sign: int,
    ) -> None:
        arms = self._state.feedback.setdefault(rollout, {}).setdefault(step, {})
        counts = arms.setdefault(arm, {}).setdefault(key, SignalCounts())
        value, is_good = measured
        counts.n += sign
        counts.positive += sign * is_good
        counts.total += sign * value
        counts.squares += sign * value * value

    # -- shadows

    def _take_shadow(self, line: bytes) -> None:
        shadow = self._decoded(line, SHADOWS)
        if shadow is None or shadow.kind != "shadow" or shadow.comparison is None:
            return
        backend = shadow.backend.removeprefix("shadow:")
        for watch in self._watches.values():
            arm = watch.mirrors.get(backend)
            if arm and watch.route == shadow.route and ms_of(shadow.time) >= watch.since_ms:
                pairs = self._state.pairs.setdefault(watch.rollout, {})
                add_pair(pairs.setdefault(arm, PairCounts()), shadow, shadow.comparison)
