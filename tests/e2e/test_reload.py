"""Live reload under constant load: no request notices, and each is served by one plan."""

from __future__ import annotations

import json
from itertools import cycle

import pytest

from tests.support.answers import echo, plays
from tests.support.backends import Backend
from tests.support.fixtures import MakeBackend, MakeGateway, MakeProcess
from tests.support.load import Load
from tests.support.raw_client import request_bytes
from tests.support.settings import Settings
from tests.support.settings import echo as echo_settings
from tests.support.waiting import until

GOOD = plays(echo)
RATE_PER_S = 150.0
SLOW = (pytest.mark.slow, pytest.mark.timeout(300))


def variants(backend: Backend, other: Backend) -> list[Settings]:
    """Configurations that all serve /echo, over one backend, the other, or both."""
    first = echo_settings(backend)
    moved = echo_settings(other)
    both = echo_settings(backend, each={"version": "2"})
    both["backends"]["second"] = {**moved["backends"]["echo"], "pool": {"idle": 3}}
    both["routes"]["echo"].update({"backends": ["echo", "second"], "policy": "least_loaded"})
    return [first, moved, both]


@pytest.fixture
def pair(make_backend: MakeBackend) -> tuple[Backend, Backend]:
    return make_backend("one", GOOD), make_backend("two", GOOD)


def test_two_hundred_plans_in_a_row_fail_no_request(
    pair: tuple[Backend, Backend], make_gateway: MakeGateway
) -> None:
    settings = variants(*pair)
    gateway = make_gateway(settings[0])
    with Load(gateway.address, RATE_PER_S) as load:
        for _, each in zip(range(200), cycle(settings), strict=False):
            gateway.apply(each)
            load.await_shots(1)
    assert set(load.fates()) == {"right"}
    assert {shot.backend for shot in load.shots} == {"echo", "second"}
    assert pair[0].received
    assert pair[1].received


@pytest.mark.parametrize("reloads", [20, pytest.param(200, marks=SLOW)])
def test_file_is_reloaded_under_load_without_a_failed_request(
    pair: tuple[Backend, Backend], make_process: MakeProcess, reloads: int
) -> None:
    settings = variants(*pair)
    gateway = make_process({**settings[0], "workers": 2})
    with Load(gateway.address, RATE_PER_S) as load:
        for _, each in zip(range(reloads), cycle(settings[1:] + settings[:1]), strict=False):
            gateway.apply({**each, "workers": 2})
    assert set(load.fates()) == {"right"}
    assert load.retried == 0


def test_bad_file_never_disturbs_the_plan_in_force(
    pair: tuple[Backend, Backend], make_process: MakeProcess
) -> None:
    gateway = make_process(variants(*pair)[0])
    until(gateway.plan_hash, 20.0, gateway.log)
    before = gateway.plan_hash()
    with Load(gateway.address, RATE_PER_S) as load:
        for text in ("backends: [", "{}", json.dumps({"routes": {"echo": {"backends": ["no"]}}})):
            gateway.config.write_text(text)
            status, body = gateway.admin("/api/v1/config/reload", "POST", b"{}")
            assert status in (400, 409, 422), body
            assert json.loads(body)["error"]["message"]
        gateway.config.unlink()
        status, _ = gateway.admin("/api/v1/config/reload", "POST", b"{}")
        assert status >= 400
    until(lambda: gateway.plan_hash() == before, 20.0, gateway.log)
    assert set(load.fates()) == {"right"}


def test_file_that_changes_is_noticed_without_a_signal(
    pair: tuple[Backend, Backend], make_process: MakeProcess
) -> None:
    settings = variants(*pair)
    gateway = make_process(settings[0])
    fixed = {key: gateway.settings[key] for key in ("listen", "admin", "drain", "state")}
    fresh = gateway.config.with_suffix(".tmp")
    fresh.write_text(json.dumps({**settings[1], **fixed}))
    fresh.replace(gateway.config)

    def is_moved() -> bool:
        with gateway.connect() as client:
            client.request("GET", "/echo")
        return bool(pair[1].received)

    until(is_moved, 10.0)


def test_request_under_way_is_finished_by_the_plan_it_began_with(
    make_backend: MakeBackend, make_gateway: MakeGateway
) -> None:
    """Its backend is gone from the new plan, and still its answer is whole."""
    old, new = make_backend("one", GOOD), make_backend("two", GOOD)
    gateway = make_gateway(echo_settings(old))
    data = request_bytes("POST", "/echo", b"0123456789")
    with gateway.connect() as client:
        client.send(data[:-5])
        gateway.settle()
        gateway.apply(echo_settings(new))
        client.send(data[-5:])
        assert client.read_response().body == b"0123456789"
    assert [one.body for one in old.received] == [b"0123456789"]


def test_connections_of_a_backend_that_left_the_plan_are_closed(
    pair: tuple[Backend, Backend], make_gateway: MakeGateway
) -> None:
    settings = variants(*pair)
    gateway = make_gateway(settings[0])
    with gateway.connect() as client:
        client.request("GET", "/echo")
        assert len(pair[0].open) == 1
        gateway.apply(settings[1])
        until(lambda: not pair[0].open)
        assert client.request("POST", "/echo", b"x").body == b"x"


def test_connections_of_a_backend_that_stayed_are_kept(
    pair: tuple[Backend, Backend], make_gateway: MakeGateway
) -> None:
    settings = variants(*pair)
    gateway = make_gateway(settings[0])
    with gateway.connect() as client:
        client.request("GET", "/echo")
        gateway.apply({**settings[0], "forwarded": {"forwarded": True}})
        client.request("GET", "/echo")
    assert pair[0].connection_count == 1
    assert pair[0].received[-1].header("forwarded")
