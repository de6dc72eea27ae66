"""Secrets in every place where a client, a backend or the configuration can put one.

Each place gets a canary of its own, so that what leaks tells where it came from. A real
gateway is asked, with full payloads, every sink, and logs at debug; then everything it
left, said or would answer is searched for each canary, plain and encoded.

Rule 1: a canary is only planted where the route's configuration says what is to happen
with it: a pointer names it, a pattern knows it, or nothing of its place is recorded.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import http.client
import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import duckdb
import pytest
import zstandard
from aiokafka import AIOKafkaConsumer

from tests.support.answers import JSON, SSE, Answer, Stream, plays, sse
from tests.support.backends import Backend
from tests.support.fixtures import MakeBackend
from tests.support.gateway import ROOT, GatewayProcess
from tests.support.kafka import kafka as kafka
from tests.support.kafka import new_topic
from tests.support.kafka_broker import Address
from tests.support.raw_client import Response
from tests.support.script import Received
from tests.support.settings import Settings, configuration, openai_backend, route
from tests.support.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(180)]

RECORDED_S = 20.0
LEFT = 12  # characters in a row that count as a leak
PLAIN_WORDS = "ordinary words that may be kept"


class Canaries:
    """Secrets by the place they are planted in; each can be told from the others."""

    def __init__(self) -> None:
        self.planted: dict[str, str] = {}

    def lot(self, place: str) -> str:
        """Twenty characters that look as if drawn by lot, the same for the same place."""
        digest = base64.b64encode(hashlib.sha256(place.encode()).digest()).decode()
        made = "Cn7" + "".join(filter(str.isalnum, digest))[:20]
        self.planted[place] = made
        return made

    def key(self, place: str) -> str:
        return f"sk-{self.lot(place)}"

    def leaks(self, data: bytes) -> set[str]:
        """The places whose canary, or a good part of it, is in these bytes."""
        return {
            place
            for place, made in self.planted.items()
            if any(form in data for form in _forms(made))
        }


def _forms(made: str) -> Iterator[bytes]:
    plain = made.encode()
    for at in range(len(plain) - LEFT + 1):
        yield plain[at : at + LEFT]
    yield plain.hex().encode()
    for shift in range(3):  # base64 of a text that has it somewhere
        yield base64.b64encode(b"x" * shift + plain)[4:-4]


class LoudGateway(GatewayProcess):
    """A gateway that tells everything it has to tell."""

    def launch(self) -> None:
        command = [sys.executable, "-m", "gateway", "serve", "-c", str(self.config)]
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "--log-level", "debug"],
                cwd=ROOT,
                stdout=log,
                stderr=log,
                env=self._environ,
            )


def answers(canaries: Canaries) -> dict[str, Answer | Stream]:
    """What the backend says, by the word that the prompt ends with."""
    said = f"{PLAIN_WORDS} {canaries.key('answer')} and password={canaries.lot('answer pair')}"
    whole = {
        "id": "c1",
        "object": "chat.completion",
        "model": "mini",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": said},
                "finish_reason": "stop",
                "logprobs": {"content": [{"token": canaries.lot("logprobs"), "bytes": [1]}]},
            }
        ],
        "usage": {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14},
    }
    streamed = f"{PLAIN_WORDS} {canaries.key('stream')} and so on"
    events = [
        sse({"id": "c1", "choices": [{"index": 0, "delta": {"content": streamed[at : at + 3]}}]})
        for at in range(0, len(streamed), 3)
    ]
    own = (
        ("x-request-id", f"req_{canaries.lot('header of an answer')}"),
        ("set-cookie", f"sid={canaries.lot('cookie of an answer')}"),
    )
    refused = {"error": {"message": f"Incorrect API key: {canaries.key('error 400')}"}}
    failed = f"Traceback: password={canaries.lot('error 500')}"
    return {
        "whole": Answer(200, JSON + own, json.dumps(whole).encode()),
        "stream": Stream((*events, b"data: [DONE]\n\n"), 200, SSE + own),
        "refused": Answer(400, JSON, json.dumps(refused).encode()),
        "failed": Answer(500, (("content-type", "text/plain"),), failed.encode()),
        "model": Answer(
            200, JSON, json.dumps({**whole, "model": canaries.key("version")}).encode()
        ),
        "binary": Answer(
            200, (("content-type", "audio/wav"),), b"RIFF\x00" + canaries.key("binary").encode()
        ),
        "reason": Answer(
            200,
            JSON,
            json.dumps(
                {
                    "choices": [
                        {"message": {"content": "x"}, "finish_reason": canaries.key("reason")}
                    ]
                }
            ).encode(),
        ),
    }


def settings(backend: Backend, canaries: Canaries, folder: Path, broker: str) -> Settings:
    record = {
        "payload": "full",
        "headers": ["x-team", "x-patient", "user-agent"],
        "redact": {
            "pointers": ["/user", "/metadata/patient", "/messages/*/name"],
            "headers": ["x-patient"],
            "patterns": ["secrets", "email", "card", "iban"],
        },
    }
    log: Settings = {
        "segment": {"size": "1MiB", "age": "1s"},
        "objects": {"url": f"file://{folder / 'state' / 'objects'}"},
        "stdout": True,
    }
    if broker:
        topics = {"topic": new_topic("secrets"), "feedback_topic": new_topic("feedback")}
        log["kafka"] = {"bootstrap": [broker], "create": {"partitions": 1}, **topics}
    table = {
        "mini": openai_backend(
            backend,
            api_key="${BACKEND_KEY}",
            headers={"x-api-key": "${BACKEND_HEADER}"},
            breaker={"consecutive": 0, "failure_share": "100%"},
        )
    }
    routes = {
        "chat": route(
            "mini",
            record={**record, "max": "32KiB"},
            retry={"attempts": 1},
            fallback=["unavailable"],
        )
    }
    return configuration(table, routes, log=log, admin={"token": "${ADMIN_TOKEN}"})


def environ(canaries: Canaries) -> dict[str, str]:
    return {
        "BACKEND_KEY": canaries.key("api_key of the configuration"),
        "BACKEND_HEADER": canaries.lot("header of the configuration"),
        "ADMIN_TOKEN": canaries.lot("token of the configuration"),
    }


def prompt(canaries: Canaries, word: str, **more: object) -> dict[str, object]:
    secret = canaries.key(f"prompt {word}")
    spelled = "".join(f"\\u{ord(one):04x}" for one in canaries.key(f"spelled {word}"))
    name = canaries.lot(f"pointer with star {word}")
    text = (
        f"{PLAIN_WORDS} {secret} https://me:{canaries.lot(f'url {word}')}@db.test/ {spelled} {word}"
    )
    return {
        "model": "chat",
        "user": canaries.lot(f"pointer {word}"),
        "metadata": {"patient": {"id": canaries.lot(f"deep pointer {word}")}},
        "password": canaries.lot(f"member {word}"),
        "messages": [{"role": "user", "name": name, "content": text}],
        **more,
    }


class Asking:
    """A client that plants canaries; counts what it asked."""

    def __init__(self, gateway: GatewayProcess, canaries: Canaries) -> None:
        self._gateway = gateway
        self._canaries = canaries
        self.count = 0

    def __call__(
        self, method: str, target: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> Response:
        self.count += 1
        lot, number = self._canaries.lot, self.count
        fields = {
            "authorization": f"Bearer {lot(f'authorization {number}')}",
            "cookie": f"sid={lot(f'cookie {number}')}",
            "x-api-key": lot(f"x-api-key {number}"),
            "x-session-token": lot(f"header not recorded {number}"),
            "x-team": f"blue password={lot(f'header recorded {number}')}",
            "x-patient": lot(f"header redacted {number}"),
            "user-agent": f"client/1 {self._canaries.key(f'user-agent {number}')}",
            "referer": f"https://x.test/?token={lot(f'referer {number}')}",
            "x-forwarded-for": lot(f"forwarded {number}"),
            "content-type": "application/json",
            **(headers or {}),
        }
        with self._gateway.connect() as client:
            return client.request(method, target, body, headers=list(fields.items()))

    def chat(self, word: str, **more: object) -> Response:
        query = f"?api_key={self._canaries.key(f'query {word}')}"
        body = json.dumps(prompt(self._canaries, word, **more)).encode()
        return self("POST", f"/v1/chat/completions{query}", body)


def ask_everything(gateway: GatewayProcess, canaries: Canaries) -> int:
    """All requests; how many records they must have."""
    ask = Asking(gateway, canaries)
    for word in ("whole", "refused", "failed", "model", "reason", "binary"):
        ask.chat(word)
    assert ask.chat("stream", stream=True).status == 200
    key = canaries.key
    ask("POST", "/v1/chat/completions", json.dumps({"model": key("unknown model")}).encode())
    ask("POST", "/v1/chat/completions", b'{"model": "chat", "x": "' + key("malformed").encode())
    ask("GET", f"/v1/{key('unknown path')}/x?token={canaries.lot('unknown query')}")
    ask("GET", f"/v1/models/{key('model in path')}")
    ask("GET", f"/{quote('password=' + canaries.lot('quoted path'))}")
    form = f"prompt=x&password={canaries.lot('form')}".encode()
    ask(
        "POST",
        "/v1/chat/completions",
        form,
        {"content-type": "application/x-www-form-urlencoded"},
    )
    ids = {
        "x-correlation-id": key("correlation id"),
        "tracestate": f"v={canaries.lot('tracestate')}",
        "x-gateway-timeout": canaries.lot("override"),
        "idempotency-key": key("idempotency key"),
    }
    ask("POST", "/v1/chat/completions", json.dumps(prompt(canaries, "whole ids")).encode(), ids)
    return ask.count


def give_feedback(gateway: GatewayProcess, canaries: Canaries) -> None:
    signal = {
        "request_id": "0199-unknown",
        "signal": "comment",
        "comment": f"{PLAIN_WORDS}, but it told me {canaries.key('comment')}",
        "source": f"app password={canaries.lot('source')}",
    }
    with gateway.connect() as client:
        client.post_json("/v1/feedback", signal)


def everything_the_admin_port_says(
    gateway: GatewayProcess, token: str
) -> Iterator[tuple[str, bytes]]:
    """Each page of the admin API that can be asked without knowing a name, and the metrics."""

    def get(path: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(*gateway.admin_address, timeout=10)
        with contextlib.closing(connection):
            connection.request("GET", path, headers={"authorization": f"Bearer {token}"})
            answer = connection.getresponse()
            return answer.status, answer.read()

    status, body = get("/api/v1/openapi.json")
    assert status == 200, body
    paths = [path for path, what in json.loads(body)["paths"].items() if "get" in what]
    names = {"{name}": "chat", "{id}": "0199-unknown", "{request_id}": "0199-unknown"}
    for path in [*paths, "/metrics", "/"]:
        for placeholder, name in names.items():
            path = path.replace(placeholder, name)  # noqa: PLW2901
        yield f"GET {path}", get(path)[1]


def everything_on_disk(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Each file, as it is and as those read it who know its format."""
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.is_socket():
            continue
        name = str(path.relative_to(folder))
        yield name, path.read_bytes()
        if path.suffix == ".parquet":
            yield f"{name} (rows)", parquet_rows(path)
        elif path.suffix == ".zst":
            yield f"{name} (plain)", unpacked(path)
        elif path.suffix in {".sqlite", ".db"}:
            yield f"{name} (dump)", dump_of(path)


