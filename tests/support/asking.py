"""Constant load of requests that can be found again: each has an `x-request-id` of its own.

Open loop, as `load`. What is asked goes in turns through the kinds that are wanted:

    chat      an answer that comes whole
    stream    the same as server-sent events, read to the end
    echo      any other backend
    refusal   a model that nobody knows
    leave     a stream whose client goes after the first event
    feedback  on an earlier answer

Rule 1: an id is used for one request only: what fails is not tried again.
Rule 2: `is_whole` says that the last byte of the answer was read, whatever its status.

Runs in a thread (`Asking`) or in a process of its own, away from the backends' GIL
(`asked_in_process`), where requests go to several addresses in turns.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from tests.support.load import ANSWER_S, Address, Side, parse_head
from tests.support.loops import Ongoing
from tests.support.waiting import until

KINDS = ("chat", "stream", "chat", "echo", "leave", "chat", "feedback", "stream", "refusal")
MOST_IDLE = 16


@dataclass(slots=True)
class Asked:
    id: str
    kind: str
    place: int  # which of the addresses
    sent_at: float
    first_at: float = 0.0  # the first byte of the answer's body
    ended_at: float = 0.0
    status: int = 0  # 0: no answer
    is_whole: bool = False
    error: str = ""
    code: str = ""  # of an error answer
    gaps_s: list[float] = field(default_factory=list)  # between the pieces of a stream
    feedback: tuple[str, ...] = ()  # ids of signals that were accepted

    @property
    def seconds(self) -> float:
        return self.ended_at - self.sent_at


class Asker:
    """Asks over kept connections, newest first."""

    def __init__(
        self, addresses: Sequence[Address], kinds: Sequence[str], padding: int = 0
    ) -> None:
        self.asked: list[Asked] = []
        self._padding = " " + "long " * (padding // 5)
        self._addresses, self._kinds = addresses, kinds
        self._run = uuid.uuid4().hex[:8]
        self._idle: list[list[Side]] = [[] for _ in addresses]
        self._answered = ""  # id of the latest chat that was answered

    async def ask(self, number: int) -> None:
        turn, place = divmod(number, len(self._addresses))
        kind = self._kinds[turn % len(self._kinds)]
        if kind == "feedback" and not self._answered:
            kind = "chat"
        asked = Asked(f"ask-{self._run}-{number:06d}", kind, place, time.monotonic())
        self.asked.append(asked)
        side: Side | None = None
        try:
            async with asyncio.timeout(ANSWER_S):
                side = await self._side(place)
                await self._exchange(asked, side)
        except (OSError, asyncio.IncompleteReadError, TimeoutError, ValueError) as error:
            asked.error = type(error).__name__
        asked.ended_at = time.monotonic()
        if side is not None and (not asked.is_whole or len(self._idle[place]) >= MOST_IDLE):
            side[1].close()
        elif side is not None:
            self._idle[place].append(side)
        if asked.is_whole and kind == "chat" and asked.status == 200:
            self._answered = asked.id

    async def _side(self, place: int) -> Side:
        idle = self._idle[place]
        while idle:
            side = idle.pop()
            if not side[0].at_eof():
                return side
            side[1].close()
        return await asyncio.open_connection(*self._addresses[place])

    async def _exchange(self, asked: Asked, side: Side) -> None:
        reader, writer = side
        writer.write(self._request(asked))
        status, fields = parse_head(await reader.readuntil(b"\r\n\r\n"))
        if fields.get("transfer-encoding") == "chunked":
            await self._read_stream(asked, reader)
            body = b""
        else:
            body = await reader.readexactly(int(fields["content-length"]))
            asked.first_at = time.monotonic()
        asked.status = status
        asked.is_whole = asked.kind != "leave" or status != 200
        if asked.kind == "feedback" and status == 202:
            asked.feedback = tuple(json.loads(body)["ids"])
        elif status >= 400:
            asked.code = json.loads(body)["error"]["code"]

    async def _read_stream(self, asked: Asked, reader: asyncio.StreamReader) -> None:
        before = 0.0
        while size := int(await reader.readuntil(b"\r\n"), 16):
            await reader.readexactly(size + 2)
            now = time.monotonic()
            if before:
                asked.gaps_s.append(now - before)
            else:
                asked.first_at = now
                if asked.kind == "leave":
                    return
            before = now
        await reader.readexactly(2)

    def _request(self, asked: Asked) -> bytes:
        if asked.kind == "echo":
            path, body = "/echo", asked.id.encode()
        elif asked.kind == "feedback":
            path = "/v1/feedback"
            said = {"request_id": self._answered, "signal": "thumbs", "value": "up"}
            body = json.dumps(said | {"idempotency_key": asked.id}).encode()
        else:
            path = "/v1/chat/completions"
            question = [{"role": "user", "content": f"What is {asked.id}?{self._padding}"}]
            model = "nobody" if asked.kind == "refusal" else "chat"
            is_stream = asked.kind in {"stream", "leave"}
            wanted = {"model": model, "messages": question, "stream": is_stream}
            body = json.dumps(wanted).encode()
        head = f"POST {path} HTTP/1.1\r\nhost: a\r\nx-request-id: {asked.id}\r\n"
        fields = f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        return head.encode() + fields.encode() + body

    async def run(self, rate_per_s: float, seconds: float, stop: asyncio.Event) -> None:
        """Ask at that rate until the time is over or `stop` is set; wait for the last answers."""
        begun, number = time.monotonic(), 0
        asking: set[asyncio.Task[None]] = set()
        while not stop.is_set() and time.monotonic() - begun < seconds:
            task = asyncio.create_task(self.ask(number))
            asking.add(task)
            task.add_done_callback(asking.discard)
            number += 1
            await asyncio.sleep(max(0.0, begun + number / rate_per_s - time.monotonic()))
        await asyncio.gather(*asking)
        for _, writer in (side for idle in self._idle for side in idle):
            writer.close()


class Asking(Ongoing):
    """A load that goes on while the test does something else."""

    def __init__(
        self,
        address: Address,
        rate_per_s: float,
        kinds: Sequence[str] = KINDS,
        padding: int = 0,  # bytes of each question
    ) -> None:
        self._asker = Asker([address], kinds, padding)
        super().__init__("asking", lambda stop: self._asker.run(rate_per_s, 3600.0, stop))

    @property
    def asked(self) -> list[Asked]:
        return self._asker.asked

    def await_answers(self, count: int, within_s: float = 30.0) -> list[Asked]:
        """Return so many answers that began after this call, whatever they say."""
        mark, first = time.monotonic(), len(self.asked)

        def answered() -> list[Asked]:
            return [one for one in self.asked[first:] if one.is_whole and one.sent_at >= mark]

        until(lambda: len(answered()) >= count, within_s)
        return answered()


def asked_in_process(
    addresses: Sequence[Address], rate_per_s: float, seconds: float, kinds: Sequence[str]
) -> list[Asked]:
    """The same in a process of its own; the addresses take turns."""
    given = json.dumps([list(addresses), rate_per_s, seconds, list(kinds)])
    command = [sys.executable, "-m", "tests.support.asking", given]
    done = subprocess.run(command, capture_output=True, check=True, timeout=seconds + 60)
    return [Asked(**one) for one in json.loads(done.stdout)]


def main() -> None:
    addresses, rate_per_s, seconds, kinds = json.loads(sys.argv[1])
    asker = Asker([tuple(each) for each in addresses], kinds)
    asyncio.run(asker.run(rate_per_s, seconds, asyncio.Event()))
    json.dump([asdict(one) for one in asker.asked], sys.stdout)


if __name__ == "__main__":
    main()
