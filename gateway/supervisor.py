"""The supervisor: starts processes, restarts them, passes signals. It does nothing else.

A Post is a place that one process should fill at any time: `worker-0`, `controller`. The
loop waits for signals, for processes to say that they are ready and for the next due
time; then it looks at every post and does what is due. One thread, no event loop, no
request and no configuration ever comes here.

    SIGTERM, SIGINT   drain: SIGTERM to all, SIGKILL to what still runs after `hard_stop_s`;
                      the same signal again ends everything at once
    SIGHUP            passed to the posts that want it (the controller, which reloads)
    SIGUSR2           rolling restart: a successor first, and when that is ready, the old
                      process is told to end; one post after another

Rule 1: listening sockets stay open here as long as this process lives, so that a worker
        that ends resets nobody: connections wait for the next one.
Rule 2: a process is started with exec and inherits only the descriptors of its post.
Rule 3: two processes never sit on one seat of the board; a seat is cleared when its
        process has ended.
Rule 4: the first restart is immediate. After that a process that was ready is replaced
        within BRIEF_PAUSE_S, however often, since clients wait at its sockets; one that
        ends before it is ready is tried again after twice as long each time, up to
        LONGEST_PAUSE_S.

Knows nothing of what its processes do; `run` gives it their command lines.
"""

from __future__ import annotations

import contextlib
import logging
import os
import selectors
import signal
import socket
import subprocess
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from enum import Enum

from msgspec import Struct

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 10.0
BRIEF_PAUSE_S = 0.2
STEADY_S = 10.0  # a process that was ready for so long is lost for the first time again
NO_SEAT = -1
MISCONFIGURED = 78  # EX_CONFIG: a process that ends so will not do better next time
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR2, signal.SIGCHLD)

log = logging.getLogger(__name__)


class Post(Struct, frozen=True, kw_only=True):
    """What one process is for, and how to start it."""

    name: str
    command: Callable[[int, int], list[str]]  # of its seat and its `ready` descriptor
    fds: tuple[int, ...] = ()  # inherited
    seats: tuple[int, ...] = (NO_SEAT,)  # of the board; two, so that a successor has one
    takes_hangup: bool = False  # SIGHUP is passed on
    rolls: bool = True  # is restarted by SIGUSR2
    retires_by: signal.Signals = signal.SIGTERM  # what ends it when its successor is there
    ends_in_turn: int = 0  # gets its SIGTERM when those of lower turns have ended
    is_awaited: bool = True  # the gateway is not ready before it is
    is_born_deaf: bool = False  # SIGTERM waits until the process lets it in


class Process(Struct, eq=False):
    """One process at a post."""

    post: Post
    seat: int
    popen: subprocess.Popen[bytes]
    ready_fd: int  # readable when it is ready
    started_s: float
    is_ready: bool = False
    kill_at_s: float | None = None  # once told to end

    @property
    def pid(self) -> int:
        return self.popen.pid


class Place(Struct, eq=False):
    """A post and who is there."""

    post: Post
    current: Process | None = None
    successor: Process | None = None
    retiring: list[Process] = []
    failures: int = 0  # processes in a row that ended before they were ready
    losses: int = 0  # … after it, but before they had run for STEADY_S
    start_at_s: float = 0.0

    def processes(self) -> Iterator[Process]:
        yield from (each for each in (self.current, self.successor, *self.retiring) if each)

    def pause_after(self, process: Process, now_s: float) -> float:
        """Counts the loss of the current process; the seconds to wait before the next starts."""
        if not process.is_ready:
            self.failures += 1
            return pause_after_failures(self.failures)
        self.failures = 0
        self.losses = 1 if now_s - process.started_s >= STEADY_S else self.losses + 1
        return 0.0 if self.losses == 1 else BRIEF_PAUSE_S

    def free_seat(self) -> int | None:
        taken = {each.seat for each in self.processes()} - {NO_SEAT}
        return next((seat for seat in self.post.seats if seat not in taken), None)


class Phase(Enum):
    STARTING = "starting"  # not everything was ready yet
    RUNNING = "running"
    ENDING = "ending"


