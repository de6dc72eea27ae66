"""Clients that ask the gateway as fast as they are answered, and say whether they liked it.

`python -m bench.rollouts.traffic PORT CONNECTIONS CHAMPION CHALLENGER`: shares of answers
that are accepted, by arm; 0 and 0: nothing is said.
"""

import asyncio
import json
import random
import sys
from typing import cast

BODY = b'{"model":"chat","messages":[{"role":"user","content":"hello"}]}'
REQUEST = (
    b"POST /v1/chat/completions HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n"
    b"content-length: %d\r\n\r\n" % len(BODY)
) + BODY
SIGNALS = 64  # told together


class Asker(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self, liking: dict[bytes, float]) -> None:
        self.liking = liking
        self.signals: list[dict[str, object]] = []
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.transport.write(REQUEST)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self.buffer[:end]
        at = head.find(b"content-length: ")
        length = int(head[at + 16 :].split(b"\r\n", 1)[0])
        if len(self.buffer) < end + 4 + length:
            return
        self.buffer = self.buffer[end + 4 + length :]
        self.judge(head)
        if len(self.signals) >= SIGNALS:
            self.tell()
        else:
            self.transport.write(REQUEST)

    def judge(self, head: bytes) -> None:
        arm = field(head, b"x-gateway-arm").rpartition(b":")[2]
        if arm in self.liking and head.startswith(b"HTTP/1.1 200"):
            accepts = random.random() < self.liking[arm]
            request = field(head, b"x-request-id").decode()
            self.signals.append({"request_id": request, "signal": "accept", "value": accepts})

    def tell(self) -> None:
        body = json.dumps(self.signals).encode()
        self.signals = []
        self.transport.write(
            b"POST /v1/feedback HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n"
            b"content-length: %d\r\n\r\n" % len(body) + body
        )


def field(head: bytes, name: bytes) -> bytes:
    at = head.find(b"\r\n" + name + b": ")
    return head[at + len(name) + 4 :].split(b"\r\n", 1)[0] if at >= 0 else b""


async def ask(port: int, connections: int, champion: float, challenger: float) -> None:
    liking = {b"champion": champion, b"challenger": challenger} if champion else {}
    loop = asyncio.get_running_loop()
    for _ in range(connections):
        await loop.create_connection(lambda: Asker(liking), "127.0.0.1", port)
    await asyncio.Event().wait()


if __name__ == "__main__":
    import uvloop

    given = sys.argv[1:]
    uvloop.run(ask(int(given[0]), int(given[1]), float(given[2]), float(given[3])))
