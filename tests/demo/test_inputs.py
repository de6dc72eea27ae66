"""What the demo says of fraud's inputs."""

import random

import msgspec

from gateway.demo.inputs import compared
from gateway.demo.traffic import World, payment

AT_S = 1_795_000_000


def lines(count: int, *, is_in_cents: bool, seed: int) -> list[bytes]:
    world, chance = World(), random.Random(seed)
    world.is_in_cents = is_in_cents
    return [
        msgspec.json.encode(
            {
                "kind": "prediction",
                "route": "fraud",
                "time": "2026-11-18T11:06:40.000000Z",
                "features": msgspec.json.decode(payment(chance, world))["inputs"],
            }
        )
        for _ in range(count)
    ]


def test_unit_that_changed_is_named() -> None:
    before = lines(200, is_in_cents=False, seed=1)
    text = compared(before, lines(120, is_in_cents=True, seed=2), AT_S)
    assert text.startswith("fraud: 1 of 3 fields drift (120 rows against 200)\n! amount ")
    assert "`amount` is 100 times what it was: mean " in text.splitlines()[-1]


def test_nothing_is_said_where_nothing_changed() -> None:
    before = lines(200, is_in_cents=False, seed=1)
    text = compared(before, lines(120, is_in_cents=False, seed=2), AT_S)
    assert text.startswith("fraud: 0 of 3 fields drift")
    assert len(text.splitlines()) == 4