def parquet_rows(path: Path) -> bytes:
    with duckdb.connect() as database:
        rows = database.execute("select * from read_parquet(?)", [str(path)]).fetchall()
    return repr(rows).encode()


def unpacked(path: Path) -> bytes:
    with path.open("rb") as file, zstandard.ZstdDecompressor().stream_reader(file) as reader:
        data: bytes = reader.read()
    return data


def dump_of(path: Path) -> bytes:
    with contextlib.closing(sqlite3.connect(path)) as database:
        return "\n".join(database.iterdump()).encode("utf-8", "replace")


def records_in(folder: Path) -> list[dict[str, object]]:
    """The records that the store has."""
    found = []
    for path in sorted((folder / "state" / "store").rglob("*.parquet")):
        with duckdb.connect() as database:
            table = database.read_parquet(str(path))
            rows = table.select("line").fetchall() if "line" in table.columns else []
        found += [json.loads(line) for (line,) in rows]
    return found


async def messages_of(broker: str, topics: list[str], count: int) -> list[bytes]:
    """Keys, values and headers of what is in the topics."""
    consumer = AIOKafkaConsumer(
        *topics, bootstrap_servers=broker, auto_offset_reset="earliest", enable_auto_commit=False
    )
    await consumer.start()
    found: list[bytes] = []
    try:
        async with asyncio.timeout(RECORDED_S):
            while len(found) < count:
                got = await consumer.getmany(timeout_ms=500)
                for message in (one for batch in got.values() for one in batch):
                    headers = b" ".join(
                        name.encode() + b"=" + value for name, value in message.headers
                    )
                    found.append(b" ".join((message.key or b"", message.value or b"", headers)))
    finally:
        await consumer.stop()
    return found


