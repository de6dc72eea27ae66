"""What happens to the stand-in models, when, and how it is told."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from gateway.demo.figures import CLOSED, HALF_OPEN, OPEN, Chronicle
from gateway.demo.models import CHALLENGERS, MORTAL

CYCLE_S = 32.0
DEATH, RETURN = 0.25, 0.5  # of a cycle
TRIALS = (0.04, 0.45)  # of a cycle
CENTS = 0.6  # of a cycle
DIES, RETURNS = "dies: its port closes, its connections are reset", "is back at its port"
IN_CENTS = "its clients send amounts in cents from now on, and say nothing"


def deeds(seconds: float | None) -> Iterator[tuple[float, str]]:
    """When the model dies and when it returns; for ever where no end is given."""
    cycles = max(1, int(seconds // CYCLE_S)) if seconds else None
    length_s = seconds / cycles if seconds and cycles else CYCLE_S
    for turn in itertools.count() if cycles is None else range(cycles):
        yield (turn + DEATH) * length_s, DIES
        yield (turn + RETURN) * length_s, RETURNS


def trials(seconds: float | None) -> Iterator[tuple[float, str]]:
    """When each challenger of fraud's models is tried, once."""
    length_s = min(seconds or CYCLE_S, CYCLE_S)
    yield from ((at * length_s, name) for at, name in zip(TRIALS, CHALLENGERS, strict=True))


def cents_s(seconds: float | None) -> float:
    """When who asks fraud's models begins to send cents for euros."""
    return CENTS * min(seconds or CYCLE_S, CYCLE_S)


def narration(chronicle: Chronicle) -> str:
    """What is happening now, in a sentence or two."""
    status = chronicle.latest
    if status is None:
        return "The gateway is starting."
    last = next((e.what for e in reversed(chronicle.events) if e.what in {DIES, RETURNS}), None)
    breaker = status.backend(MORTAL.name).now.breaker
    return _told(last, breaker, MORTAL.name, _others(chronicle))


def _told(last: str | None, breaker: str, name: str, others: str) -> str:
    if last is None:
        return (
            "Four kinds of clients ask four routes, each with a policy of its own."
            f" `chat` takes the cheapest backend that is fast enough: {name}."
        )
    if last == DIES and breaker == CLOSED:
        return f"{name} has just died. Requests that were under way there are asked elsewhere."
    if last == DIES:
        return f"{name} is dead and its breaker open: nobody waits for it, {others} answer instead."
    if breaker == OPEN:
        return f"{name} is back, but nobody knows yet: its breaker lets a probe through soon."
    if breaker == HALF_OPEN:
        return f"A probe is under way to {name}; meanwhile {others} answer."
    return f"The probe was answered and the breaker closed: {name} is the cheapest again."


def _others(chronicle: Chronicle) -> str:
    shares = chronicle.shares()
    names = sorted(("flaky", "swift"), key=lambda name: -shares.get(name, 0.0))
    return " and ".join(names)
