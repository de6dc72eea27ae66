"""Clients and backends that do as they like on a stage, and what must hold whatever they do.

`Crowd.do(event, a, b)` lets one thing happen; the two numbers choose who and how. Each
request carries a mark of its own and each backend answers with the mark it was sent.

Rule 1: a client reads at most one answer a request, in order, with its own mark or none.
Rule 2: an answer that is not whole is the last thing on its connection.
Rule 3: when time has passed nothing is under way, and everything was counted once.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.support.messages import STREAM_HEAD, answer, chat, chunk, post
from tests.support.stage import Client, Server, Settings, Stage

ROUTES: tuple[Settings, ...] = (
    {},
    {"retry": {"attempts": 1}},
    {"retry": {"attempts": 4, "budget": "100%", "backoff": "10ms"}},
    {"hedge": {"after": "50ms", "budget": "100%"}, "policy": "least_loaded"},
    {"fallback": [{"rule": {"body": {"rule": True}}}], "limits": {"hold": "64B"}},
    {"fallback": [{"backend": "c"}, "cached", "unavailable"], "retry": {"attempts": 2}},
    {"fallback": [{"route": "other"}], "queue": {"max": 2, "max_wait": "300ms"}},
    {"queue": {"max": 1}, "priority": 2, "timeout": {"total": "1s"}},
)
EACH: tuple[Settings, ...] = (
    {},
    {"max_concurrency": 1},
    {"max_concurrency": 1, "pool": {"idle": 1, "idle_timeout": "200ms", "max_age": "1s"}},
    {"breaker": {"consecutive": 2, "open": "500ms", "minimum": 2}},
    {"max_concurrency": "adaptive", "timeout": {"first_byte": "300ms", "idle": "300ms"}},
)
KINDS = (
    "plain", "plain", "stream", "closing", "old", "urgent", "upload", "chunks", "get", "head",
    "bad", "own", "twice", "upgrade",
)  # fmt: skip
ANSWERS = ("ok", "ok", "long", "until close", "sse", "sse", "cut sse", 204, 304, 400, 429, 503)
# A body that is read as a request would be answered, and nobody asked for that.
SMUGGLED = "GET /readyz HTTP/1.1\r\nhost: evil\r\n\r\n"
GARBAGE = (b"\0", b"GET /echo HTTP/1.1\r\n\r\n", b"ffffffff\r\n", b"zz\r\n")
SECONDS = (0.02, 0.02, 0.06, 0.06, 0.4, 0.4, 3.0, 40.0)
OUTCOMES = ("connect_failed", "connect_timeout", "tls_failed")


def configuration(route: Settings, each: Settings) -> Settings:
    backends = {
        name: {"protocol": "openai", "url": f"http://{name}.test/v1", **each} for name in "abc"
    }
    backends["echo"] = {"protocol": "http", "url": "http://echo.test", **each}
    echo = [{"path": "/echo*", "methods": ["GET", "HEAD", "POST"]}]
    limits = {"replay": "16B", "hold": "64B", "body": "4KiB"}
    routes = {
        "chat": {"backends": ["a", "b"], "overrides": ["priority"], **route},
        "other": {"backends": ["c"], "fallback": ["unavailable"]},
        "echo": {"backends": ["echo"], "match": echo, "websocket": True, "limits": limits},
    }
    return {"backends": backends, "routes": routes, "limits": {"connection_requests": 7}}


@dataclass
class Asker:
    """A client's connection and what it has asked for."""

    end: Client
    marks: list[str] = field(default_factory=list)
    rest: bytes = b""  # of a request whose beginning was sent
    has_upgraded: bool = False


@dataclass
class Model:
    """A backend's connection, and how far it has answered."""

    end: Server
    answered: int = 0
    rest: list[bytes] = field(default_factory=list)  # of an answer that was begun

    def mark(self, *, early: bool = False) -> str | None:
        """Of a request that waits for its answer; `early`: its body may still be coming."""
        requests = self.end.requests(begun=early) if self.end.is_open else []
        if len(requests) <= self.answered:
            return None
        return mark_of(b"".join(requests[self.answered]))