@pytest.fixture
def canaries() -> Canaries:
    return Canaries()


@pytest.fixture
def backend(make_backend: MakeBackend, canaries: Canaries) -> Backend:
    table = answers(canaries)

    def answer(received: Received) -> Answer | Stream:
        words = received.body.split(b'"}')[0].split() or [b"whole"]
        return table.get(words[-1].decode("latin-1"), table["whole"])

    return make_backend("mini", plays(answer))


def run(
    backend: Backend, canaries: Canaries, folder: Path, broker: str = ""
) -> Iterator[tuple[str, bytes]]:
    """Ask everything; what the gateway said, left and would answer."""
    made = settings(backend, canaries, folder, broker)
    secrets = environ(canaries)
    with LoudGateway(made, folder, environ=secrets) as gateway:
        asked = ask_everything(gateway, canaries)
        give_feedback(gateway, canaries)
        until(lambda: gateway.log().count('"kind":"') >= asked, RECORDED_S, gateway.log)
        yield from everything_the_admin_port_says(gateway, secrets["ADMIN_TOKEN"])
        if broker:
            topics = [made["log"]["kafka"]["topic"], made["log"]["kafka"]["feedback_topic"]]
            for number, message in enumerate(asyncio.run(messages_of(broker, topics, asked + 1))):
                yield f"message {number}", message
    yield "output of the processes", gateway.log().encode()
    yield from everything_on_disk(folder)
    check_that_something_was_recorded(records_in(folder), asked)


