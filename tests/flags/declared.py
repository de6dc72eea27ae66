"""Flags as they are declared, compiled."""

from __future__ import annotations

from typing import Any

from gateway.compiler import AT_REST, compile_plan
from gateway.flags.evaluation import Flags
from gateway.messages import Delivery
from tests.config.texts import document

FLAGS: dict[str, Any] = {
    "plain": {"variants": {"on": True, "off": False}, "default": "on"},
    "prompt": {
        "variants": {"short": "Be brief.", "long": "Explain."},
        "default": "long",
        "rules": [
            {"audiences": ["staff"], "variant": "short"},
            {"where": [{"field": "plan", "values": ["pro"]}], "split": {"short": 1, "long": 3}},
        ],
    },
    "limit": {
        "variants": {"few": 3, "many": 30},
        "default": "few",
        "rules": [{"split": {"few": 1, "many": 1}}],
    },
    "shape": {
        "variants": {"a": {"k": [1, 2.5]}, "b": {}},
        "default": "a",
        "rules": [{"variant": "b"}],
    },
    "asleep": {"variants": {"on": True}, "default": "on", "enabled": False},
}
AUDIENCES: dict[str, Any] = {
    "staff": {
        "where": [{"field": "email", "is": "suffix", "values": ["@example.com"]}],
        "units": ["ann"],
    }
}


def compiled(delivery: Delivery = AT_REST, **flags: Any) -> Flags:
    declared = document({}, flags=FLAGS | flags, audiences=AUDIENCES)
    plan = compile_plan(declared, delivery=delivery)
    return Flags(plan.flags, plan.off)
