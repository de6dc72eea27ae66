"""A small HTTP/1.1 client on one kept-alive connection, enough for the demo's own needs.

Rule: an answer that is not whole raises; so does a stream without its end mark.
"""

from __future__ import annotations

import asyncio
import contextlib
from types import TracebackType
from typing import Self

from msgspec import Struct

TIMEOUT_S = 10.0
_LIMIT_BYTES = 1 << 20


class Answer(Struct, frozen=True):
    """What came back."""

    status: int
    fields: dict[str, str]  # names in lower case
    body: bytes


class Client:
    """One connection to one place, made when it is needed."""

    def __init__(self, host: str, port: int) -> None:
        self._place = host, port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None

    async def ask(self, path: str, body: bytes = b"") -> Answer:
        """GET, or POST where there is a body; OSError, EOFError or ValueError if it fails."""
        try:
            async with asyncio.timeout(TIMEOUT_S):
                answer = await self._ask(path, body)
        except BaseException:
            self.close()
            raise
        if answer.fields.get("connection") == "close":
            self.close()
        return answer

    async def _ask(self, path: str, body: bytes) -> Answer:
        if self._streams is None:
            self._streams = await asyncio.open_connection(*self._place, limit=_LIMIT_BYTES)
        reader, writer = self._streams
        lines = [f"{'POST' if body else 'GET'} {path} HTTP/1.1", f"host: {self._place[0]}"]
        if body:
            lines += ["content-type: application/json", f"content-length: {len(body)}"]
        writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        status, fields = read_head(await reader.readuntil(b"\r\n\r\n"))
        return Answer(status, fields, await _body(reader, fields))


def read_head(head: bytes) -> tuple[int, dict[str, str]]:
    """Status and fields."""
    first, *lines = head.decode("latin-1").split("\r\n")[:-2]
    pairs = (line.partition(":") for line in lines)
    return int(first.split()[1]), {name.lower(): value.strip() for name, _, value in pairs}


async def _body(reader: asyncio.StreamReader, fields: dict[str, str]) -> bytes:
    if "transfer-encoding" not in fields:
        return await reader.readexactly(int(fields.get("content-length", "0")))
    pieces = []
    while size := int(await reader.readuntil(b"\r\n"), 16):
        pieces.append(await reader.readexactly(size))
        await reader.readexactly(2)
    await reader.readexactly(2)
    body = b"".join(pieces)
    if fields.get("content-type", "").startswith("text/event-stream"):
        with contextlib.suppress(ValueError):
            body.index(b"data: [DONE]")
            return body
        raise EOFError("the stream has no end")
    return body