class Crowd:
    """Everybody at once."""

    def __init__(self, settings: Settings, *, seed: int = 1) -> None:
        self.settings = settings
        self.stage = Stage(settings, seed=seed)
        self.askers: list[Asker] = []
        self.models: list[Model] = []
        self.count = 0

    def do(self, event: str, a: int = 0, b: int = 0) -> None:
        EVENTS[event](self, a, b)
        self.assert_sound()

    # -- clients

    def come(self, a: int, b: int) -> None:
        if len(self.askers) < 12:
            self.askers.append(Asker(self.stage.client()))

    def ask(self, a: int, b: int) -> None:
        asker = chosen([each for each in self.askers if each.end.is_open], a)
        if asker is None or asker.rest or asker.has_upgraded:
            return
        kind = KINDS[b % len(KINDS)]
        made = b""
        for _ in range(2 if kind == "twice" else 1):
            self.count += 1
            asker.marks.append(f"<{self.count}>")
            made = request(kind, asker.marks[-1])
            asker.end.methods.append(made.split(b" ", 1)[0].decode())
            # Why never HEAD: one that breaks off is answered as a GET, and read so by nobody.
            is_whole = b < 128 or kind == "head"
            cut = len(made) if is_whole else 1 + a % len(made)
            asker.has_upgraded = kind == "upgrade"
            asker.end.send(made[:cut])
            asker.rest = made[cut:]
            if asker.rest:
                return

    def go_on(self, a: int, b: int) -> None:
        """A client sends more of a request that it has begun."""
        asker = chosen([each for each in self.askers if each.rest], a)
        if asker is not None and asker.end.reads():
            cut = 1 + b % len(asker.rest)
            piece, asker.rest = asker.rest[:cut], asker.rest[cut:]
            asker.end.send(piece)

    def hurt(self, a: int, b: int) -> None:
        """A client sends what nobody expects."""
        asker = chosen([each for each in self.askers if each.end.is_open], a)
        if asker is not None and asker.end.reads():
            asker.rest = b""
            asker.has_upgraded = True  # whatever it reads from here on
            asker.end.send(GARBAGE[b % len(GARBAGE)])

    def client_does(self, a: int, b: int) -> None:
        asker = chosen([each for each in self.askers if each.end.is_open], a)
        if asker is not None:
            (asker.end.leave, asker.end.reset, asker.end.stall, asker.end.drink)[b % 4]()

    # -- backends

    def dial(self, a: int, b: int) -> None:
        if self.stage.dials and b % 4:
            self.models.append(Model(self.stage.server()))
        elif self.stage.dials:
            self.stage.no_server(OUTCOMES[a % len(OUTCOMES)])

    def say(self, a: int, b: int) -> None:
        early = b >= 128
        model = chosen([each for each in self.models if each.mark(early=early) is not None], a)
        if model is not None and not model.rest:
            mark = model.mark(early=early) or ""
            model.answered += 1
            first, *model.rest = said(ANSWERS[b % len(ANSWERS)], mark)
            model.end.send(first)

    def say_more(self, a: int, b: int) -> None:
        model = chosen([each for each in self.models if each.rest], a)
        if model is None:
            return
        for _ in range(1 + b % 4):
            if not model.end.is_open:
                model.rest.clear()
            if model.rest and model.end.reads():
                model.end.send(model.rest.pop(0))

    def backend_does(self, a: int, b: int) -> None:
        model = chosen([each for each in self.models if each.end.is_open], a)
        if model is None:
            return
        end = model.end
        upgrade = b"HTTP/1.1 101 Go\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"
        acts: tuple[Callable[[], None], ...] = (
            end.leave, end.reset, end.stall, end.drink,
            lambda: end.send(b"\0\r\n\r\n"),
            lambda: end.send(b"HTTP/1.1 103 Early\r\n\r\n"),
            lambda: end.send(upgrade),
        )  # fmt: skip
        acts[b % len(acts)]()

    # -- the rest of the world

    def time(self, a: int, b: int) -> None:
        self.stage.wait(SECONDS[b % len(SECONDS)])

    def load(self, a: int, b: int) -> None:
        self.stage.apply(self.settings)

    def drain(self, a: int, b: int) -> None:
        if b % 8 == 0:
            self.stage.worker.lame_duck()
            self.stage.worker.close_idle()
            self.stage.event()

    def cut(self, a: int, b: int) -> None:
        if b % 16 == 0:
            self.stage.worker.cut()
            self.stage.event()

    # -- oracles

    def assert_sound(self) -> None:
        self.stage.assert_sound()
        for asker in self.askers:
            if not asker.has_upgraded:
                assert_reads_its_own(asker)

    def finish(self) -> None:
        """Let all time pass; nothing may be left."""
        for asker in self.askers:
            if asker.has_upgraded:
                asker.end.reset()
        self.stage.wait(2000.0)
        self.assert_sound()
        self.stage.end()


