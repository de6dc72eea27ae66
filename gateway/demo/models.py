"""The stand-in models: what each is like, what it costs, and what it says.

Nothing is computed by a model here; answers have the shape, the pace, the usage and the
troubles of real ones.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Sequence

import orjson
from msgspec import Struct

BYTES_PER_TOKEN = 4
SPREAD = 0.22  # sigma of the log of a first-byte time

_SENTENCE = (
    "A gateway stands in front of many models and asks one of them for each request ; "
    "when that one fails , it asks another , and nobody who waits notices more than a moment ."
)


class Model(Struct, frozen=True, kw_only=True):
    """One stand-in."""

    name: str
    protocol: str = "openai"
    is_like: str  # in a few words, for people
    first_byte_s: float  # median
    word_s: float = 0.004  # between two words of a stream
    input_usd: float = 0.0  # per million tokens
    output_usd: float = 0.0
    request_usd: float = 0.0
    failing: float = 0.0  # share of requests answered 500
    limiting: float = 0.0  # share answered 429
    resetting: float = 0.0  # share whose connection is reset


MODELS: tuple[Model, ...] = (
    Model(name="thrifty", is_like="cheap, slow", first_byte_s=0.24, input_usd=0.1, output_usd=0.4),
    Model(name="swift", is_like="fast, dear", first_byte_s=0.035, input_usd=3.0, output_usd=15.0),
    Model(
        name="flaky",
        is_like="fails at times",
        first_byte_s=0.11,
        input_usd=0.5,
        output_usd=1.5,
        failing=0.06,
        limiting=0.015,
        resetting=0.025,
    ),
    Model(
        name="narrator",
        is_like="streams",
        first_byte_s=0.08,
        word_s=0.02,
        input_usd=0.6,
        output_usd=2.4,
    ),
    Model(
        name="fraud-a",
        protocol="kserve",
        is_like="classic",
        first_byte_s=0.012,
        request_usd=0.00002,
    ),
    Model(
        name="fraud-b",
        protocol="kserve",
        is_like="classic",
        first_byte_s=0.013,
        request_usd=0.00002,
    ),
    Model(
        name="fraud-c",
        protocol="kserve",
        is_like="new, bad",
        first_byte_s=0.012,
        request_usd=0.00001,
        failing=0.5,
    ),
    Model(
        name="fraud-d",
        protocol="kserve",
        is_like="new, good",
        first_byte_s=0.012,
        request_usd=0.00001,
    ),
)
BY_NAME = {model.name: model for model in MODELS}
CHALLENGERS = ("fraud-c", "fraud-d")  # of fraud's two, one after the other
MORTAL, DEAREST = BY_NAME["thrifty"], BY_NAME["swift"]


def pause_s(model: Model, chance: random.Random) -> float:
    """A time to the first byte: log-normal round the median, as of a server under mixed load."""
    return model.first_byte_s * math.exp(chance.gauss(0.0, SPREAD))


def words(chance: random.Random) -> Sequence[str]:
    """What the model says: a sentence, begun anew when it is not long enough."""
    return list(itertools.islice(itertools.cycle(_SENTENCE.split()), chance.randint(18, 60)))


def completion(model: Model, said: Sequence[str], request_bytes: int) -> bytes:
    """A chat completion, whole."""
    message = {"role": "assistant", "content": f"({model.name}) {' '.join(said)}"}
    return orjson.dumps(
        {
            "id": "chatcmpl-demo",
            "object": "chat.completion",
            "created": 0,
            "model": model.name,
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": usage(said, request_bytes),
        }
    )


def usage(said: Sequence[str], request_bytes: int) -> dict[str, int]:
    """Tokens in and out; a word is a token."""
    asked = request_bytes // BYTES_PER_TOKEN
    return {
        "prompt_tokens": asked,
        "completion_tokens": len(said),
        "total_tokens": asked + len(said),
    }


def events(model: Model, said: Sequence[str], request_bytes: int) -> list[bytes]:
    """The same as server-sent events, usage in the last one."""
    deltas: list[dict[str, object]] = [{"content": f"{word} "} for word in said]
    choices: list[dict[str, object]] = [
        {"index": 0, "delta": delta, "finish_reason": None} for delta in deltas
    ]
    choices.append({"index": 0, "delta": {}, "finish_reason": "stop"})
    chunks = [_chunk(model, [choice]) for choice in choices]
    last = _chunk(model, []) | {"usage": usage(said, request_bytes)}
    return [*(b"data: %b\n\n" % orjson.dumps(c) for c in (*chunks, last)), b"data: [DONE]\n\n"]


def _chunk(model: Model, choices: list[dict[str, object]]) -> dict[str, object]:
    return {
        "id": "chatcmpl-demo",
        "object": "chat.completion.chunk",
        "created": 0,
        "model": model.name,
        "choices": choices,
    }


def prediction(model: Model, chance: random.Random) -> bytes:
    """A score, as an Open Inference Protocol server gives it."""
    score = {"name": "score", "datatype": "FP64", "shape": [1], "data": [chance.random()]}
    return orjson.dumps({"model_name": model.name, "model_version": "3", "outputs": [score]})
