"""Where backends and clients may be: Unix sockets, IPv6, names with several addresses."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from tests.support.answers import echo, plays
from tests.support.backends import Backend
from tests.support.fixtures import IS_PROCESS, MakeBackend, MakeGateway, MakeProcess
from tests.support.gateway import Gateway
from tests.support.names import Names
from tests.support.raw_client import RawClient
from tests.support.settings import Settings, free_port
from tests.support.settings import echo as echo_settings
from tests.support.waiting import until

GOOD = plays(echo)


def body_of(gateway: Gateway, body: bytes) -> bytes:
    with gateway.connect() as client:
        answer = client.request("POST", "/echo", body)
        assert answer.status == 200, answer
        return answer.body


def test_backend_behind_a_unix_socket(make_backend: MakeBackend, make_gateway: MakeGateway) -> None:
    backend = make_backend("echo", GOOD, unix=True)
    gateway = make_gateway(echo_settings(backend))
    assert [body_of(gateway, b"%d" % n) for n in range(3)] == [b"0", b"1", b"2"]
    assert backend.connection_count == 1


def test_unix_socket_that_is_gone_is_a_502(make_gateway: MakeGateway, tmp_path: Path) -> None:
    with Backend(GOOD, name="echo") as backend:
        settings = echo_settings(backend)
    settings["backends"]["echo"]["url"] = f"unix://{tmp_path}/gone.sock"
    with make_gateway(settings).connect() as client:
        assert client.request("POST", "/echo", b"x").status == 502


def test_backend_behind_ipv6(make_backend: MakeBackend, make_gateway: MakeGateway) -> None:
    backend = make_backend("echo", GOOD, host="::1")
    gateway = make_gateway(echo_settings(backend))
    assert body_of(gateway, b"six") == b"six"
    assert backend.received[0].header("host") == f"[::1]:{backend.port}"


def test_gateway_listens_on_ipv6(make_backend: MakeBackend, make_process: MakeProcess) -> None:
    settings = echo_settings(make_backend("echo", GOOD))
    settings["listen"] = {"host": "::1", "port": free_port("::1")}
    assert body_of(make_process(settings), b"six") == b"six"


def test_gateway_listens_on_a_unix_socket_as_well(
    make_backend: MakeBackend, make_process: MakeProcess, tmp_path: Path
) -> None:
    settings = echo_settings(make_backend("echo", GOOD))
    path = tmp_path / "gateway.sock"
    settings["listen"] = {"unix": str(path)}
    make_process(settings)
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(5)
        client.connect(str(path))
        client.sendall(b"GET /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert client.recv(65536).startswith(b"HTTP/1.1 200 ")


@pytest.fixture
def two(names: Names) -> Names:
    """`two.test` is 127.0.0.1 and ::1."""
    if IS_PROCESS:
        pytest.skip("names are made in this process")
    names.addresses["two.test"] = ["127.0.0.1", "::1"]
    return names


def named(backend: Backend, **each: Any) -> Settings:
    """The backend by the name `two.test`, whatever it listens on."""
    settings = echo_settings(backend, each=each)
    settings["backends"]["echo"]["url"] = f"http://two.test:{backend.port}"
    return settings


@pytest.mark.parametrize("listens_on", ["127.0.0.1", "::1"])
def test_name_whose_other_address_refuses_is_reached_by_the_one_that_answers(
    two: Names, make_backend: MakeBackend, make_gateway: MakeGateway, listens_on: str
) -> None:
    backend = make_backend("echo", GOOD, host=listens_on)
    gateway = make_gateway(named(backend, pool={"idle": 0}))
    for n in range(6):
        assert body_of(gateway, b"%d" % n) == b"%d" % n
    assert backend.received[0].header("host") == f"two.test:{backend.port}"
    assert two.look_ups == 1


def test_backend_that_moves_to_the_names_other_address_is_followed(
    two: Names, make_backend: MakeBackend, make_gateway: MakeGateway
) -> None:
    first = make_backend("echo", GOOD, host="127.0.0.1")
    gateway = make_gateway(named(first))
    assert body_of(gateway, b"here") == b"here"
    first.kill()
    second = make_backend("echo", GOOD, host="::1", port=first.port)
    assert body_of(gateway, b"there") == b"there"
    assert [one.body for one in second.received] == [b"there"]


def test_connections_spread_over_the_addresses_of_a_name(
    two: Names, make_backend: MakeBackend, make_gateway: MakeGateway
) -> None:
    four = make_backend("echo", GOOD, host="127.0.0.1")
    six = make_backend("echo6", GOOD, host="::1", port=four.port)
    gateway = make_gateway(named(four, pool={"idle": 0}))
    for n in range(20):
        assert body_of(gateway, b"%d" % n) == b"%d" % n
    assert min(len(four.received), len(six.received)) >= 5


def test_name_is_looked_up_again_after_its_time(
    two: Names, make_backend: MakeBackend, make_gateway: MakeGateway
) -> None:
    """A name that points elsewhere now is followed, without a restart and without a fault."""
    old = make_backend("echo", GOOD, host="127.0.0.1")
    new = make_backend("echo6", GOOD, host="::1", port=old.port)
    two.addresses["two.test"] = ["127.0.0.1"]
    gateway = make_gateway(named(old, pool={"idle": 0}, dns_ttl="200ms"))
    assert body_of(gateway, b"x") == b"x"
    two.addresses["two.test"] = ["::1"]
    until(lambda: body_of(gateway, b"x") == b"x" and bool(new.received))
    before = len(old.received)
    assert [body_of(gateway, b"y") for _ in range(3)] == [b"y"] * 3
    assert len(old.received) == before


def test_known_addresses_are_used_while_the_resolver_is_dead(
    two: Names, make_backend: MakeBackend, make_gateway: MakeGateway
) -> None:
    backend = make_backend("echo", GOOD)
    gateway = make_gateway(named(backend, pool={"idle": 0}, dns_ttl="50ms"))
    assert body_of(gateway, b"x") == b"x"
    two.dead.add("two.test")
    before = two.look_ups
    until(lambda: body_of(gateway, b"y") == b"y" and two.look_ups > before)
    assert [body_of(gateway, b"z") for _ in range(3)] == [b"z"] * 3


def test_name_that_never_resolved_is_a_502_and_is_asked_again(
    two: Names, make_backend: MakeBackend, make_gateway: MakeGateway
) -> None:
    two.dead.add("two.test")
    gateway = make_gateway(named(make_backend("echo", GOOD)))
    with gateway.connect() as client:
        assert client.request("POST", "/echo", b"x").status == 502
    two.dead.clear()
    until(lambda: status_of(gateway) == 200)


def status_of(gateway: Gateway) -> int:
    with gateway.connect() as client:
        return client.request("POST", "/echo", b"x").status


def test_base_path_of_the_url_stands_before_the_operations(
    make_backend: MakeBackend, make_gateway: MakeGateway
) -> None:
    backend = make_backend("echo", GOOD)
    settings = echo_settings(backend)
    settings["backends"]["echo"]["url"] = backend.url + "/base/v9"
    body_of(make_gateway(settings), b"x")
    assert backend.received[0].target == "/base/v9/echo"


def test_idle_connections_are_closed_after_their_time(
    make_backend: MakeBackend, make_gateway: MakeGateway
) -> None:
    backend = make_backend("echo", GOOD)
    gateway = make_gateway(echo_settings(backend, each={"pool": {"idle_timeout": "200ms"}}))
    body_of(gateway, b"x")
    until(lambda: not backend.open)
    assert body_of(gateway, b"y") == b"y"
    assert backend.connection_count == 2


def test_connections_are_replaced_when_they_are_old(
    make_backend: MakeBackend, make_gateway: MakeGateway
) -> None:
    backend = make_backend("echo", GOOD)
    gateway = make_gateway(echo_settings(backend, each={"pool": {"max_age": "300ms"}}))
    until(lambda: body_of(gateway, b"x") == b"x" and backend.connection_count > 1)


def test_plain_client_reaches_the_gateway_by_its_other_address(
    make_backend: MakeBackend, make_process: MakeProcess
) -> None:
    """`::` takes IPv6 and IPv4."""
    settings = echo_settings(make_backend("echo", GOOD))
    settings["listen"] = {"host": "::"}
    gateway = make_process(settings)
    for address in ("127.0.0.1", "::1"):
        with RawClient((address, gateway.address[1])) as client:
            assert client.request("GET", "/echo").status == 200