EVENTS: dict[str, Callable[[Crowd, int, int], None]] = {
    "come": Crowd.come,
    "ask": Crowd.ask,
    "go on": Crowd.go_on,
    "hurt": Crowd.hurt,
    "client": Crowd.client_does,
    "dial": Crowd.dial,
    "say": Crowd.say,
    "say more": Crowd.say_more,
    "backend": Crowd.backend_does,
    "time": Crowd.time,
    "load": Crowd.load,
    "drain": Crowd.drain,
    "cut": Crowd.cut,
}


def chosen(those: list[Any], number: int) -> Any:
    return those[number % len(those)] if those else None


def mark_of(data: bytes) -> str:
    """The mark in a request, wherever it stands there."""
    at = data.find(b"<")
    return data[at : data.find(b">", at) + 1].decode() if at >= 0 else ""


def marks_in(text: str) -> set[str]:
    return {f"<{part.partition('>')[0]}>" for part in text.split("<")[1:]}


def assert_reads_its_own(asker: Asker) -> None:
    answers = asker.end.answers()
    assert len(answers) <= len(asker.marks)
    for mark, found in zip(asker.marks, answers, strict=False):
        text = found.body.decode("latin-1")
        assert marks_in(text) <= {mark}, f"{mark} was told {text!r}"
        assert found.is_whole or found is answers[-1]


def event(mark: str, **more: Any) -> bytes:
    delta = {"choices": [{"index": 0, "delta": {"content": mark}, **more}]}
    return b"data: " + json.dumps(delta).encode() + b"\n\n"


def request(kind: str, mark: str) -> bytes:
    head = "POST /echo HTTP/1.1\r\nhost: a\r\n"
    if kind == "upload":
        return f"{head}content-length: 60\r\n\r\n{mark + SMUGGLED:.<60}".encode()
    if kind == "chunks":
        coded = chunk(mark.encode()) + chunk(b"." * 30) + b"0\r\n\r\n"
        return f"{head}transfer-encoding: chunked\r\n\r\n".encode() + coded
    if kind in ("get", "head"):
        return f"{kind.upper()} /echo HTTP/1.1\r\nhost: a\r\nx-mark: {mark}\r\n\r\n".encode()
    if kind == "bad":
        return b"GET /echo HTTP/1.1\r\nhost : a\r\n\r\n"
    if kind == "own":
        return f"GET /readyz HTTP/1.1\r\nhost: a\r\ncontent-length: 36\r\n\r\n{SMUGGLED}".encode()
    if kind == "upgrade":
        upgrade = b"connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n"
        return b"GET /echo HTTP/1.1\r\nhost: a\r\n" + upgrade + b"\r\n"
    if kind == "old":
        return post("/v1/chat/completions", {"model": "chat", "user": mark}, version="1.0")
    if kind == "closing":
        return chat("connection: close", user=mark)
    if kind == "urgent":
        return chat("x-gateway-priority: 0", user=mark)
    return chat(user=mark, stream=kind == "stream")


def said(kind: str | int, mark: str) -> list[bytes]:
    """A backend's answer, in the pieces in which it comes."""
    if kind == "long":
        whole = answer({"mark": mark, "text": "." * 90})
        return [whole[:60], whole[60:120], whole[120:]]
    if kind == "until close":
        return [b"HTTP/1.1 200 OK\r\n\r\n", mark.encode(), b"." * 90]
    if kind in ("sse", "cut sse"):
        events = [chunk(event(mark)), chunk(event(mark, finish_reason="stop"))]
        rest = [*events, chunk(b"data: [DONE]\n\n"), b"0\r\n\r\n"]
        return [STREAM_HEAD, *(rest if kind == "sse" else [events[0], b"0\r\n\r\n"])]
    if kind in (204, 304):
        return [f"HTTP/1.1 {kind} Nothing\r\ncontent-type: text/event-stream\r\n\r\n".encode()]
    if kind == 429:
        return [answer({"error": mark}, 429, "retry-after: 1")]
    return [answer({"mark": mark}, 200 if kind == "ok" else int(kind))]
