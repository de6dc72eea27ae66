"""The demo's stage: its configuration, its ports, and what happens when they are taken."""

import socket
from pathlib import Path

from gateway.compiler import compile_plan
from gateway.config import parse
from gateway.demo.models import MODELS
from gateway.demo.stage import HOST, Place, config_text, free_port

PLACE = Place(data_port=8080, admin_port=8081)
PORTS = {model.name: 9000 + number for number, model in enumerate(MODELS)}


def test_configuration_of_the_demo_is_valid_and_says_nothing_twice() -> None:
    document = parse(config_text(PLACE, Path("state"), PORTS), {})
    assert document.warnings == ()
    plan = compile_plan(document)
    assert {backend.name for backend in plan.backends} == set(PORTS)
    kept = {route.name for route in plan.routes if route.record.payload == "full"}
    assert kept == {"chat"}
    assert {route.policy for route in plan.routes} == {
        "cheapest_within_slo",
        "weighted",
        "ordered",
        "least_loaded",
    }


def test_wanted_port_is_taken_when_it_is_free() -> None:
    with socket.create_server((HOST, 0)) as server:
        port = server.getsockname()[1]
    assert free_port(port) == port


def test_port_in_use_is_replaced_by_a_free_one() -> None:
    with socket.create_server((HOST, 0)) as server:
        port = server.getsockname()[1]
        assert free_port(port) not in {port, 0}


def test_port_that_was_given_away_already_is_not_given_again() -> None:
    first = free_port(0)
    assert free_port(first, not_this=first) != first
