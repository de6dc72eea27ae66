"""Request bodies too long to keep: relayed as they come, in the framing the head promised."""

from typing import Any

import pytest

from tests.support.messages import STREAM_HEAD, answer, chunk
from tests.support.stage import Client, Server, Settings, Stage, echoing

LIMITS = {"replay": "16B", "hold": "64B", "body": "1KiB"}
HEAD = b"POST /echo HTTP/1.1\r\nhost: a\r\n"
SMUGGLED = b"GET /readyz HTTP/1.1\r\nhost: evil\r\n\r\n"


def uploading(top: Settings | None = None, **route: Any) -> Stage:
    return Stage(echoing(limits=LIMITS, top=top, **route))


def begun(stage: Stage, first: bytes = b"x" * 20, length: int = 60) -> tuple[Client, Server]:
    return stage.asked(HEAD + b"content-length: %d\r\n\r\n" % length + first)


def body_so_far(server: Server) -> bytes:
    return server.heard.partition(b"\r\n\r\n")[2]


def test_a_short_body_is_kept_until_it_is_whole() -> None:
    stage = uploading()
    client = stage.client()
    client.ask(HEAD + b"content-length: 16\r\n\r\n", b"x" * 15)
    assert not stage.dials
    client.send(b"x")
    stage.server().answer()
    assert client.answer().status == 200
    stage.end()


def test_a_long_body_is_relayed_with_its_length() -> None:
    stage = uploading()
    client, server = begun(stage)
    assert server.fields()["content-length"] == "60"
    assert body_so_far(server) == b"x" * 20
    client.send(b"y" * 30)
    assert body_so_far(server) == b"x" * 20 + b"y" * 30
    client.send(b"z" * 10)
    assert server.request()[1] == b"x" * 20 + b"y" * 30 + b"z" * 10
    server.answer({"ok": 1})
    assert client.answer().json == {"ok": 1}
    assert server.is_open, "a whole answer to a whole request: it is used again"
    client.ask(b"GET /readyz HTTP/1.1\r\nhost: a\r\n\r\n")
    assert [each.status for each in client.answers()] == [200, 200]
    stage.end()


@pytest.mark.parametrize("cut", [1, 7, 1000])
def test_a_long_chunked_body_is_relayed_in_chunks(cut: int) -> None:
    stage = uploading()
    body = b"".join(bytes([65 + n]) * 13 for n in range(9))
    coded = chunk(body[:50]) + b"1f;ext=1\r\n" + body[50:81] + b"\r\n" + chunk(body[81:])
    data = HEAD + b"transfer-encoding: chunked\r\n\r\n" + coded + b"0\r\nx-trailer: 1\r\n\r\n"
    client = stage.client()
    client.methods.append("POST")
    server = None
    for at in range(0, len(data), cut):
        if stage.dials:
            server = stage.server()
        if client.reads():
            client.send(data[at : at + cut])
    server = server or stage.server()
    assert server.fields()["transfer-encoding"] == "chunked"
    assert server.request()[1] == body
    assert b"x-trailer" not in server.heard
    server.answer()
    assert client.answer().status == 200
    stage.end()


def test_the_client_waits_until_there_is_somebody_to_send_to() -> None:
    stage = uploading()
    client = stage.client()
    client.ask(HEAD + b"content-length: 60\r\n\r\n" + b"x" * 20)
    assert not client.reads()
    stage.server()
    assert client.reads()


def test_a_slow_backend_slows_its_client() -> None:
    stage = uploading()
    client, server = begun(stage)
    server.stall()
    assert not client.reads()
    server.drink()
    assert client.reads()


def test_the_body_counts_only_while_it_is_held() -> None:
    stage = uploading()
    client, server = begun(stage)
    assert stage.worker.buffered_bytes == 20
    client.send(b"x" * 40)
    assert stage.worker.buffered_bytes == 20
    server.answer()
    stage.end()


def test_nothing_is_retried() -> None:
    stage = uploading(retry={"attempts": 3})
    client, server = begun(stage)
    server.reset()
    assert not stage.dials
    assert client.answer().status == 502
    assert client.is_ended, "the rest of the body is still to come"
    stage.wait(3)
    stage.end()


@pytest.mark.parametrize("coded", [False, True])
def test_an_answer_before_the_bodys_end_closes_the_connection(coded: bool) -> None:
    stage = uploading()
    framing = b"transfer-encoding: chunked\r\n\r\n" if coded else b"content-length: 60\r\n\r\n"
    client, server = stage.asked(HEAD + framing + (chunk(b"x" * 20) if coded else b"x" * 20))
    server.answer({"error": "too much"}, 413)
    assert client.answer().status == 413
    assert client.answer().fields["connection"] == "close"
    client.send(SMUGGLED + b"    ")
    assert client.heard.count(b"HTTP/1.1") == 1
    assert not server.is_open, "half a request was sent over it"
    stage.wait(3)
    assert not client.is_open
    stage.end()


