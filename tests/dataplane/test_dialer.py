"""Dials: which address is tried, what is trusted, what becomes of a failure."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from msgspec.structs import replace

from gateway._fast import Backend, Worker
from gateway.compiler import compile_plan
from gateway.dataplane.dialer import (
    CONNECT_FAILED,
    CONNECT_TIMEOUT,
    TLS_FAILED,
    Dialer,
    outcome_of,
)
from gateway.plan import BackendPlan, TlsPlan
from tests.config.texts import document
from tests.support.certificates import Authority
from tests.support.settings import free_port

Address = tuple[int, tuple[str, int]]


class Scripted(Dialer):
    """Resolves by a script; an empty list is a resolver that is dead."""

    def __init__(self, *answers: list[Address]) -> None:
        super().__init__(cast("Worker", None), asyncio.get_running_loop())
        self.answers = list(answers)
        self.asked: list[tuple[str, int]] = []

    async def _look_up(self, host: str, port: int) -> list[Address]:
        self.asked.append((host, port))
        found = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if not found:
            raise socket.gaierror(socket.EAI_AGAIN, "the resolver is dead")
        return found


class Listener:
    """A place that counts who came."""

    def __init__(self, server: asyncio.Server) -> None:
        self.address: tuple[str, int] = server.sockets[0].getsockname()[:2]
        self.came = 0

    @property
    def entry(self) -> Address:
        return (socket.AF_INET, self.address)


@contextlib.asynccontextmanager
async def listening(host: str = "127.0.0.1", port: int = 0, **more: Any) -> AsyncIterator[Listener]:
    async def count(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        made.came += 1
        writer.close()

    server = await asyncio.start_server(count, host, port, **more)
    made = Listener(server)
    async with server:
        yield made


def plan_of(url: str, **backend: Any) -> BackendPlan:
    changes = {f"backends.one.{key}": value for key, value in backend.items()}
    plan = compile_plan(document({"backends.one.url": url, **changes}))
    return next(each for each in plan.backends if each.name == "one")


class Caller(asyncio.Protocol):
    def __init__(self) -> None:
        self.is_over = asyncio.Event()

    def connection_lost(self, _error: Exception | None) -> None:
        self.is_over.set()


async def dial(dialer: Dialer, plan: BackendPlan, times: int = 1) -> None:
    for _ in range(times):
        made: list[Caller] = []

        def protocol(made: list[Caller] = made) -> Caller:
            made.append(Caller())
            return made[-1]

        await dialer.connect(plan, protocol)
        async with asyncio.timeout(2):
            await made[-1].is_over.wait()


async def test_addresses_of_a_name_take_turns() -> None:
    async with listening("127.0.0.1") as one, listening("127.0.0.2") as two:
        dialer = Scripted([one.entry, two.entry])
        await dial(dialer, plan_of("http://model.test:80"), 6)
        assert (one.came, two.came) == (3, 3)
        assert dialer.asked == [("model.test", 80)], "while its time is not over"


async def test_address_that_refuses_comes_last_from_then_on() -> None:
    dead = (socket.AF_INET, ("127.0.0.1", free_port()))
    async with listening("127.0.0.1") as one, listening("127.0.0.2") as two:
        dialer = Scripted([dead, one.entry, two.entry])
        await dial(dialer, plan_of("http://model.test:80"), 4)
        assert one.came + two.came == 4


async def test_no_address_that_answers_is_the_last_ones_error() -> None:
    dialer = Scripted([(socket.AF_INET, ("127.0.0.1", free_port())) for _ in range(2)])
    with pytest.raises(ConnectionRefusedError):
        await dial(dialer, plan_of("http://model.test:80"))


async def test_name_is_looked_up_again_when_its_time_is_over() -> None:
    async with listening("127.0.0.1") as old, listening("127.0.0.2") as new:
        dialer = Scripted([old.entry], [new.entry])
        plan = replace(plan_of("http://model.test:80"), dns_ttl_ns=30_000_000)
        await dial(dialer, plan)
        await asyncio.sleep(0.04)
        await dial(dialer, plan)
        assert (old.came, new.came) == (1, 1)


async def test_known_addresses_serve_while_the_resolver_is_dead() -> None:
    async with listening() as place:
        dialer = Scripted([place.entry], [])
        plan = replace(plan_of("http://model.test:80"), dns_ttl_ns=1)
        await dial(dialer, plan, 3)
        assert place.came == 3
        assert len(dialer.asked) == 2, "a dead resolver is not asked at each dial"


async def test_name_that_never_resolved_is_an_error() -> None:
    with pytest.raises(socket.gaierror):
        await dial(Scripted([]), plan_of("http://model.test:80"))


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_literal_address_needs_no_resolver(host: str) -> None:
    try:
        async with listening(host) as place:
            dialer, written = Scripted([]), f"[{host}]" if ":" in host else host
            await dial(dialer, plan_of(f"http://{written}:{place.address[1]}"), 2)
            assert place.came == 2
            assert dialer.asked == []
    except OSError as error:
        pytest.skip(f"no {host} here: {error}")


async def test_systems_resolver_is_asked_for_both_families() -> None:
    async with listening("127.0.0.1") as place:
        dialer = Dialer(cast("Worker", None), asyncio.get_running_loop())
        await dial(dialer, plan_of(f"http://localhost:{place.address[1]}"))
        assert place.came == 1


async def test_unix_path_is_dialled_as_such(tmp_path: Path) -> None:
    came = asyncio.Event()
    path = tmp_path / "model.sock"

    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.set()
        writer.close()

    async with await asyncio.start_unix_server(answer, path):
        await dial(Scripted([]), plan_of(f"unix://{path}:/v1"))
    assert came.is_set()


# -- TLS


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def secured(place: Listener, authority: Authority, **tls: str) -> BackendPlan:
    given = {"ca": str(authority.ca_file), **tls}
    return plan_of(f"https://127.0.0.1:{place.address[1]}", tls=given)


async def test_certificate_must_be_of_the_right_authority_and_name(
    authority: Authority, tmp_path: Path
) -> None:
    stranger = Authority(tmp_path, "stranger")
    context = authority.server_context("127.0.0.1", "model.test")
    async with listening(ssl=context) as place:
        await dial(Scripted([]), secured(place, authority))
        await dial(Scripted([]), secured(place, authority, server_name="model.test"))
        for wrong in (
            secured(place, stranger),
            secured(place, authority, server_name="other.test"),
            plan_of(f"https://127.0.0.1:{place.address[1]}"),
        ):
            with pytest.raises(ssl.SSLError) as caught:
                await dial(Scripted([]), wrong)
            assert outcome_of(caught.value) == TLS_FAILED


async def test_context_is_made_once_and_again_when_a_file_was_renewed(
    authority: Authority,
) -> None:
    dialer = Scripted([])
    tls = TlsPlan(ca=str(authority.ca_file))
    first = dialer._context(tls)
    assert dialer._context(tls) is first
    os.utime(authority.ca_file, ns=(0, 0))
    assert dialer._context(tls) is not first


# -- failures


@pytest.mark.parametrize(
    "error,outcome",
    [
        (ConnectionRefusedError(), CONNECT_FAILED),
        (socket.gaierror(), CONNECT_FAILED),
        (TimeoutError(), CONNECT_TIMEOUT),
        (ssl.SSLCertVerificationError(), TLS_FAILED),
        (ValueError(), CONNECT_FAILED),
    ],
)
def test_whatever_goes_wrong_is_an_outcome(error: Exception, outcome: int) -> None:
    assert outcome_of(error) == outcome


class Failing(Dialer):
    """Fails as it is told, or never comes to an end."""

    def __init__(self, error: Exception | None) -> None:
        super().__init__(cast("Worker", None), asyncio.get_running_loop())
        self._error = error

    async def connect(self, *_: object) -> None:
        if self._error is None:
            await asyncio.Event().wait()
        else:
            raise self._error


def waiting_backend(connect_ns: int = 0) -> tuple[Backend, list[int]]:
    failed: list[int] = []
    plan = SimpleNamespace(connect_ns=connect_ns)
    return cast("Backend", SimpleNamespace(plan=plan, dial_failed=failed.append)), failed


@pytest.mark.parametrize(
    "error,connect_ns,outcome",
    [
        (ConnectionRefusedError(), 0, CONNECT_FAILED),
        (ssl.SSLError(), 0, TLS_FAILED),
        (None, 20_000_000, CONNECT_TIMEOUT),
    ],
)
async def test_backend_is_told_once_that_its_dial_failed(
    error: Exception | None, connect_ns: int, outcome: int
) -> None:
    dialer = Failing(error)
    backend, failed = waiting_backend(connect_ns)
    dialer(backend)
    async with asyncio.timeout(2):
        while dialer._dials:
            await asyncio.sleep(0.005)
    assert failed == [outcome]


async def test_closing_ends_what_is_under_way_and_tells_it() -> None:
    dialer = Failing(None)
    backend, failed = waiting_backend()
    dialer(backend)
    await asyncio.sleep(0)
    await dialer.close()
    assert failed == [CONNECT_FAILED]
    assert not dialer._dials
