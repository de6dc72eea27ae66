"""The process of `gateway drift watch`: what it refuses, what it says, how it tells."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec
import pytest

from gateway.alerts.finding import Look
from gateway.calls import place_of
from gateway.config import Config
from gateway.config.recording import Kafka, Log
from gateway.config.schema import Backend, Route
from gateway.config.watching import Drift, DriftConsumer, DriftReference, DriftRule
from gateway.errors import ConfigError
from gateway.run.watch import Teller, check, line_of
from gateway.watch.basis import Bases
from gateway.watch.group.status import Status

TOKEN = "violet-2277"
BROKERS = Kafka(bootstrap=("127.0.0.1:9092",))


def config(kafka: Kafka | None = BROKERS, **drift: Any) -> Config:
    usual = {
        "references": {"week": DriftReference(kind="last_week")},
        "rules": {"inputs": DriftRule(reference="week")},
        "consumer": DriftConsumer(source="kafka"),
    }
    return Config(
        backends={"a": Backend(protocol="kserve", url="http://127.0.0.1:9")},
        routes={"chat": Route(backends=("a",))},
        log=Log(kafka=kafka),
        drift=Drift(**usual | drift),  # type: ignore[arg-type]
    )


def test_a_group_with_rules_and_brokers_may_watch() -> None:
    check(config(), "")
    check(config(), "https://gateway.example.com")


@pytest.mark.parametrize(
    "drift, sentence",
    [
        ({"consumer": DriftConsumer()}, "the gateway itself reads the log"),
        ({"rules": {}}, "no rule has a reference"),
        ({"rules": {"inputs": DriftRule()}}, "no rule has a reference"),
        ({"enabled": False}, "no rule has a reference"),
    ],
)
def test_what_there_is_nothing_to_watch_for_is_refused(
    drift: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ConfigError, match=sentence):
        check(config(**drift), "")


def test_no_brokers_and_no_url_are_refused() -> None:
    with pytest.raises(ConfigError, match="nothing says where the brokers are"):
        check(config(kafka=None), "")
    with pytest.raises(ConfigError, match="--admin wants a URL"):
        check(config(), "gateway:8081")


class _Answers(ThreadingHTTPServer):
    """Answers as it is told to, one after the other, the last one again."""

    def __init__(self, *answers: tuple[int, bytes]) -> None:
        self.answers, self.asked = list(answers), list[tuple[str, str, bytes]]()
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: _Answers

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.asked.append((self.path, self.headers.get("authorization", ""), body))
        status, content = self.server.answers[0]
        if len(self.server.answers) > 1:
            del self.server.answers[0]
        self.send_response(status)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Nothing."""


@pytest.fixture
def port(request: pytest.FixtureRequest) -> Iterator[_Answers]:
    server = _Answers(*request.param)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


async def told(port: _Answers, look: Look) -> list[str]:
    """What was said meanwhile."""
    place, said = place_of(f"http://127.0.0.1:{port.server_port}/admin/"), list[str]()
    assert place is not None
    async with asyncio.timeout(5):
        await Teller(place, TOKEN, said.append, retry_s=0.01).tell(look)
    return said


LOOK = Look(route="chat", rule="inputs", at_ms=1_795_280_400_000)


@pytest.mark.parametrize("port", [[(202, b"{}")]], indirect=True)
async def test_a_look_is_told_with_the_token(port: _Answers) -> None:
    assert await told(port, LOOK) == []
    ((path, authorization, body),) = port.asked
    assert path == "/admin/api/v1/alerts/looks"
    assert authorization == f"Bearer {TOKEN}"
    assert msgspec.json.decode(body, type=Look) == LOOK


@pytest.mark.parametrize("port", [[(503, b"busy"), (500, b""), (202, b"{}")]], indirect=True)
async def test_a_gateway_that_is_away_is_waited_for(port: _Answers) -> None:
    said = await told(port, LOOK)
    assert said == [
        "cannot tell what was found: the admin port answered 503",
        "cannot tell what was found: the admin port answered 500",
    ]
    assert len(port.asked) == 3


REFUSAL = b'{"error":{"message":"drift.rules has no `inputs`"}}'


@pytest.mark.parametrize("port", [[(422, REFUSAL)], [(422, b"<html>")]], indirect=True)
async def test_a_look_that_is_refused_is_said_and_not_told_again(port: _Answers) -> None:
    (said,) = await told(port, LOOK)
    assert said.startswith("the admin port refused a look of inputs at chat: 422")
    assert len(port.asked) == 1


class _Watching:
    """What a line is made of."""

    def __init__(self, **status: Any) -> None:
        self.member, self.looks, self.sentence = self, 7, ""
        self.status = Status(of=12, **status)
        self.bases = Bases(learning=("chat",), problems=("drift.references.old: no file",))
        self.unpinned: dict[str, str] = {}
        self.leads = 0 in self.status.partitions


def line(watching: _Watching) -> str:
    return line_of(watching, watching)  # type: ignore[arg-type]


def test_a_line_says_what_a_member_does() -> None:
    told = {"counted": 10, "malformed": 2, "version": 1}
    assert line(_Watching(partitions=(0, 3), lines=1234567, lag=89, lost=4, told=told)) == (
        "2 of 12 partitions; 1,234,567 records counted, 89 behind; put aside: 2 malformed,"
        " 1 version; 4 were gone before they were read; leads, 7 looks told; learns the fields of"
        " chat; drift.references.old: no file"
    )
    said = line(_Watching(sentence="no broker answers at a:9092: Connection refused"))
    assert "no broker answers at a:9092" in said
    assert "leads" not in said
    assert "7 looks told" in said
