"""One run of the benchmark: which parts, in which order, and the samples they leave.

Rule 1: proxies take turns within each round of each scenario.
Rule 2: what fails is dropped with a sentence in `skipped`; the run goes on.
Rule 3: memory is measured on proxies started for that alone.
"""

import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TypeVar

from msgspec import Struct

from bench import kernels, shipper, store
from bench.load import chat, memory, streams
from bench.load.peers import GATEWAY, PEERS
from bench.load.rig import (
    Rig,
    Running,
    Unavailable,
    cores_among,
    proxy,
    raise_open_files,
    rig,
)
from bench.progress import line_of
from bench.results import ChatSample, Kernel, MemorySample, StoreSample, StreamSample

RIG_PARTS = ("load", "streams", "memory")  # that need backend and origin
PARTS = (*RIG_PARTS, "micro", "shipper", "store")
Say = Callable[[str], None]
RunKernels = Callable[[str, Say], tuple[list[Kernel], dict[str, str]]]
Sample = TypeVar("Sample", ChatSample, StreamSample, MemorySample)


class Wish(Struct, frozen=True, kw_only=True):
    """What to run."""

    parts: tuple[str, ...] = PARTS
    peers: tuple[str, ...] = ()
    rounds: int = 5
    seconds: int = 5
    idle: tuple[int, ...] = (2_000, 10_000)
    open_streams: int = 10_000
    records: int = store.RECORDS  # in the local store
    backlog: int = shipper.RECORDS  # for the shipper
    side_rounds: int = 3  # at most, of the scenarios that are context, not budget


class Suite:
    """Collects the samples of one run."""

    def __init__(self, wish: Wish, say: Say) -> None:
        self.wish, self.say = wish, say
        self.skipped: dict[str, str] = {}
        self.chat: list[ChatSample] = []
        self.streams: list[StreamSample] = []
        self.memory: list[MemorySample] = []
        self.kernels: list[Kernel] = []
        self.store: StoreSample | None = None

    def run(self) -> None:
        """All parts that were asked for."""
        cores = cores_among(tuple(os.sched_getaffinity(0)))
        raise_open_files()
        if set(self.wish.parts) & set(RIG_PARTS):
            with pinned(cores.load), rig(cores) as made:
                self.run_rig(made)
        with pinned(cores.load):  # Why: what they start beside what is measured stays there
            ship = partial(shipper.run, records=self.wish.backlog)
            for part, run in (("micro", kernels.run), ("shipper", ship)):
                if part in self.wish.parts:
                    self.run_kernels(run, cores.proxy)
        if "store" in self.wish.parts:
            self.run_store()

    def run_kernels(self, run: RunKernels, core: str) -> None:
        """What is measured in nanoseconds, on the proxy's core."""
        found, failures = run(core, self.say)
        self.kernels += found
        for name, sentence in failures.items():
            self.skip(name, sentence)

    def run_store(self) -> None:
        """The local store, which may have all cores."""
        try:
            self.store = store.run(self.wish.records)
        except (RuntimeError, subprocess.SubprocessError) as failure:
            self.skip("store", str(failure))

    def run_rig(self, made: Rig) -> None:
        """The parts that need backend and origin."""
        parts = self.wish.parts
        if "load" in parts or "streams" in parts:
            with ExitStack() as stack:
                proxies: list[Running | None] = [None]
                proxies += filter(None, (self.start(stack, made, n) for n in self.wish.peers))
                if "load" in parts:
                    self.run_chat(made, proxies)
                if "streams" in parts:
                    self.run_streams(made, proxies)
        if "load" in parts and "gateway" in self.wish.peers and "gateway" not in self.skipped:
            self.run_workers(made)
        if "memory" in parts:
            self.run_memory(made)

    def start(self, stack: ExitStack, made: Rig, name: str, workers: int = 1) -> Running | None:
        """The proxy, ended when the stack is; None and a sentence when it cannot be had."""
        try:
            running = stack.enter_context(proxy(made, PEERS[name], workers))
        except Unavailable as failure:
            self.skip(name, str(failure))
            return None
        traffic, control = running.traffic_pids(), running.control_pids()
        self.say(f"{running.name} is up: traffic in {traffic}, other processes {control}")
        return running

    def skip(self, name: str, sentence: str) -> None:
        """Notes and says why something is not measured."""
        self.skipped[name] = sentence
        self.say(f"skipped: {sentence}")

    def take(self, name: str, measure: Callable[[], Sample], samples: list[Sample]) -> None:
        """One sample, or one sentence."""
        try:
            sample = measure()
        except (
            Unavailable,
            RuntimeError,
            ValueError,
            subprocess.SubprocessError,
        ) as failure:
            self.skip(name, f"{name}: {failure}")
            return
        samples.append(sample)
        self.say(line_of(sample))

    def run_chat(self, made: Rig, proxies: Sequence[Running | None]) -> None:
        """Each scenario in turn; those that a budget needs in all rounds."""
        for number in range(self.wish.rounds):
            for scenario in chat.SCENARIOS:
                if number < self.wish.side_rounds or scenario.budgeted:
                    for turn in chat.turns(scenario, proxies, number):
                        self.take_turn(made, turn)

    def take_turn(self, made: Rig, turn: chat.Turn) -> None:
        """One proxy in one chat scenario."""
        measure = partial(chat.measure, made, turn, self.wish.seconds)
        self.take(f"{turn.proxy} in {turn.scenario.name}", measure, self.chat)

    def run_workers(self, made: Rig) -> None:
        """Two workers against one, in turn."""
        with ExitStack() as stack:
            pair = [self.start(stack, made, GATEWAY.name, count) for count in (1, 2)]
            for number in range(min(self.wish.rounds, self.wish.side_rounds)):
                for running in filter(None, pair):
                    self.take_turn(made, chat.Turn(chat.WORKERS, running, number))

    def run_streams(self, made: Rig, proxies: Sequence[Running | None]) -> None:
        """The stream scenario on every proxy that relays streams."""
        fit = [each for each in proxies if each is None or each.peer.streams]
        for number in range(self.wish.rounds):
            for step in range(len(fit)):
                running = fit[(step + number) % len(fit)]
                measure = partial(streams.measure, made, running, number, self.wish.seconds)
                name = running.name if running else "direct"
                self.take(f"{name} in streams", measure, self.streams)

    def run_memory(self, made: Rig) -> None:
        """Idle connections and open streams, each on a fresh proxy."""
        names = [name for name in self.wish.peers if not PEERS[name].rewrites]
        for name in names:
            for count in self.wish.idle:
                self.take_memory(made, name, partial(memory.idle, connections=count))
        hold = partial(
            memory.streams,
            connections=self.wish.open_streams,
            seconds=2 * self.wish.seconds,
        )
        for name in ["direct", *(name for name in names if PEERS[name].streams)]:
            self.take_memory(made, name, hold)

    def take_memory(
        self,
        made: Rig,
        name: str,
        measure: Callable[[Rig, Running | None], MemorySample],
    ) -> None:
        """One sample on a proxy that has done nothing yet."""
        with ExitStack() as stack:
            running = None if name == "direct" else self.start(stack, made, name)
            if running or name == "direct":
                self.take(f"{name} in memory", partial(measure, made, running), self.memory)


@contextmanager
def pinned(cores: tuple[int, ...]) -> Iterator[None]:
    """This process, and what it starts, on the given cores alone."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
