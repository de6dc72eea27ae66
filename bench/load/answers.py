"""Are the answers right? A sampler asks the same request now and then while load runs.

A proxy that only forwards must return the backend's bytes; one that encodes the answer
anew must return the same text, reason and usage.
"""

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from msgspec import Struct

from bench.load.bodies import ANSWER, KEY

OK = 200
PERIOD_S = 0.2
PATH = "/v1/chat/completions"


class Ask(Struct, frozen=True):
    """One request to one port."""

    port: int
    body: bytes
    rewritten: bool = False  # the proxy encodes answers anew


class Tally(Struct):
    """What the sampler has seen."""

    asked: int = 0
    unequal: int = 0


def fetch(ask: Ask, connection: http.client.HTTPConnection | None = None) -> tuple[int, bytes]:
    """Status and body; raises OSError when there is no whole answer."""
    made = connection or http.client.HTTPConnection("127.0.0.1", ask.port, timeout=10)
    headers = {"content-type": "application/json", "authorization": f"Bearer {KEY}"}
    try:
        made.request("POST", PATH, ask.body, headers)
        answer = made.getresponse()
        return answer.status, answer.read()
    except http.client.HTTPException as error:
        raise OSError(f"{type(error).__name__}: {error}") from error
    finally:
        if connection is None:
            made.close()


def is_right(ask: Ask, status: int, body: bytes) -> bool:
    """Whether the answer is the backend's."""
    if status != OK:
        return False
    return meaning(body) == meaning(ANSWER) if ask.rewritten else body == ANSWER


def meaning(body: bytes) -> tuple[object, ...] | None:
    """What a client reads of a chat completion; None when it is none."""
    try:
        answer = json.loads(body)
        choice, usage = answer["choices"][0], answer["usage"]
        tokens = (usage["prompt_tokens"], usage["completion_tokens"])
        return choice["message"]["content"], choice["finish_reason"], *tokens
    except (ValueError, LookupError, TypeError):
        return None


@contextmanager
def sampled(ask: Ask, period_s: float = PERIOD_S) -> Iterator[Tally]:
    """Asks every period in a thread until left; the tally is final then."""
    tally, stop = Tally(), threading.Event()

    def sample() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", ask.port, timeout=10)
        while not stop.wait(period_s):
            tally.asked += 1
            try:
                tally.unequal += not is_right(ask, *fetch(ask, connection))
            except OSError:
                tally.unequal += 1
        connection.close()

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield tally
    finally:
        stop.set()
        thread.join()
