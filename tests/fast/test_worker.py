import asyncio

import pytest

from gateway._fast import Board, Upstream, Worker, monotonic_ns
from tests.support.messages import chat
from tests.support.stage import START_NS, Loop, Stage, serving


def test_a_worker_counts_what_found_no_route() -> None:
    stage = Stage(serving("a"))
    for path in ("/nowhere", "/none"):
        stage.client().ask(f"GET {path} HTTP/1.1\r\nhost: a\r\n\r\n".encode())
    stage.client().ask(chat(model="none"))
    stage.client().ask(b"\0")
    assert stage.refusals() == {"no_path": 2, "no_route": 1, "bad_request": 1}
    assert stage.worker.in_flight == 0


def test_connections_and_requests_are_counted() -> None:
    stage = Stage(serving("a"))
    first, _ = stage.asked()
    stage.client()
    assert (stage.worker.connections, stage.worker.in_flight) == (2, 1)
    first.leave()
    assert (stage.worker.connections, stage.worker.in_flight) == (1, 0)
    stage.end()


def test_a_defect_in_a_callback_is_counted_told_and_ends_its_connection_alone() -> None:
    stage = Stage(serving("a"))
    client, server = stage.asked()
    other = stage.client()
    with pytest.raises(TypeError):
        server.peer.data_received("no bytes")
    client.transport.write = fail  # type: ignore[assignment]
    server.answer()
    assert stage.worker.errors == len(stage.loop.errors) == 1
    assert not client.is_open
    other.ask(chat())
    assert not stage.dials  # the backend's connection was given back before
    server.answer()
    assert other.answer().status == 200
    assert stage.worker.in_flight == 0


def fail(_: bytes) -> None:
    raise RuntimeError


def test_time_is_its_own_while_a_test_holds_it() -> None:
    worker = Worker(Loop(), Board.create(1, 4, 4), 0, now_ns=START_NS)
    assert worker.wheel.now_ns == START_NS
    free = Worker(Loop(), Board.create(1, 4, 4), 0)
    assert free.wheel.now_ns <= monotonic_ns()
    assert free.slot == 0
    assert isinstance(free.loop, Loop)


def test_a_seed_makes_every_choice_again() -> None:
    def choices(seed: int) -> list[str]:
        stage = Stage(serving("a", "b", "c", policy="weighted"), seed=seed)
        for _ in range(30):
            stage.client().ask(chat())
        return [backend.name for backend in stage.dials]

    assert choices(7) == choices(7)
    assert choices(7) != choices(8)


def test_what_it_makes_are_protocols_of_asyncio() -> None:
    stage = Stage(serving("a"))
    client, server = stage.asked()
    for peer in (client.peer, server.peer):
        assert not isinstance(peer, asyncio.BufferedProtocol)
        for name in ("connection_made", "data_received", "eof_received", "connection_lost"):
            assert callable(getattr(peer, name))
        for name in ("pause_writing", "resume_writing"):
            assert callable(getattr(peer, name))
    assert isinstance(server.peer, Upstream)
    assert server.peer.made
    assert "Upstream a" in repr(server.peer)
    assert "Downstream" in repr(client.peer)


def test_a_lame_duck_serves_on_and_closes_after_each_answer() -> None:
    stage = Stage(serving("a"))
    client = stage.client()
    client.ask(chat())
    stage.worker.lame_duck()
    assert stage.worker.draining
    stage.serve()
    assert client.answer().fields["connection"] == "close"
    late = stage.client()
    late.ask(chat())
    stage.serve()
    assert late.answer().status == 200
    assert late.is_ended