def check_that_something_was_recorded(records: list[dict[str, object]], asked: int) -> None:
    """A log without anything in it would pass as well."""
    text = json.dumps(records)
    requests = [record for record in records if record["kind"] != "feedback"]
    assert len(requests) == asked
    assert text.count(PLAIN_WORDS) > 12
    assert text.count("[redacted:secrets]") > 20
    assert text.count("[redacted]") > 20
    assert '"x-team": "blue password=[redacted:secrets]"' in text
    assert '"x-patient": "[redacted]"' in text


def leaks_in(canaries: Canaries, parts: Iterator[tuple[str, bytes]]) -> dict[str, list[str]]:
    """Where each canary was found."""
    found: dict[str, list[str]] = {}
    for name, data in parts:
        for place in canaries.leaks(data):
            found.setdefault(place, []).append(name)
    return found


def test_no_secret_is_left_anywhere(backend: Backend, canaries: Canaries, tmp_path: Path) -> None:
    assert leaks_in(canaries, run(backend, canaries, tmp_path)) == {}
    assert len(canaries.planted) > 150


def test_no_secret_is_in_kafka(
    backend: Backend, canaries: Canaries, tmp_path: Path, kafka: Address
) -> None:
    assert leaks_in(canaries, run(backend, canaries, tmp_path, kafka.plain)) == {}


