"""Active checks, of backends that answer from a script."""

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, Self, cast

import pytest

from gateway._fast import Table
from gateway.compiler import compile_plan
from gateway.dataplane.dialer import Dialer
from gateway.dataplane.health import HealthChecks
from gateway.plan import BackendPlan
from tests.config.texts import document


class Backend:
    """What a check needs of a compiled one."""

    def __init__(self, plan: BackendPlan) -> None:
        self.name, self.plan = plan.name, plan
        self.verdicts: list[bool] = []

    def claim_check(self, _now_ns: int, _interval_ns: int) -> bool:
        return True

    def set_health(self, good: bool, _now_ns: int) -> None:
        self.verdicts.append(good)


class Door:
    """Connects every check to a server that answers by the script, then by its last line."""

    def __init__(self, *answers: bytes) -> None:
        self.answers = list(answers)
        self.heard: list[bytes] = []

    async def connect(
        self, _plan: BackendPlan, protocol: Callable[[], asyncio.BaseProtocol]
    ) -> None:
        loop = asyncio.get_running_loop()
        await loop.create_connection(protocol, "127.0.0.1", self.port)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heard.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])
        writer.close()


def backend_with(**health: Any) -> Backend:
    plan = compile_plan(document({"backends.one.health": health, "backends.one.api_key": "key"}))
    return Backend(plan.backends[0])


async def checked(door: Door, backend: Backend, until: Callable[[], bool]) -> None:
    async with door, asyncio.timeout(5):
        checks = HealthChecks(cast("Dialer", door))
        checks.follow(cast("Table", SimpleNamespace(backends=[backend])))
        while not until():
            await asyncio.sleep(0.01)
        checks.close()


@pytest.mark.parametrize("health,path", [({}, b"/v1/models"), ({"path": "/up"}, b"/up")])
async def test_path_of_the_plan_is_asked_from_the_hosts_root(
    health: dict[str, Any], path: bytes
) -> None:
    door, backend = Door(b"HTTP/1.1 200 OK\r\n\r\n"), backend_with(**health)
    await checked(door, backend, lambda: bool(door.heard))
    lines = door.heard[0].split(b"\r\n")
    assert lines[0] == b"GET " + path + b" HTTP/1.1"
    assert {b"host: " + backend.plan.authority.encode(), b"authorization: Bearer key"} < {*lines}


async def test_verdict_comes_after_so_many_answers_in_a_row() -> None:
    good, bad = b"HTTP/1.1 204 No Content\r\n\r\n", b"HTTP/1.1 301 Moved\r\n\r\n"
    door, backend = Door(bad, good, bad, bad, good, good), backend_with(rise=2, fall=2)
    await checked(door, backend, lambda: len(backend.verdicts) == 2)
    assert backend.verdicts == [False, True]


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1", b"HTTP/1.1 OK\r\n\r\n", b"\xff" * 20000])
async def test_answer_that_is_none_is_a_bad_one(answer: bytes) -> None:
    backend = backend_with(fall=1)
    await checked(Door(answer), backend, lambda: bool(backend.verdicts))
    assert backend.verdicts[0] is False
