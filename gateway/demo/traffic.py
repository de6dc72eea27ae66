"""The clients: a few kinds, each asking one route in its own way, and what became of it."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable

import orjson
from msgspec import Struct

from gateway.demo.client import Client

OK = 200


class World:
    """What is wrong where requests come from."""

    is_in_cents = False  # amounts, which should be in euros


Body = Callable[[random.Random, World], bytes]


class Kind(Struct, frozen=True, kw_only=True):
    """One kind of client."""

    route: str
    people: int
    pause_s: float  # mean, between an answer and the next question
    path: str = "/v1/chat/completions"
    body: Body


def _chat(route: str, question: str, **more: object) -> Body:
    messages = [{"role": "user", "content": question}]
    body = orjson.dumps({"model": route, "messages": messages, **more})
    return lambda _chance, _world: body


def payment(chance: random.Random, world: World) -> bytes:
    """A row of features, as KServe's protocol has it."""
    amount = round(chance.lognormvariate(3.5, 0.7), 2)
    values = {
        "amount": round(amount * 100) if world.is_in_cents else amount,
        "items": chance.randint(1, 6),
        "age_days": round(chance.expovariate(1 / 400), 1),
    }
    tensors = [
        {"name": name, "datatype": "FP64", "shape": [1], "data": [value]}
        for name, value in values.items()
    ]
    return orjson.dumps({"inputs": tensors})


KINDS: tuple[Kind, ...] = (
    Kind(route="chat", people=7, pause_s=0.25, body=_chat("chat", "Sum up this thread. " * 20)),
    Kind(route="helpdesk", people=3, pause_s=0.2, body=_chat("helpdesk", "Where is my order?")),
    Kind(
        route="story", people=4, pause_s=0.5, body=_chat("story", "Tell me a story.", stream=True)
    ),
    Kind(
        route="fraud",
        people=2,
        pause_s=0.1,
        path="/v2/models/fraud/infer",
        body=payment,
    ),
)


class Tally:
    """What the clients saw."""

    def __init__(self) -> None:
        self.answered = 0
        self.rescued = 0  # by another attempt than the first
        self.failures: Counter[str] = Counter()

    @property
    def failed(self) -> int:
        return self.failures.total()


async def flow(host: str, port: int, tally: Tally, world: World) -> None:
    """All clients, until cancelled."""
    async with asyncio.TaskGroup() as people:
        for kind in KINDS:
            for _ in range(kind.people):
                people.create_task(_person(kind, Client(host, port), tally, world))


async def _person(kind: Kind, client: Client, tally: Tally, world: World) -> None:
    chance = random.Random()
    async with client:
        while True:
            await asyncio.sleep(chance.expovariate(1 / kind.pause_s))
            await ask(kind, kind.body(chance, world), client, tally)


async def ask(kind: Kind, body: bytes, client: Client, tally: Tally) -> None:
    """One question, counted."""
    try:
        answer = await client.ask(kind.path, body)
    except (OSError, EOFError, ValueError) as error:
        tally.failures[f"{kind.route}: {type(error).__name__}"] += 1
        return
    if answer.status != OK:
        tally.failures[f"{kind.route}: status {answer.status}"] += 1
        return
    tally.answered += 1
    if int(answer.fields.get("x-gateway-attempts", "1")) > 1:
        tally.rescued += 1
