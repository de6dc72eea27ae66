"""Both ends of the link in one loop, and raw sockets that misbehave."""

import asyncio
import contextlib
import stat
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import ConfigError, Problem
from gateway.link import LENGTH_BYTES, MAX_FRAME_BYTES, LinkClient, LinkError, LinkServer, frame
from gateway.link import read_message as read
from gateway.messages import Applied, Declined, Draining, FromWorker, Hello, Offer, Places

WAIT_S = 5.0


def offer(generation: int, text: str = "routes: {}") -> Offer:
    return Offer(hash=f"h{generation}", text=text, places=Places(), generation=generation)


def hello(generation: int = 1, slot: int = 0) -> Hello:
    return Hello(
        slot=slot, seat=slot, pid=4711 + slot, hash=f"h{generation}", generation=generation
    )


async def until(is_true: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT_S):
        while not is_true():
            await asyncio.sleep(0.005)


class FakeWorker:
    """A link's end that remembers what it took, or declines everything."""

    def __init__(
        self, path: Path, *, slot: int = 0, generation: int = 1, declines: str = ""
    ) -> None:
        self.taken: list[Offer] = []
        self.declines = declines
        self.hello = hello(generation, slot)
        self.client = LinkClient(path, lambda: self.hello, self.take)

    async def take(self, offered: Offer) -> None:
        if self.declines == "defect":
            raise KeyError(self.declines)
        if self.declines:
            raise ConfigError((Problem(self.declines),))
        self.taken.append(offered)
        self.hello = hello(offered.generation, self.hello.slot)


@contextlib.asynccontextmanager
async def running(*workers: FakeWorker) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(worker.client.run()) for worker in workers]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "control.sock"


async def test_socket_is_gone_as_soon_as_nobody_listens(path: Path) -> None:
    async with LinkServer(path).listening():
        assert path.is_socket()
    assert not path.exists()


async def test_worker_with_the_plan_in_force_is_offered_nothing(path: Path) -> None:
    server, worker = LinkServer(path), FakeWorker(path)
    server.in_force = offer(1)
    async with server.listening(), running(worker):
        await until(lambda: len(server.peers) == 1)
        assert server.peers[0].hello == hello()
        await asyncio.sleep(0.05)
    assert worker.taken == []


async def test_worker_with_another_plan_is_offered_the_one_in_force(path: Path) -> None:
    server, worker = LinkServer(path), FakeWorker(path)
    server.in_force = offer(2)
    async with server.listening(), running(worker):
        await until(lambda: bool(server.peers) and server.peers[0].generation == 2)
    assert worker.taken == [offer(2)]


async def test_offer_reaches_all_workers(path: Path) -> None:
    server, workers = LinkServer(path), [FakeWorker(path, slot=slot) for slot in range(3)]
    server.in_force = offer(1)
    async with server.listening(), running(*workers):
        await until(lambda: len(server.peers) == 3)
        assert await server.offer(offer(2)) == ()
        assert [peer.hash for peer in server.peers] == ["h2"] * 3
    assert [worker.taken for worker in workers] == [[offer(2)]] * 3


async def test_offer_that_the_first_worker_declines_reaches_nobody_else(path: Path) -> None:
    server = LinkServer(path)
    server.in_force = offer(1)
    workers = [FakeWorker(path, slot=slot, declines="no such file") for slot in range(2)]
    async with server.listening(), running(*workers):
        await until(lambda: len(server.peers) == 2)
        assert await server.offer(offer(2)) == ("no such file",)
        assert [peer.generation for peer in server.peers] == [1, 1]
    assert server.in_force == offer(1)


async def test_defect_in_a_worker_declines_the_offer_and_the_link_stays(path: Path) -> None:
    server, worker = LinkServer(path), FakeWorker(path)
    worker.declines = "defect"
    async with server.listening(), running(worker):
        await until(lambda: len(server.peers) == 1)
        assert await server.offer(offer(2)) == ("a defect: KeyError('defect')",)
        worker.declines = ""
        assert await server.offer(offer(3)) == ()
    assert worker.taken == [offer(3)]


