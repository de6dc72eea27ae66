"""A stand-in model: `python -m bench.rollouts.backend PORT ERRORS P99 TOKENS`.

Answers chats after a lognormal time; a share of its answers are failures, the slowest
hundredth is slower by a factor, and every answer says how many tokens it took.
"""

import asyncio
import json
import math
import random
import sys
from typing import cast

MEDIAN_S = 0.004
SIGMA = 0.5
BEYOND = math.exp(2.3263 * SIGMA)  # p99 over the median


class Model(asyncio.Protocol):
    """One connection."""

    def __init__(self, errors: float, tail: float, tokens: int) -> None:
        self.errors, self.tail = errors, tail
        message = {"role": "assistant", "content": "hello"}
        body = {
            "id": "x",
            "object": "chat.completion",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 20, "completion_tokens": tokens},
        }
        self.good = answer("200 OK", body)
        self.bad = answer("500 Internal Server Error", {"error": {"message": "no"}})
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = self.buffer[:end].lower()
            at = head.find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self.buffer) < end + 4 + length:
                return
            self.buffer = self.buffer[end + 4 + length :]
            is_bad = random.random() < self.errors
            asyncio.get_running_loop().call_later(
                self.pause_s(), self.transport.write, self.bad if is_bad else self.good
            )

    def pause_s(self) -> float:
        drawn = random.lognormvariate(0, SIGMA)
        if (
            drawn > BEYOND / self.tail
        ):  # what is near the tail moves out, so that p99 is `tail` later
            drawn *= self.tail
        return MEDIAN_S * drawn


def answer(status: str, body: object) -> bytes:
    data = json.dumps(body).encode()
    fields = f"content-type: application/json\r\ncontent-length: {len(data)}\r\n\r\n"
    return f"HTTP/1.1 {status}\r\n{fields}".encode() + data


async def serve(port: int, errors: float, tail: float, tokens: int) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Model(errors, tail, tokens), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    import uvloop

    given = sys.argv[1:]
    uvloop.run(serve(int(given[0]), float(given[1]), float(given[2]), int(given[3])))
