"""TLS towards clients and towards backends, with an authority made in the test."""

from __future__ import annotations

import ssl
import warnings
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.answers import echo, plays
from tests.support.backends import Backend
from tests.support.certificates import Authority
from tests.support.fixtures import MakeBackend, MakeGateway, MakeProcess
from tests.support.gateway import Gateway, GatewayProcess
from tests.support.raw_client import RawClient, Response, Truncated
from tests.support.settings import Settings
from tests.support.settings import echo as echo_settings
from tests.support.waiting import until

GOOD = plays(echo)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    folder = tmp_path / "certificates"
    folder.mkdir()
    return Authority(folder)


def ask(gateway: Gateway, body: bytes = b"x") -> Response:
    with gateway.connect() as client:
        return client.request("POST", "/echo", body)


# Towards backends.


def secured(backend: Backend, **tls: Any) -> Settings:
    each: Settings = {"tls": {key: str(value) for key, value in tls.items()}}
    return echo_settings(backend, each=each)


def test_backend_of_our_own_authority_is_trusted(
    authority: Authority, make_backend: MakeBackend, make_gateway: MakeGateway
) -> None:
    backend = make_backend("echo", GOOD, tls=authority.server_context("127.0.0.1"))
    gateway = make_gateway(secured(backend, ca=authority.ca_file))
    for n in range(5):
        assert ask(gateway, b"%d" % n).body == b"%d" % n
    assert backend.connection_count == 1


def test_backend_of_an_unknown_authority_is_refused(
    authority: Authority, tmp_path: Path, make_backend: MakeBackend, make_gateway: MakeGateway
) -> None:
    stranger = Authority(tmp_path, "stranger")
    backend = make_backend("echo", GOOD, tls=stranger.server_context("127.0.0.1"))
    assert ask(make_gateway(secured(backend, ca=authority.ca_file))).status == 502
    assert ask(make_gateway(echo_settings(backend))).status == 502  # nor by the system's store
    assert backend.received == []


def test_backend_with_a_certificate_for_another_name_is_refused(
    authority: Authority, make_backend: MakeBackend, make_gateway: MakeGateway
) -> None:
    backend = make_backend("echo", GOOD, tls=authority.server_context("other.test"))
    assert ask(make_gateway(secured(backend, ca=authority.ca_file))).status == 502
    assert backend.received == []


def test_server_name_is_asked_for_and_checked(
    authority: Authority, make_backend: MakeBackend, make_gateway: MakeGateway
) -> None:
    backend = make_backend("echo", GOOD, tls=authority.server_context("model.test"))
    settings = secured(backend, ca=authority.ca_file, server_name="model.test")
    assert ask(make_gateway(settings)).status == 200
    assert backend.server_names == ["model.test"]


def test_client_certificate_is_shown_to_a_backend_that_wants_one(
    authority: Authority, make_backend: MakeBackend, make_gateway: MakeGateway
) -> None:
    certificate, key = authority.issue("gateway.test", file="gateway")
    context = authority.server_context("127.0.0.1", client_ca=authority.ca_file)
    backend = make_backend("echo", GOOD, tls=context)
    shown = secured(backend, ca=authority.ca_file, certificate=certificate, key=key)
    assert ask(make_gateway(shown)).status == 200
    assert ask(make_gateway(secured(backend, ca=authority.ca_file))).status == 502


def test_backend_that_speaks_no_tls_is_a_502(
    authority: Authority, make_backend: MakeBackend, make_gateway: MakeGateway
) -> None:
    backend = Backend(GOOD, name="echo")  # it will see a hello that is no HTTP
    with backend:
        settings = secured(backend, ca=authority.ca_file)
        settings["backends"]["echo"]["url"] = backend.url.replace("http:", "https:")
        assert ask(make_gateway(settings)).status == 502


def test_renewed_client_certificate_is_used_without_a_restart(
    authority: Authority, tmp_path: Path, make_backend: MakeBackend, make_gateway: MakeGateway
) -> None:
    stranger = Authority(tmp_path, "stranger")
    certificate, key = stranger.issue("gateway.test", file="gateway")
    context = authority.server_context("127.0.0.1", client_ca=authority.ca_file)
    backend = make_backend("echo", GOOD, tls=context)
    gateway = make_gateway(secured(backend, ca=authority.ca_file, certificate=certificate, key=key))
    assert ask(gateway).status == 502
    fresh, fresh_key = authority.issue("gateway.test", file="gateway")
    certificate.write_bytes(fresh.read_bytes())
    key.write_bytes(fresh_key.read_bytes())
    until(lambda: ask(gateway).status == 200, 5.0)


# Towards clients: the real processes, since they hold the files.