async def test_offer_without_workers_is_in_force(path: Path) -> None:
    server = LinkServer(path)
    async with server.listening():
        assert await server.offer(offer(2)) == ()
    assert server.in_force == offer(2)


async def test_worker_that_dies_while_it_is_asked_declines_nothing(path: Path) -> None:
    server = LinkServer(path)
    async with server.listening():
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(frame(hello()))
        await until(lambda: len(server.peers) == 1)
        asked = asyncio.create_task(server.offer(offer(2)))
        await reader.readexactly(LENGTH_BYTES)
        writer.close()
        assert await asked == ()


async def test_worker_comes_back_to_a_controller_that_comes_back(path: Path) -> None:
    worker = FakeWorker(path)
    async with running(worker):
        for generation in (1, 2):
            server = LinkServer(path)
            server.in_force = offer(generation)
            async with server.listening():
                await until(lambda server=server: len(server.peers) == 1)  # type: ignore[misc]
                await until(lambda server=server: server.peers[0].generation == generation)  # type: ignore[misc] # noqa: B023
    assert worker.taken == [offer(2)]


async def test_draining_worker_is_not_asked_first(path: Path) -> None:
    server = LinkServer(path)
    old, new = FakeWorker(path, declines="I am leaving"), FakeWorker(path, slot=1)
    async with server.listening(), running(old):
        await until(lambda: len(server.peers) == 1)
        old.client.say(Draining())
        await until(lambda: server.peers[0].is_draining)
        async with running(new):
            await until(lambda: len(server.peers) == 2)
            assert await server.offer(offer(2)) == ("I am leaving",)
            assert server.in_force == offer(2)


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\xff\xff\xff\xff",
        (MAX_FRAME_BYTES + 1).to_bytes(LENGTH_BYTES, "big"),
        b"\x00\x00\x00\x00",
        b"\x00\x00\x00\x01\xc1",
        frame(Draining()),
        frame(hello()) + frame(hello()),
        frame(hello()) + frame(offer(1)),
    ],
)
async def test_garbage_ends_the_connection_and_nothing_else(path: Path, garbage: bytes) -> None:
    server, worker = LinkServer(path), FakeWorker(path)
    async with server.listening(), running(worker):
        await until(lambda: len(server.peers) == 1)
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(garbage)
        assert await asyncio.wait_for(reader.read(), WAIT_S) == b""
        writer.close()
        assert len(server.peers) == 1
        assert await server.offer(offer(2)) == ()
    assert worker.taken == [offer(2)]


async def test_socket_belongs_to_its_user_alone_and_replaces_a_dead_one(path: Path) -> None:
    path.touch()
    async with LinkServer(path).listening():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_ISSOCK(path.stat().st_mode)


@given(
    st.lists(
        st.one_of(
            st.builds(Applied, hash=st.text(), generation=st.integers(0, 2**60)),
            st.builds(Declined, st.text(), st.integers(0, 2**60), st.text(max_size=2000)),
            st.just(Draining()),
        ),
        max_size=5,
    ),
    st.integers(1, 50),
)
def test_messages_arrive_however_they_are_cut(messages: list[FromWorker], size: int) -> None:
    async def arrived() -> list[FromWorker]:
        reader, decoder = asyncio.StreamReader(), msgspec.msgpack.Decoder(FromWorker)
        data = b"".join(map(frame, messages))
        for start in range(0, len(data), size):
            reader.feed_data(data[start : start + size])
        reader.feed_eof()
        found = [await read(reader, decoder) for _ in messages]
        with pytest.raises(EOFError):
            await read(reader, decoder)
        return found

    assert asyncio.run(arrived()) == messages


async def test_cut_frame_is_an_error() -> None:
    reader = asyncio.StreamReader()
    reader.feed_data(frame(Draining())[:-1])
    reader.feed_eof()
    with pytest.raises(LinkError, match="cut"):
        await read(reader, msgspec.msgpack.Decoder(FromWorker))
