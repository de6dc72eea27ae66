"""The clients: a few kinds, each asking one route in its own way, and what became of it."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

import orjson
from msgspec import Struct

from gateway.demo.client import Client

OK = 200


class Kind(Struct, frozen=True, kw_only=True):
    """One kind of client."""

    route: str
    people: int
    pause_s: float  # mean, between an answer and the next question
    path: str = "/v1/chat/completions"
    body: bytes


def _chat(route: str, question: str, **more: object) -> bytes:
    messages = [{"role": "user", "content": question}]
    return orjson.dumps({"model": route, "messages": messages, **more})


_INPUT = {"name": "x", "datatype": "FP64", "shape": [1, 3], "data": [129.9, 3, 0.7]}
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
        body=orjson.dumps({"inputs": [_INPUT]}),
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


async def flow(host: str, port: int, tally: Tally) -> None:
    """All clients, until cancelled."""
    async with asyncio.TaskGroup() as people:
        for kind in KINDS:
            for _ in range(kind.people):
                people.create_task(_person(kind, Client(host, port), tally))


async def _person(kind: Kind, client: Client, tally: Tally) -> None:
    chance = random.Random()
    async with client:
        while True:
            await asyncio.sleep(chance.expovariate(1 / kind.pause_s))
            await ask(kind, client, tally)


async def ask(kind: Kind, client: Client, tally: Tally) -> None:
    """One question, counted."""
    try:
        answer = await client.ask(kind.path, kind.body)
    except (OSError, EOFError, ValueError) as error:
        tally.failures[f"{kind.route}: {type(error).__name__}"] += 1
        return
    if answer.status != OK:
        tally.failures[f"{kind.route}: status {answer.status}"] += 1
        return
    tally.answered += 1
    if int(answer.fields.get("x-gateway-attempts", "1")) > 1:
        tally.rescued += 1
