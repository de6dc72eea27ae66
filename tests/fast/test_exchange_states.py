"""Each state of an exchange meets each pair of events: a legal state or a clean close follows."""

import random
from collections.abc import Callable

import pytest

from tests.support.crowd import SMUGGLED, Crowd, said
from tests.support.messages import STREAM_HEAD, chat, chunk
from tests.support.stage import Settings, Stage

ROUTE: Settings = {
    "retry": {"attempts": 3, "budget": "100%", "backoff": "100ms"},
    "queue": {"max": 1, "max_wait": "500ms"},
    "hedge": {"after": "50ms", "budget": "100%"},
    "timeout": {"total": "2s", "first_byte": "300ms"},
    "limits": {"hold": "64B"},
    "fallback": [{"rule": {"body": "held"}}],
}
EACH: Settings = {"max_concurrency": 1, "timeout": {"idle": "300ms", "connect": "400ms"}}
MARK = "<1>"
UPLOAD = b"POST /echo HTTP/1.1\r\nhost: a\r\n"
UPGRADE = (
    b"GET /echo HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
    b"sec-websocket-version: 13\r\n\r\n"
)
SWITCHED = b"HTTP/1.1 101 Go\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"
BEGUN = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n"


def settings(names: str) -> Settings:
    backends = {
        name: {"protocol": "openai", "url": f"http://{name}.test/v1", **EACH} for name in names
    }
    backends["echo"] = {"protocol": "http", "url": "http://echo.test", **EACH}
    match = [{"path": "/echo", "methods": ["GET", "POST"]}]
    limits = {"replay": "10B", "hold": "64B"}
    echo = {"backends": ["echo"], "match": match, "websocket": True, "limits": limits}
    return {
        "backends": backends,
        "routes": {"chat": {"backends": list(names), **ROUTE}, "echo": echo},
    }


class Scene:
    """One client and, where the state has one, the server that works for it."""

    def __init__(self, backends: str = "ab") -> None:
        self.crowd = Crowd(settings(backends))
        self.stage: Stage = self.crowd.stage
        self.crowd.do("come")
        self.asker = self.crowd.askers[0]
        self.client = self.asker.end

    def ask(self, data: bytes) -> None:
        self.asker.marks.append(MARK)
        self.client.ask(data)

    def dialled(self) -> None:
        self.crowd.do("dial", 0, 1)

    def say(self, *pieces: bytes) -> None:
        self.crowd.models[-1].end.send(*pieces)


STATES: dict[str, Callable[[], Scene]] = {}
State = Callable[[Scene], None]


def state(backends: str = "ab") -> Callable[[State], State]:
    def note(arrange: State) -> State:
        def made() -> Scene:
            scene = Scene(backends)
            arrange(scene)
            return scene

        STATES[arrange.__name__.replace("_", " ")] = made
        return arrange

    return note


@state()
def idle(scene: Scene) -> None:
    """Nothing was asked."""


@state()
def reading_a_head(scene: Scene) -> None:
    scene.ask(chat(user=MARK)[:30])


@state()
def reading_a_body(scene: Scene) -> None:
    scene.ask(chat(user=MARK)[:-5])


@state()
def reading_chunks(scene: Scene) -> None:
    head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"
    scene.ask(head + b"5\r\n{")


@state()
def dialling(scene: Scene) -> None:
    scene.ask(chat(user=MARK))


@state("a")
def queued(scene: Scene) -> None:
    other = scene.stage.client()
    other.ask(chat())
    scene.stage.server()
    scene.ask(chat(user=MARK))
    assert scene.stage.table.waiting() == 1


@state("a")
def backing_off(scene: Scene) -> None:
    scene.ask(chat(user=MARK))
    scene.stage.no_server()


@state()
def sent(scene: Scene) -> None:
    scene.ask(chat(user=MARK))
    scene.dialled()


@state()
def hedged(scene: Scene) -> None:
    sent(scene)
    scene.stage.wait(0.06)
    assert scene.stage.row("chat")["hedges"] == 1
    scene.dialled()


@state()
def reading_the_answers_head(scene: Scene) -> None:
    sent(scene)
    scene.say(BEGUN[:40])


@state()
def holding(scene: Scene) -> None:
    sent(scene)
    scene.say(BEGUN + b'{"mark":')


@state()
def opening_a_stream(scene: Scene) -> None:
    sent(scene)
    scene.say(STREAM_HEAD, chunk(b": wait\n\n"))


@state()
def relaying_a_stream(scene: Scene) -> None:
    sent(scene)
    scene.say(*said("sse", MARK)[:2])
    assert MARK.encode() in scene.client.heard


@state()
def relaying_a_length(scene: Scene) -> None:
    sent(scene)
    scene.say(BEGUN + b'{"mark":' + b"." * 70)
    assert b"200 OK" in scene.client.heard


