"""Stub backends are checked by clients that share no code with them: httpx, h11, openai."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from tests.support import faults
from tests.support.answers import JSON, Answer, Stream, always, echo, plays
from tests.support.backends import Backend
from tests.support.certificates import Authority
from tests.support.json_models import JSONModel, KServeModel
from tests.support.openai_model import OpenAIModel
from tests.support.raw_client import RawClient, Truncated, request_bytes
from tests.support.script import Answerer, AwaitBody, Close, Reset, Send
from tests.support.waiting import until

OK = always(Answer(200, JSON, b'{"ok": true}'))
STREAM = always(Stream((b"data: 1\n\n", b"data: 2\n\n", b"data: 3\n\n")))


def test_requests_on_one_connection_are_recorded_in_order() -> None:
    with Backend(plays(echo)) as backend, RawClient(backend.address) as client:
        assert client.request("POST", "/a?b=1", b"one").body == b"one"
        assert client.request("PUT", "/c", b"two").body == b"two"
        seen = [(r.method, r.target, r.body, r.connection, r.number) for r in backend.received]
        assert seen == [("POST", "/a?b=1", b"one", 0, 0), ("PUT", "/c", b"two", 0, 1)]
        assert backend.violations == []


def test_pipelined_requests_are_answered_in_order() -> None:
    with Backend(plays(echo)) as backend, RawClient(backend.address) as client:
        client.send(request_bytes("POST", "/1", b"a") + request_bytes("POST", "/2", b"b"))
        assert [client.read_response().body for _ in range(2)] == [b"a", b"b"]


def test_malformed_request_is_recorded_as_a_violation() -> None:
    with Backend(plays(OK)) as backend, RawClient(backend.address) as client:
        client.send(b"GET / HTTP/1.1\nHost a\n\n")
        assert client.is_closed()
        assert len(backend.violations) == 1


def test_head_request_gets_a_head_without_a_body() -> None:
    with Backend(plays(OK)) as backend, RawClient(backend.address) as client:
        assert client.request("HEAD", "/").header("content-length") == "12"
        assert client.request("GET", "/").body == b'{"ok": true}'


@pytest.mark.parametrize(
    "answer",
    [
        faults.reset_before_head(),
        faults.close_before_head(),
        faults.end_mid_head(OK, Reset()),
        faults.end_after_head(OK, Close()),
        faults.end_mid_body(OK, Reset()),
        faults.end_mid_stream(STREAM, 1, Reset()),
        faults.short_body(OK),
        faults.malformed_chunk(STREAM),
        faults.missing_terminator(STREAM),
        faults.wire(b"\x16\x03\x01 this is not HTTP\r\n\r\n", Close()),
    ],
)
def test_broken_answer_is_seen_as_broken_by_a_strict_client(answer: Answerer) -> None:
    with Backend(answer) as backend, RawClient(backend.address) as client:
        client.send(request_bytes("GET", "/"))
        with pytest.raises((Truncated, ConnectionResetError)):
            client.read_response()


@pytest.mark.parametrize(
    "answer,body",
    [
        (faults.http10(OK), b'{"ok": true}'),
        (faults.until_close(OK), b'{"ok": true}'),
        (faults.interim(OK, b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"), b'{"ok": true}'),
        (faults.trickle(OK, 1, 0.0), b'{"ok": true}'),
        (faults.huge_head(OK, 50, 200), b'{"ok": true}'),
        (faults.without_done(STREAM), b"data: 1\n\ndata: 2\n\n"),
        (faults.after(0.01, plays(OK)), b'{"ok": true}'),
        (plays(STREAM), b"data: 1\n\ndata: 2\n\ndata: 3\n\n"),
    ],
)
def test_odd_but_legal_answer_is_read_whole_by_a_strict_client(
    answer: Answerer, body: bytes
) -> None:
    with Backend(answer) as backend, RawClient(backend.address) as client:
        assert client.request("GET", "/").body == body


def test_extra_bytes_follow_the_answer_in_the_same_connection() -> None:
    answer = faults.extra_bytes(OK, b"HTTP/1.1 200 OK\r\n\r\n")
    with Backend(answer) as backend, RawClient(backend.address) as client:
        assert client.request("GET", "/").body == b'{"ok": true}'
        assert client.rest.startswith(b"HTTP/1.1 200")


def test_gzip_answer_is_decoded_by_httpx() -> None:
    with Backend(faults.zipped(OK)) as backend:
        assert httpx.get(backend.url).json() == {"ok": True}


def test_schedules_choose_by_count_and_by_turn() -> None:
    answer = faults.counted(2, faults.status(500), faults.status(429, (("retry-after", "1"),)))
    with Backend(answer) as backend, RawClient(backend.address) as client:
        assert [client.request("GET", "/").status for _ in range(4)] == [500, 500, 429, 429]


def test_early_answer_is_sent_before_the_body_arrived() -> None:
    answer: Answerer = lambda _: [Send(Answer(413).wire()), AwaitBody()]  # noqa: E731
    with Backend(answer, early=True) as backend, RawClient(backend.address) as client:
        client.send(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\n")
        assert client.read_response().status == 413
        assert not backend.received[0].is_complete


def test_peer_that_leaves_is_noticed_while_the_answer_is_pending() -> None:
    with Backend(faults.never()) as backend:
        with RawClient(backend.address) as client:
            client.send(request_bytes("GET", "/"))
            until(lambda: bool(backend.received))
        until(lambda: backend.received[0].abandoned_at > 0)


def test_killed_backend_refuses_connections_until_revived() -> None:
    with Backend(plays(OK)) as backend:
        backend.kill()
        with pytest.raises(ConnectionRefusedError):
            RawClient(backend.address)
        backend.revive()
        with RawClient(backend.address) as client:
            assert client.request("GET", "/").status == 200


def test_tls_backend_records_the_server_name(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with Backend(plays(OK), tls=authority.server_context("model.test", "127.0.0.1")) as backend:
        context = authority.client_context()
        with RawClient(backend.address, tls=context, server_name="model.test") as client:
            assert client.request("GET", "/").status == 200
        assert backend.server_names == ["model.test"]


def test_openai_client_reads_every_operation_of_the_stub() -> None:
    asked: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    with (
        Backend(plays(OpenAIModel("m"))) as backend,
        openai.OpenAI(api_key="k", base_url=backend.url + "/v1") as client,
    ):
        chat = client.chat.completions.create(**asked)
        assert chat.choices[0].message.content == "m w1 w2 w3"
        stream = client.chat.completions.create(**asked, stream=True)
        text = "".join(part.choices[0].delta.content or "" for part in stream)
        assert text == "m w1 w2 w3"
        vector = client.embeddings.create(model="m", input="four").data[0].embedding
        assert vector == [4.0, 0.5, -1.0]
        assert client.responses.create(model="m", input="x").output_text == "m w1 w2 w3"
        assert client.models.list().data[0].id == "m"


def test_json_and_v2_models_compute() -> None:
    with Backend(plays(JSONModel())) as backend:
        asked = {"instances": [[1, 2], [3, 4]]}
        got = httpx.post(backend.url + "/v1/models/m:predict", json=asked).json()
        assert got["predictions"] == [3, 7]
    with Backend(plays(KServeModel())) as backend:
        tensor = {"name": "INPUT0", "datatype": "FP32", "shape": [2], "data": [1.5, 2.0]}
        got = httpx.post(backend.url + "/v2/models/m/infer", json={"inputs": [tensor]}).json()
        assert got["outputs"][0]["data"] == [3.0, 4.0]
