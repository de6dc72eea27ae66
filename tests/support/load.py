"""Constant load: requests at a fixed rate, whatever becomes of the ones before.

Open loop, so a gateway that slows down meets more requests at once, as it would in life.
Each request is one Shot. Runs in a thread (`Load`) or, where latencies matter, in a
process of its own (`load_in_process`), away from the test's and the backends' GIL.

Rule 1: a shot ends with a status, or with the name of an error; never silently.
Rule 2: a kept connection that was closed meanwhile is not used. One that is closed under a
request, before a byte of the answer came, is replaced by a fresh one once, as every HTTP
client does (RFC 9112 9.3.1); `retried` counts them.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass, field

from tests.support.loops import Ongoing
from tests.support.waiting import until

ANSWER_S = 20.0
Address = tuple[str, int]


@dataclass(slots=True)
class Shot:
    number: int
    sent_at: float
    ended_at: float = 0.0
    status: int = 0  # 0: no answer
    error: str = ""
    is_right: bool = False  # the answer is this request's own
    retry_after: str = ""
    backend: str = ""

    @property
    def seconds(self) -> float:
        return self.ended_at - self.sent_at


class Stale(Exception):
    """A reused connection ended before a byte of the answer."""


Side = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass
class Shooter:
    """Sends echo requests over a stack of kept connections."""

    address: Address
    keep: int = 16  # idle connections
    shots: list[Shot] = field(default_factory=list)
    retried: int = 0
    idle: list[Side] = field(default_factory=list)

    async def shoot(self, number: int) -> None:
        shot = Shot(number, time.monotonic())
        self.shots.append(shot)
        try:
            async with asyncio.timeout(ANSWER_S):
                await self._ask(shot)
        except (OSError, asyncio.IncompleteReadError, TimeoutError, ValueError) as error:
            shot.error = type(error).__name__
        shot.ended_at = time.monotonic()

    async def _ask(self, shot: Shot) -> None:
        while self.idle and self.idle[-1][0].at_eof():
            self.idle.pop()[1].close()
        if self.idle:
            try:
                await self._exchange(shot, self.idle.pop(), is_reused=True)
            except Stale:
                self.retried += 1
            else:
                return
        await self._exchange(shot, await asyncio.open_connection(*self.address), is_reused=False)

    async def _exchange(self, shot: Shot, side: Side, *, is_reused: bool) -> None:
        reader, writer = side
        body = b"shot %d" % shot.number
        length = b"content-length: %d\r\n" % len(body)
        try:
            writer.write(b"POST /echo HTTP/1.1\r\nhost: a\r\n" + length + b"\r\n" + body)
            head = await reader.readuntil(b"\r\n\r\n")
        except (ConnectionError, asyncio.IncompleteReadError) as error:
            writer.close()
            if is_reused and not getattr(error, "partial", b""):
                raise Stale from error
            raise
        status, fields = parse_head(head)
        answer = await reader.readexactly(int(fields.get("content-length", "0")))
        shot.status = status
        shot.is_right = status == 200 and answer == body
        shot.retry_after = fields.get("retry-after", "")
        shot.backend = fields.get("x-gateway-backend", "")
        if fields.get("connection") == "close" or len(self.idle) >= self.keep:
            writer.close()
        else:
            self.idle.append(side)

    async def run(self, rate_per_s: float, seconds: float, stop: asyncio.Event) -> None:
        """Shoot at that rate until the time is over or `stop` is set; wait for the last."""
        begun = time.monotonic()
        flying: set[asyncio.Task[None]] = set()
        number = 0
        while not stop.is_set() and time.monotonic() - begun < seconds:
            task = asyncio.create_task(self.shoot(number))
            flying.add(task)
            task.add_done_callback(flying.discard)
            number += 1
            await asyncio.sleep(max(0.0, begun + number / rate_per_s - time.monotonic()))
        await asyncio.gather(*flying)
        for _, writer in self.idle:
            writer.close()
        self.idle.clear()


def parse_head(head: bytes) -> tuple[int, dict[str, str]]:
    first, *lines = head.decode("latin-1").split("\r\n")
    fields = (line.partition(":") for line in lines if line)
    return int(first.split(" ")[1]), {name.lower(): value.strip() for name, _, value in fields}


class Load(Ongoing):
    """A load that goes on while the test does something else."""

    def __init__(self, address: Address, rate_per_s: float, keep: int = 16) -> None:
        self._shooter = Shooter(address, keep)
        super().__init__("load", lambda stop: self._shooter.run(rate_per_s, 3600.0, stop))

    @property
    def shots(self) -> list[Shot]:
        return self._shooter.shots

    @property
    def retried(self) -> int:
        return self._shooter.retried

    def await_shots(self, count: int) -> None:
        """Return when so many more requests have been sent."""
        mark = len(self.shots) + count
        until(lambda: len(self.shots) >= mark, 30.0)

    def fates(self) -> Counter[str]:
        return fates(self.shots)


def fates(shots: list[Shot]) -> Counter[str]:
    """How many ended how: `right`, `wrong`, a status, or an error's name."""
    return Counter(fate(shot) for shot in shots)


def fate(shot: Shot) -> str:
    if shot.is_right:
        return "right"
    if shot.status == 200:
        return "wrong"
    return shot.error or str(shot.status)


def load_in_process(address: Address, rate_per_s: float, seconds: float, keep: int) -> list[Shot]:
    """The same in a process of its own, for as long as it takes."""
    arguments = [address[0], str(address[1]), str(rate_per_s), str(seconds), str(keep)]
    command = [sys.executable, "-m", "tests.support.load", *arguments]
    done = subprocess.run(command, capture_output=True, check=True, timeout=seconds + 60)
    return [Shot(**one) for one in json.loads(done.stdout)]


def main() -> None:
    host, port, rate_per_s, seconds, keep = sys.argv[1:]
    shooter = Shooter((host, int(port)), int(keep))
    asyncio.run(shooter.run(float(rate_per_s), float(seconds), asyncio.Event()))
    json.dump([asdict(shot) for shot in shooter.shots], sys.stdout)


if __name__ == "__main__":
    main()
