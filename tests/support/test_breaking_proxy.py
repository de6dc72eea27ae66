"""The breaking proxy itself, between the raw client and a stub backend."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import pytest

from tests.support.answers import echo, plays
from tests.support.backends import Backend
from tests.support.breaking_proxy import BreakingProxy, Wear
from tests.support.raw_client import RawClient, Truncated

BODY = b"0123456789" * 20


@pytest.fixture
def backend() -> Iterator[Backend]:
    with Backend(plays(echo)) as backend:
        yield backend


@pytest.mark.parametrize(
    "wear",
    [Wear(), Wear(piece_bytes=1), Wear(piece_bytes=7, gap_s=0.0005), Wear(rate_bytes_per_s=1e6)],
)
def test_bytes_pass_unchanged_however_they_are_divided(backend: Backend, wear: Wear) -> None:
    with BreakingProxy(backend.address, wear, wear) as proxy, RawClient(proxy.address) as client:
        assert client.request("POST", "/", BODY).body == BODY
        assert client.request("POST", "/", BODY).body == BODY


@pytest.mark.parametrize("wear", [Wear(cut_after=100), Wear(reset_after=100)])
def test_answer_is_cut_where_asked(backend: Backend, wear: Wear) -> None:
    with BreakingProxy(backend.address, down=wear) as proxy, RawClient(proxy.address) as client:
        with pytest.raises((Truncated, ConnectionResetError)):
            client.request("POST", "/", BODY)
        assert len(client.received) <= 100


def test_stalled_answer_leaves_the_connection_open(backend: Backend) -> None:
    wear = Wear(stall_after=50)
    with (
        BreakingProxy(backend.address, down=wear) as proxy,
        RawClient(proxy.address, timeout_s=0.2) as client,
        pytest.raises(TimeoutError),
    ):
        client.request("POST", "/", BODY)


def test_bandwidth_is_limited(backend: Backend) -> None:
    wear = Wear(piece_bytes=100, rate_bytes_per_s=5000)
    with BreakingProxy(backend.address, down=wear) as proxy, RawClient(proxy.address) as client:
        begun = time.monotonic()
        client.request("POST", "/", BODY)
        assert time.monotonic() - begun > len(BODY) / 5000


def test_refusing_proxy_resets_at_once(backend: Backend) -> None:
    with BreakingProxy(backend.address) as proxy:
        proxy.accepts = False
        with contextlib.suppress(ConnectionResetError), RawClient(proxy.address) as client:
            assert client.is_closed()
        assert proxy.connection_count == 1


def test_early_answer_comes_before_the_request(backend: Backend) -> None:
    with BreakingProxy(backend.address) as proxy:
        proxy.early_answer = b"HTTP/1.1 204 No Content\r\n\r\n"
        with RawClient(proxy.address) as client:
            assert client.read_response().status == 204


def test_half_close_reaches_the_target_alone(backend: Backend) -> None:
    with (
        BreakingProxy(backend.address, up=Wear(half_close_after=10)) as proxy,
        RawClient(proxy.address, timeout_s=0.3) as client,
    ):
        client.send(b"POST / HTTP/1.1\r\nhost: a\r\n\r\n")
        with pytest.raises((Truncated, TimeoutError)):
            client.read_response()
