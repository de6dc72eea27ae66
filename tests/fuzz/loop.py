"""Bounded fuzzing by seeded random damage, or by atheris where that is installed.

    python -m tests.fuzz.splice --seconds 30 --seed 1

A finding ends the run with its traceback and the input, which belongs into the tests
of the module then.
"""

import argparse
import importlib
import random
import sys
import time
from collections.abc import Callable, Sequence

FuzzOne = Callable[[bytes], None]


def run(fuzz_one: FuzzOne, seeds: Sequence[bytes], gadgets: Sequence[bytes]) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--atheris", action="store_true", help="by atheris instead")
    arguments = parser.parse_args()
    if arguments.atheris:
        atheris = importlib.import_module("atheris")
        options = [f"-max_total_time={arguments.seconds}", f"-seed={arguments.seed}"]
        atheris.Setup([sys.argv[0], *options], fuzz_one)
        atheris.Fuzz()
    count = damage(fuzz_one, seeds, gadgets, arguments.seconds, arguments.seed)
    sys.stdout.write(f"{count} inputs, no finding\n")


def damage(
    fuzz_one: FuzzOne, seeds: Sequence[bytes], gadgets: Sequence[bytes], seconds: float, seed: int
) -> int:
    """How many damaged seeds were tried within the time."""
    dice = random.Random(seed)
    end = time.monotonic() + seconds
    count = 0
    while time.monotonic() < end:
        data = dice.choice(seeds)
        for _ in range(dice.randrange(5)):
            data = damaged(dice, data, seeds, gadgets)
        try:
            fuzz_one(data)
        except BaseException:
            sys.stderr.write(f"found by input {data!r}\n")
            raise
        count += 1
    return count


def damaged(
    dice: random.Random, data: bytes, seeds: Sequence[bytes], gadgets: Sequence[bytes]
) -> bytes:
    """With a piece put in, cut out, doubled, changed or taken from another seed."""
    at = dice.randint(0, len(data))
    to = min(len(data), at + dice.choice((0, 1, 2, 4, 16, 64)))
    other = dice.choice(seeds)
    piece = dice.choice(
        (
            b"",
            dice.choice(gadgets),
            data[at:to] * dice.choice((2, 3, 40)),
            bytes(byte ^ 1 << dice.randrange(8) for byte in data[at:to]),
            other[dice.randint(0, len(other)) :],
        )
    )
    return data[:at] + piece + data[to:]