class Supervisor:
    """Keeps every post filled until it is told to end; `run` is its life."""

    def __init__(
        self,
        posts: Iterable[Post],
        *,
        hard_stop_s: float,
        clear_seat: Callable[[int], None],
        notify: Callable[[str], None] = lambda _state: None,
    ) -> None:
        self.places = [Place(post) for post in posts]
        self.phase = Phase.STARTING
        self.exit_code = 0
        self._hard_stop_s = hard_stop_s
        self._clear_seat, self._notify = clear_seat, notify
        self._rolling: deque[Place] = deque()
        self._selector = selectors.DefaultSelector()

    def run(self) -> int:
        """Until everything has ended; the exit code."""
        with self._signals() as wakeup:
            self._selector.register(wakeup, selectors.EVENT_READ)
            while self.phase is not Phase.ENDING or any(self._processes()):
                now_s = time.monotonic()
                self._fill(now_s)
                self._roll(now_s)
                self._end_overdue(now_s)
                self._wait(wakeup, self._next_due_s())
            self._selector.close()
        return self.exit_code

    # -- signals and readiness

    @contextlib.contextmanager
    def _signals(self) -> Iterator[socket.socket]:
        """Signals arrive as bytes on the socket; what was set before is set again afterwards."""
        reader, writer = socket.socketpair()
        reader.setblocking(False)
        writer.setblocking(False)
        wakeup_before = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        before = {number: signal.signal(number, lambda _n, _f: None) for number in SIGNALS}
        try:
            yield reader
        finally:
            for number, action in before.items():
                signal.signal(number, action)
            signal.set_wakeup_fd(wakeup_before)
            reader.close()
            writer.close()

    def _wait(self, wakeup: socket.socket, due_s: float | None) -> None:
        timeout_s = None if due_s is None else max(0.0, due_s - time.monotonic())
        for key, _events in self._selector.select(timeout_s):
            if key.fileobj is not wakeup:
                self._on_ready(key.data)
        with contextlib.suppress(BlockingIOError):
            for number in wakeup.recv(4096):
                self._on_signal(signal.Signals(number))
        self._reap()

    def _on_signal(self, number: signal.Signals) -> None:
        if number in {signal.SIGTERM, signal.SIGINT}:
            self._end(at_once=self.phase is Phase.ENDING)
        elif number is signal.SIGHUP:
            for process in self._processes():
                if process.post.takes_hangup:
                    process.popen.send_signal(signal.SIGHUP)
        elif number is signal.SIGUSR2 and self.phase is not Phase.ENDING:
            log.info("rolling restart begins")
            self._rolling = deque(place for place in self.places if place.post.rolls)

    def _on_ready(self, process: Process) -> None:
        """The process said that it is ready, or ended without."""
        process.is_ready = bool(os.read(process.ready_fd, 1))
        self._selector.unregister(process.ready_fd)
        if process.is_ready:
            log.info("process ready", extra=_names(process))
        awaited = (each for each in self.places if each.post.is_awaited)
        is_all = all(each.current and each.current.is_ready for each in awaited)
        if self.phase is Phase.STARTING and is_all:
            self.phase = Phase.RUNNING
            self._notify("READY=1")

    # -- starting

    def _fill(self, now_s: float) -> None:
        for place in self.places:
            if self.phase is not Phase.ENDING and not place.current and place.start_at_s <= now_s:
                place.current = self._started(place, now_s)

    def _started(self, place: Place, now_s: float) -> Process | None:
        """A new process at this post; None while the board has no seat for it."""
        post, seat = place.post, place.free_seat()
        if seat is None:
            return None
        ready_fd, child_fd = os.pipe()
        try:
            with _blocked(signal.SIGTERM) if post.is_born_deaf else contextlib.nullcontext():
                popen = subprocess.Popen(  # noqa: S603 - our own command line
                    post.command(seat, child_fd),
                    pass_fds=(*post.fds, child_fd),
                    stdin=subprocess.DEVNULL,
                    process_group=0,  # Why: Ctrl-C is for the supervisor, which then drains
                )
        except OSError:
            os.close(ready_fd)
            raise
        finally:
            os.close(child_fd)
        process = Process(post, seat, popen, ready_fd, now_s)
        self._selector.register(ready_fd, selectors.EVENT_READ, process)
        log.info("process started", extra=_names(process))
        return process

    # -- rolling

    def _roll(self, now_s: float) -> None:
        """One step of the rolling restart: a successor, then the old one may go."""
        if not self._rolling:
            return
        place = self._rolling[0]
        if place.successor is None and place.current is not None:
            place.successor = self._started(place, now_s)
        elif place.successor is not None and place.successor.is_ready:
            if place.current is not None:
                self._retire(place.current, now_s)
                place.retiring.append(place.current)
            place.current, place.successor = place.successor, None
            self._rolling.popleft()
            if not self._rolling:
                log.info("rolling restart done")
            self._roll(now_s)

    def _retire(self, process: Process, now_s: float) -> None:
        # Why: a process that is not ready may not know its own signal yet.
        number = process.post.retires_by if process.is_ready else signal.SIGTERM
        self._tell_to_end(process, now_s, number)

    # -- ending

    def _end(self, *, at_once: bool) -> None:
        now_s = time.monotonic()
        if not at_once:
            log.info("draining; the same signal again ends at once")
            self._notify("STOPPING=1")
        self.phase = Phase.ENDING
        self._rolling.clear()
        for process in self._processes():
            if at_once:
                process.popen.kill()
        self._end_next(now_s)

    def _end_next(self, now_s: float) -> None:
        """Tell those whose turn it is; who was told already is not told again."""
        left = list(self._processes()) if self.phase is Phase.ENDING else []
        turn = min((process.post.ends_in_turn for process in left), default=0)
        for process in left:
            if process.post.ends_in_turn == turn:
                self._tell_to_end(process, now_s)

    def _tell_to_end(
        self, process: Process, now_s: float, number: signal.Signals = signal.SIGTERM
    ) -> None:
        if process.kill_at_s is None:
            process.kill_at_s = now_s + self._hard_stop_s
            process.popen.send_signal(number)

    def _end_overdue(self, now_s: float) -> None:
        for process in self._processes():
            if process.kill_at_s is not None and process.kill_at_s <= now_s:
                log.warning("process did not end in time", extra=_names(process))
                process.popen.kill()
                process.kill_at_s = None

    # -- what has ended

    def _reap(self) -> None:
        now_s = time.monotonic()
        for place in self.places:
            for process in list(place.processes()):
                if process.popen.poll() is not None:
                    self._on_exit(place, process, now_s)
        self._end_next(now_s)

    def _on_exit(self, place: Place, process: Process, now_s: float) -> None:
        with contextlib.suppress(KeyError):
            self._selector.unregister(process.ready_fd)
        os.close(process.ready_fd)
        if process.seat != NO_SEAT:
            self._clear_seat(process.seat)
        if process in place.retiring:
            place.retiring.remove(process)
        elif process is place.successor:
            place.successor = None
            self._rolling.clear()
            log.error("rolling restart given up: the successor ended", extra=_names(process))
        else:
            place.current = None
            self._on_loss(place, process, now_s)

    def _on_loss(self, place: Place, process: Process, now_s: float) -> None:
        """A process ended that should not have, unless all do."""
        if self.phase is Phase.ENDING:
            return
        code = process.popen.returncode
        if self.phase is Phase.STARTING and code == MISCONFIGURED:
            self.exit_code = 1
            self._end(at_once=False)
            return
        pause_s = place.pause_after(process, now_s)
        place.start_at_s = now_s + pause_s
        log.error("process ended", extra={**_names(process), "code": code, "restart_in_s": pause_s})

    # -- questions

    def _processes(self) -> Iterator[Process]:
        for place in self.places:
            yield from place.processes()

    def _next_due_s(self) -> float | None:
        due = [each.kill_at_s for each in self._processes() if each.kill_at_s is not None]
        if self.phase is not Phase.ENDING:
            # Why not those without a seat: they wait for a process to end, which is a signal.
            due += [
                each.start_at_s
                for each in self.places
                if each.current is None and each.free_seat() is not None
            ]
        return min(due, default=None)


@contextlib.contextmanager
def _blocked(number: signal.Signals) -> Iterator[None]:
    """The signal waits; a process that is started within is born with it blocked."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {number})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def pause_after_failures(failures: int) -> float:
    """Before the next start, after so many processes in a row that were never ready."""
    return 0.0 if failures <= 1 else min(FIRST_PAUSE_S * 2.0 ** (failures - 2), LONGEST_PAUSE_S)


def _names(process: Process) -> dict[str, object]:
    names: dict[str, object] = {"post": process.post.name, "pid": process.pid}
    return names if process.seat == NO_SEAT else {**names, "seat": process.seat}


def notify_systemd(state: str, address: str) -> None:
    """Tell systemd (sd_notify); `address` is NOTIFY_SOCKET, "" where there is none."""
    if not address:
        return
    path = "\0" + address[1:] if address.startswith("@") else address
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notifier:
        notifier.sendto(state.encode(), path)