def test_encrypted_payloads_are_nowhere_in_plain(
    backend: Backend, canaries: Canaries, tmp_path: Path
) -> None:
    """Neither the words that nobody takes out, nor the key."""
    made = settings(backend, canaries, tmp_path, "")
    key = base64.b64encode(bytes(range(7, 39))).decode()
    made["log"]["encryption"] = {"key": "${PAYLOAD_KEY}"}
    secrets = {**environ(canaries), "PAYLOAD_KEY": key}
    with LoudGateway(made, tmp_path, environ=secrets) as gateway:
        Asking(gateway, canaries).chat("whole")
        until(lambda: '"kind":"' in gateway.log(), RECORDED_S, gateway.log)
    left = [*everything_on_disk(tmp_path), ("output", gateway.log().encode())]
    for name, data in left:
        assert PLAIN_WORDS.encode() not in data, name
        assert key.encode() not in data, name
    assert any(b'"type":"encrypted","body":"gcm1' in data for _, data in left)


# What clients call themselves and their requests is recorded as such, unless it is a secret.
NAMES: dict[str, Callable[[Asking, str], object]] = {
    "request id": lambda ask, key: ask("GET", "/v1/models", b"", {"x-request-id": key}),
    "method": lambda ask, key: ask(key, "/v1/chat/completions"),
    "user": lambda ask, key: ask(
        "POST", "/v1/chat/completions", json.dumps({"model": "plain", "user": key}).encode()
    ),
    "user of a header": lambda ask, key: ask(
        "POST", "/v1/chat/completions", b'{"model": "plain", "messages": []}', {"x-user": key}
    ),
}


@pytest.mark.parametrize("name", NAMES)
def test_secret_as_a_name_is_not_recorded(
    name: str, backend: Backend, canaries: Canaries, tmp_path: Path
) -> None:
    made = settings(backend, canaries, tmp_path, "")
    made["log"]["user_header"] = "x-user"
    made["routes"]["plain"] = route("mini")
    with LoudGateway(made, tmp_path, environ=environ(canaries)) as gateway:
        NAMES[name](Asking(gateway, canaries), canaries.key(name))
        until(lambda: '"kind":"' in gateway.log(), RECORDED_S, gateway.log)
    assert leaks_in(canaries, everything_on_disk(tmp_path)) == {}


def test_search_finds_a_canary_that_is_there(canaries: Canaries, tmp_path: Path) -> None:
    """The search itself: plain, in part, in base64, in Parquet and compressed."""
    key = canaries.key("here").encode()
    canaries.key("elsewhere")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "plain").write_bytes(b"x" + key[:-3])
    (tmp_path / "base64").write_bytes(base64.b64encode(b"some text " + key + b" more"))
    (tmp_path / "packed.zst").write_bytes(zstandard.compress(b"text " + key))
    with duckdb.connect() as database:
        query = f"copy (select '{key.decode()}' as line from range(9)) to '{tmp_path}/x.parquet'"
        database.execute(query)
    found = leaks_in(canaries, everything_on_disk(tmp_path))
    assert found.keys() == {"here"}
    assert {"a/plain", "base64", "packed.zst (plain)", "x.parquet (rows)"} <= set(found["here"])