@pytest.mark.parametrize("step", [{"rule": {"body": "held"}}, "unavailable"])
def test_a_fallback_before_the_bodys_end_closes_the_connection(step: object) -> None:
    stage = uploading(fallback=[step])
    client = stage.client()
    client.ask(HEAD + b"content-length: 60\r\n\r\n" + b"x" * 20)
    stage.no_server()
    assert client.answer().fields["connection"] == "close"
    client.send(SMUGGLED)
    assert client.heard.count(b"HTTP/1.1") == 1
    stage.wait(3)
    stage.end()


def test_a_backend_fallback_is_no_way_out_of_an_upload() -> None:
    spare = {"protocol": "http", "url": "http://spare.test"}
    settings = echoing(limits=LIMITS, fallback=[{"backend": "spare"}])
    settings["backends"]["spare"] = spare
    stage = Stage(settings)
    client = stage.client()
    client.ask(HEAD + b"content-length: 60\r\n\r\n" + b"x" * 20)
    stage.no_server()
    assert client.answer().status == 502
    assert "x-gateway-fallback" not in client.answer().fields
    stage.wait(3)
    stage.end()


def test_a_body_beyond_the_limit_is_refused_before_it_comes() -> None:
    stage = uploading()
    client = stage.client()
    client.ask(HEAD + b"content-length: 1025\r\nexpect: 100-continue\r\n\r\n")
    assert client.answer().status == 413
    stage.wait(3)
    stage.end()


def test_a_chunk_beyond_the_limit_is_refused_as_it_is_announced() -> None:
    stage = uploading()
    client = stage.client()
    client.ask(HEAD + b"transfer-encoding: chunked\r\n\r\n401\r\n")
    assert client.answer().status == 413
    stage.wait(3)
    stage.end()


@pytest.mark.parametrize("rest", [b"zz\r\n", b"3e8\r\n"])
def test_a_relayed_body_that_goes_wrong_is_refused_and_never_ended(rest: bytes) -> None:
    stage = uploading()
    client, server = stage.asked(HEAD + b"transfer-encoding: chunked\r\n\r\n" + chunk(b"x" * 100))
    client.send(rest)
    assert client.answer().status in (400, 413)
    assert not server.is_open
    assert not server.heard.endswith(b"0\r\n\r\n")
    stage.wait(3)
    stage.end()


def relayed(stage: Stage) -> tuple[Client, Server]:
    """Body and answer under way at the same time."""
    client, server = stage.asked(HEAD + b"transfer-encoding: chunked\r\n\r\n" + chunk(b"x" * 20))
    server.send(answer(b"y" * 200)[:-50])
    assert b"200 OK" in client.heard
    return client, server


def test_a_body_that_goes_wrong_after_the_answer_began_breaks_it_off() -> None:
    stage = uploading()
    client, server = relayed(stage)
    client.send(b"zz\r\n")
    assert not client.is_open
    assert not client.answer().is_whole
    assert not server.is_open
    stage.end()


def test_a_body_that_comes_too_slowly_after_the_answer_began_breaks_it_off() -> None:
    stage = uploading(top={"limits": {"body_grace": "1s", "body_rate": "1KiB"}})
    client, _server = relayed(stage)
    client.stall()
    stage.wait(5)
    assert not client.is_open
    assert not client.answer().is_whole
    stage.end()


def test_a_client_that_is_closed_and_does_not_read_is_cut_in_the_end() -> None:
    """Its body is still to come, its answer is broken, its transport cannot flush."""
    stage = uploading()
    client, server = relayed(stage)
    client.stall()
    stage.is_holding = True
    server.reset()
    stage.wait(5)
    stage.assert_sound()
    stage.is_holding = False
    stage.event()
    assert not client.is_open
    stage.end()


def test_an_answer_that_ends_before_the_body_leaves_no_way_on() -> None:
    stage = uploading()
    client, server = relayed(stage)
    server.send(b"y" * 50)
    assert client.answer().is_whole
    client.send(b"0\r\n\r\n" + SMUGGLED)
    assert client.heard.count(b"HTTP/1.1") == 1
    stage.wait(3)
    stage.end()


def test_a_stream_may_answer_an_upload_while_it_comes() -> None:
    stage = uploading()
    client, server = begun(stage)
    server.send(STREAM_HEAD, chunk(b"data: 1\n\n"))
    client.send(b"x" * 40)
    server.send(chunk(b"data: 2\n\n"), b"0\r\n\r\n")
    assert client.answer().body == b"data: 1\n\ndata: 2\n\n"
    assert client.answer().is_whole
    stage.end()


def test_who_leaves_during_an_upload_is_counted() -> None:
    stage = uploading()
    client, server = begun(stage)
    client.leave()
    assert not server.is_open
    assert stage.outcomes("echo") == {"client_closed": 1}
    stage.end()


@pytest.mark.parametrize("protocol", ["http", "kserve"])
def test_who_leaves_before_it_is_known_what_he_wants_is_counted_once(protocol: str) -> None:
    backend = {"protocol": protocol, "url": "http://m.test"}
    stage = Stage({"backends": {"m": backend}, "routes": {"m": {"backends": ["m"]}}})
    path = b"/v2/models/m/infer" if protocol == "kserve" else b"/v1/models/m:predict"
    client = stage.client()
    client.ask(b"POST %b HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nabc" % path)
    client.leave()
    stage.end()