@state()
def uploading_to_nobody_yet(scene: Scene) -> None:
    scene.ask(UPLOAD + b"content-length: 60\r\n\r\n<1>" + b"." * 20)


@state()
def uploading(scene: Scene) -> None:
    uploading_to_nobody_yet(scene)
    scene.dialled()


@state()
def uploading_chunks(scene: Scene) -> None:
    scene.ask(UPLOAD + b"transfer-encoding: chunked\r\n\r\n" + chunk(b"<1>" + b"." * 20))
    scene.dialled()


@state()
def uploading_while_the_answer_comes(scene: Scene) -> None:
    uploading_chunks(scene)
    scene.say(BEGUN + b"." * 70)


@state()
def upgrading(scene: Scene) -> None:
    scene.asker.has_upgraded = True
    scene.ask(UPGRADE)
    scene.dialled()


@state()
def tunnelling(scene: Scene) -> None:
    upgrading(scene)
    scene.say(SWITCHED)


@state()
def answered(scene: Scene) -> None:
    sent(scene)
    scene.say(said("ok", MARK)[0])
    assert scene.client.answer().is_whole


def to_servers(act: str) -> Callable[[Scene], None]:
    def event(scene: Scene) -> None:
        for server in [each for each in scene.stage.servers if each.is_open]:
            getattr(server, act)()

    return event


def from_servers(*pieces: bytes) -> Callable[[Scene], None]:
    def event(scene: Scene) -> None:
        for server in [each for each in scene.stage.servers if each.is_open]:
            server.send(*pieces)

    return event


def more(data: bytes) -> Callable[[Scene], None]:
    """Bytes behind whatever the client has sent: what they mean depends on the state."""

    def event(scene: Scene) -> None:
        if scene.client.is_open and scene.client.reads():
            scene.asker.has_upgraded = True
            scene.client.send(data)

    return event


def dials(scene: Scene) -> None:
    while scene.stage.dials:
        scene.dialled()


def dials_fail(scene: Scene) -> None:
    while scene.stage.dials:
        scene.stage.no_server()


def worker_cuts(scene: Scene) -> None:
    scene.stage.worker.cut()
    scene.stage.event()


def worker_drains(scene: Scene) -> None:
    scene.stage.worker.lame_duck()
    scene.stage.worker.close_idle()
    scene.stage.event()


EVENTS: dict[str, Callable[[Scene], None]] = {
    "client leaves": lambda scene: scene.client.leave(),
    "client resets": lambda scene: scene.client.reset(),
    "client stalls": lambda scene: scene.client.stall(),
    "client drinks": lambda scene: scene.client.drink(),
    "client asks again": more(chat()),
    "client sends a request for a body": more(SMUGGLED.encode()),
    "client sends garbage": more(b"\0zz\r\n"),
    "dials succeed": dials,
    "dials fail": dials_fail,
    "backend leaves": to_servers("leave"),
    "backend resets": to_servers("reset"),
    "backend stalls": to_servers("stall"),
    "backend drinks": to_servers("drink"),
    "backend answers": from_servers(said("ok", MARK)[0]),
    "backend fails": from_servers(said(503, MARK)[0]),
    "backend refuses": from_servers(said(400, MARK)[0]),
    "backend streams": from_servers(*said("sse", MARK)),
    "backend streams and stops short": from_servers(*said("cut sse", MARK)),
    "backend says nothing": from_servers(said(204, MARK)[0]),
    "backend says wait": from_servers(b"HTTP/1.1 103 Early\r\n\r\n"),
    "backend switches": from_servers(SWITCHED),
    "backend sends garbage": from_servers(b"\0\r\n\r\n"),
    "a moment passes": lambda scene: scene.stage.wait(0.06),
    "a while passes": lambda scene: scene.stage.wait(0.6),
    "all time passes": lambda scene: scene.stage.wait(20.0),
    "plan is loaded": lambda scene: scene.stage.apply(settings("ab")),
    "worker drains": worker_drains,
    "worker cuts": worker_cuts,
}


def play(name: str, *events: str) -> None:
    scene = STATES[name]()
    try:
        for event in events:
            EVENTS[event](scene)
            scene.crowd.assert_sound()
        scene.crowd.finish()
    except AssertionError as error:
        raise AssertionError(f"{name}, then {', then '.join(events)}: {error}") from error


@pytest.mark.parametrize("name", STATES)
def test_any_event_ends_well(name: str) -> None:
    """Alone, and before a few of the others."""
    dice = random.Random(name)
    for first in EVENTS:
        play(name, first)
        for second in dice.sample(list(EVENTS), 4):
            play(name, first, second)


@pytest.mark.slow
@pytest.mark.parametrize("name", STATES)
def test_any_two_events_end_well(name: str) -> None:
    for first in EVENTS:
        for second in EVENTS:
            play(name, first, second)
