"""A stage whose one backend answers by itself: echoing, or as a test says.

For tests that try thousands of inputs: bytes go in at the client, and everything that
follows from them has happened when `feed` returns.

Rule 1: requests at the backend are read plainly, by their length; that they are proper
is for h11 to say, which the slower tests ask.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.support.load import parse_head
from tests.support.messages import Answer
from tests.support.seen import Seen
from tests.support.stage import Client, Server, Settings, Stage


@dataclass
class Reply:
    """What a backend does when a request is whole: bytes, in pieces, and perhaps an end."""

    pieces: list[bytes]
    end: str = "open"  # or "close", "reset"


Play = Callable[[Seen], Reply]


def echo(seen: Seen) -> Reply:
    head = b"HTTP/1.1 200 OK\r\nx-echo-target: %b\r\n" % seen.target.encode("latin-1")
    body = b"" if seen.method == "HEAD" else seen.body
    return Reply([head + b"content-length: %d\r\n\r\n" % len(seen.body) + body])


class EchoStage:
    def __init__(self, settings: Settings) -> None:
        self.stage = Stage(settings)
        self.play: Play = echo
        self.seen: list[Seen] = []  # at the backend, since the last `clear`
        self._read: dict[Server, int] = {}  # bytes of requests that were answered

    def connect(self) -> Client:
        return self.stage.client()

    def feed(self, client: Client, *pieces: bytes) -> None:
        for piece in pieces:
            client.send(piece)
            self._settle()

    def _settle(self) -> None:
        """Let backends be dialled and answer until nothing more happens."""
        is_moving = True
        while is_moving:
            is_moving = bool(self.stage.dials)
            if is_moving:
                self._read[self.stage.server()] = 0
            for server in list(self._read):
                is_moving |= self._serve(server)

    def _serve(self, server: Server) -> bool:
        """Answer the next request, if it is whole."""
        at = self._read[server]
        found = read_request(server.transport.written, at)
        if found is None or not server.is_open:
            return False
        seen, self._read[server] = found
        self.seen.append(seen)
        reply = self.play(seen)
        server.send(*reply.pieces)
        if reply.end == "close":
            server.leave()
        elif reply.end == "reset":
            server.reset()
        return True

    def wait(self, seconds: float) -> None:
        self.stage.wait(seconds)
        self._settle()

    def clear(self) -> list[bytes]:
        """Everybody leaves; what each backend's connection had got. The next test begins."""
        self.stage.assert_sound()
        heard = [server.heard for server in self.stage.servers]
        for end in (*self.stage.clients, *self.stage.servers):
            end.leave()
        self.stage.turn()
        self.stage.clients.clear()
        self.stage.servers.clear()
        self.stage.dials.clear()
        self._read.clear()
        self.seen = []
        assert self.stage.worker.in_flight == 0
        assert self.stage.worker.buffered_bytes == 0
        return heard


def read_request(data: bytearray, at: int) -> tuple[Seen, int] | None:
    """The request that begins at that byte and where it ends; None while it is not whole."""
    end = data.find(b"\r\n\r\n", at)
    if end < 0:
        return None
    first, *lines = bytes(data[at:end]).decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ")
    lengths = [line[15:] for line in lines if line.lower().startswith("content-length:")]
    stop = end + 4 + int(lengths[0] if lengths else 0)
    if len(data) < stop:
        return None
    return Seen(method, target, bytes(data[end + 4 : stop])), stop


def read_answers(client: Client, *methods: str) -> list[Answer]:
    """What a client got, read by its lengths alone; an answer that is cut fails."""
    made: list[Answer] = []
    data = client.heard
    while data:
        head, _, data = data.partition(b"\r\n\r\n")
        status, fields = parse_head(head)
        if status == 100:
            continue
        method = methods[len(made)] if len(made) < len(methods) else "GET"
        has_body = method != "HEAD" and status not in (204, 304)
        length = int(fields["content-length"]) if has_body else 0
        assert len(data) >= length, f"cut: {data!r}"
        made.append(Answer(status, fields, data[:length], is_whole=True))
        data = data[length:]
    return made
