"""WebSocket: the upgrade, the bytes that follow it both ways, and the ends of a tunnel."""

import re

import pytest

from tests.support.stage import Client, Server, Stage, echoing

UPGRADE = (
    b"GET /echo HTTP/1.1\r\nhost: a\r\nconnection: keep-alive, Upgrade\r\nupgrade: websocket\r\n"
    b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n"
)
SWITCHED = (
    b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
    b"sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)


def tunnel(*, early: bytes = b"", first: bytes = b"") -> tuple[Stage, Client, Server]:
    stage = Stage(echoing(websocket=True))
    client = stage.client()
    client.send(UPGRADE)
    server = stage.server()
    if early:
        client.send(early)
    server.send(SWITCHED + first)
    return stage, client, server


def test_an_upgrade_is_asked_for_and_told() -> None:
    _, client, server = tunnel()
    fields = server.fields()
    assert (fields["connection"], fields["upgrade"]) == ("upgrade", "websocket")
    assert fields["sec-websocket-key"] == "dGhlIHNhbXBsZSBub25jZQ=="
    head, _, rest = client.heard.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
    lines = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:])
    assert lines[b"sec-websocket-accept"] == b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    assert all(re.fullmatch(rb"[a-z-]+", name) for name in lines)
    assert rest == b""


def test_bytes_flow_both_ways_and_none_is_lost_around_the_switch() -> None:
    stage, client, server = tunnel(early=b"early ", first=b"hello ")
    client.send(b"to server")
    server.send(b"to client")
    assert client.heard.endswith(b"\r\n\r\nhello to client")
    assert server.heard.endswith(b"\r\n\r\nearly to server")
    client.leave()
    assert not server.is_open
    assert stage.outcomes("echo") == {"ok": 1}
    assert stage.row("echo")["statuses"][1] == 1
    stage.end()


@pytest.mark.parametrize("side", ["client", "server"])
def test_who_reads_slowly_slows_the_other(side: str) -> None:
    _, client, server = tunnel()
    slow, other = (client, server) if side == "client" else (server, client)
    slow.stall()
    assert not other.reads()
    slow.drink()
    assert other.reads()


@pytest.mark.parametrize("how", ["leave", "reset"])
@pytest.mark.parametrize("side", ["client", "server"])
def test_a_tunnel_ends_on_both_sides(side: str, how: str) -> None:
    stage, client, server = tunnel()
    getattr(client if side == "client" else server, how)()
    assert not client.is_open
    assert not server.is_open
    stage.end()


def test_a_tunnel_outlives_the_deadline() -> None:
    stage = Stage(echoing(websocket=True, timeout={"total": "1s"}))
    client = stage.client()
    client.send(UPGRADE)
    server = stage.server()
    server.send(SWITCHED)
    stage.wait(100)
    client.send(b"still")
    assert server.heard.endswith(b"still")


def test_a_backend_may_refuse_the_upgrade() -> None:
    stage = Stage(echoing(websocket=True))
    client, server = stage.asked(UPGRADE)
    server.answer({"error": "no"}, 403)
    assert client.answer().status == 403
    stage.end()


@pytest.mark.parametrize("protocol", [b"h2c", b"TLS/1.0", b"foo"])
def test_another_upgrade_is_refused_and_closed(protocol: bytes) -> None:
    stage = Stage(echoing(websocket=True))
    client = stage.client()
    client.ask(UPGRADE.replace(b"websocket\r\n", protocol + b"\r\n", 1) + b"PRI * HTTP/2.0\r\n")
    assert client.answer().status == 400
    assert client.is_ended


def test_a_route_without_websockets_refuses_them() -> None:
    stage = Stage(echoing())
    client = stage.client()
    client.ask(UPGRADE)
    assert client.answer().status == 400
    stage.wait(3)
    stage.end()