@pytest.fixture(scope="module")
def public(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("public"))


@pytest.fixture(scope="module")
def secure(
    public: Authority, share_backend: MakeBackend, share_process: MakeProcess
) -> GatewayProcess:
    return share_process(behind_tls(public, share_backend("echo", GOOD)))


def behind_tls(authority: Authority, backend: Backend) -> Settings:
    certificate, key = authority.issue("127.0.0.1", "gateway.test")
    tls = {"certificate": str(certificate), "key": str(key)}
    return {**echo_settings(backend), "listen": {"tls": tls}}


def serial_of(gateway: Gateway, context: ssl.SSLContext) -> str:
    with RawClient(gateway.address, tls=context, server_name="gateway.test") as client:
        assert isinstance(client.socket, ssl.SSLSocket)
        shown: Any = client.socket.getpeercert()
        return str(shown["serialNumber"])


def test_clients_speak_https(secure: GatewayProcess, public: Authority) -> None:
    context = public.client_context()
    with RawClient(secure.address, tls=context, server_name="gateway.test") as client:
        for n in range(5):
            assert client.request("POST", "/echo", b"%d" % n).body == b"%d" % n
    with httpx.Client(verify=context) as client:
        assert (
            client.post(f"https://127.0.0.1:{secure.address[1]}/echo", content=b"a" * 10**6).text
            == "a" * 10**6
        )


def test_backend_is_told_that_its_client_spoke_https(
    authority: Authority, make_backend: MakeBackend, make_process: MakeProcess
) -> None:
    certificate, key = authority.issue("127.0.0.1", "gateway.test")
    backend = make_backend("echo", GOOD)
    settings = echo_settings(backend, forwarded={"x_forwarded": True, "forwarded": True})
    settings["listen"] = {"tls": {"certificate": str(certificate), "key": str(key)}}
    gateway, context = make_process(settings), authority.client_context()
    with RawClient(gateway.address, tls=context, server_name="gateway.test") as client:
        assert client.request("POST", "/echo", b"x").status == 200
    assert backend.received[-1].header("x-forwarded-proto") == "https"
    assert ";proto=https;" in (backend.received[-1].header("forwarded") or "")


def test_old_tls_is_refused(secure: GatewayProcess, public: Authority) -> None:
    context = public.client_context()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that it is old is the point
        context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        RawClient(secure.address, tls=context, server_name="gateway.test")


def test_plain_request_on_the_tls_port_gets_no_answer(secure: GatewayProcess) -> None:
    with RawClient(secure.address) as client:
        client.send(b"GET /echo HTTP/1.1\r\nHost: a\r\n\r\n")
        assert not client.read_to_end().startswith(b"HTTP/1.1 200")


def test_half_a_handshake_disturbs_nobody(secure: GatewayProcess, public: Authority) -> None:
    halves = [RawClient(secure.address) for _ in range(20)]
    for half in halves:
        half.send(b"\x16\x03\x01\x02\x00\x01")
    context = public.client_context()
    with RawClient(secure.address, tls=context, server_name="gateway.test") as client:
        assert client.request("POST", "/echo", b"x").body == b"x"
    for half in halves:
        half.close()


def test_renewed_certificate_is_shown_without_a_restart(
    authority: Authority, make_backend: MakeBackend, make_process: MakeProcess
) -> None:
    gateway = make_process(behind_tls(authority, make_backend("echo", GOOD)))
    context = authority.client_context()
    before = serial_of(gateway, context)
    with RawClient(gateway.address, tls=context, server_name="gateway.test") as client:
        assert client.request("GET", "/echo").status == 200
        authority.issue("127.0.0.1", "gateway.test")
        until(lambda: serial_of(gateway, context) != before, 15.0)
        assert client.request("GET", "/echo").status == 200  # a connection of before lives on


def test_clients_must_show_a_certificate_where_that_is_asked(
    authority: Authority, make_backend: MakeBackend, make_process: MakeProcess
) -> None:
    certificate, key = authority.issue("127.0.0.1", "gateway.test")
    settings = echo_settings(make_backend("echo", GOOD))
    tls = {"certificate": str(certificate), "key": str(key), "client_ca": str(authority.ca_file)}
    settings["listen"] = {"tls": tls}
    gateway = make_process(settings)
    bare = authority.client_context()
    with (
        pytest.raises((ssl.SSLError, ConnectionError, Truncated)),
        RawClient(gateway.address, tls=bare, server_name="gateway.test") as client,
    ):
        client.request("GET", "/echo")
    known = authority.client_context()
    known.load_cert_chain(*authority.issue("client.test", file="client"))
    with RawClient(gateway.address, tls=known, server_name="gateway.test") as client:
        assert client.request("GET", "/echo").status == 200
