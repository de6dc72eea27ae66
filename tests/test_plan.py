"""The plan as it travels between processes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import msgspec

from gateway.compiler import compile_plan
from gateway.config import load
from gateway.config.kinds import PolicyName
from gateway.config.schema import Capability
from gateway.plan import CAPABILITIES, POLICIES, Plan
from tests.config.texts import document


def test_plan_survives_the_way_to_a_worker() -> None:
    plan = compile_plan(load(Path("examples/gateway.yaml"), {}))
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(plan), type=Plan) == plan


def test_words_of_the_schema_are_those_of_the_plan() -> None:
    assert get_args(Capability) == tuple(CAPABILITIES)
    assert get_args(PolicyName) == POLICIES


def test_capabilities_are_distinct_bits() -> None:
    assert sum(CAPABILITIES.values()) == 2 ** len(CAPABILITIES) - 1


def test_credentials_show_in_no_representation_of_a_plan() -> None:
    changes = {"backends.two.api_key": "${K}", "backends.one.headers": {"x-k": "${K}"}}
    plan = compile_plan(document(changes, {"K": "hunter2"}))
    assert "hunter2" not in repr(plan)
    assert "hunter2" in str(plan.backends[1].headers)


def test_plan_holds_no_mutable_value() -> None:
    source = Path("gateway/plan.py").read_text()
    assert not re.search(r"^    \w+: (list|dict|set)\b", source, re.MULTILINE)
