"""What an answer says, by protocol: its document, and the text, label and number in it.

openai  the answer as one document, put together from its events where it was a stream. Its
        text is what the model wrote, its label the tools that it calls. Ids, times, counts
        and log probabilities are left out of the document; arguments of tools, and a text
        that is JSON, are read as such.
kserve  the outputs. Of a single output its number, its text, or the class with the highest
        score.
http    the JSON as it is, but for ids and times at its top; a body that is none is a text.

Rule: a member that is not of the form it should be is passed over, like one that is missing.
"""

from __future__ import annotations

import math
import struct
from base64 import b64decode
from collections.abc import Iterator
from typing import Any

import orjson
from msgspec import Struct

from gateway.comparison.answers import Answer
from gateway.comparison.differences import DEPTH, NODES
from gateway.comparison.pointers import MISSING, container
from gateway.comparison.streams import assembled

LABEL_CHARS = 64
_VOLATILE = frozenset({"id", "request_id", "created", "created_at", "timestamp", "time"})
_OPENAI_VOLATILE = _VOLATILE | {
    "annotations",
    "item_id",
    "logprobs",
    "model",
    "object",
    "service_tier",
    "system_fingerprint",
    "usage",
}


class Reading(Struct, kw_only=True):
    """What one answer says."""

    whole: Any = MISSING  # the document that pointers lead into
    document: Any = MISSING  # what of it is compared, member by member
    structured: Any = MISSING  # what a schema is about
    text: str | None = None
    label: str | None = None
    number: float | None = None
    vector: list[float] | None = None  # of an embedding


def read(answer: Answer, protocol: str, operation: str) -> Reading | None:
    """None: there is nothing to read."""
    if not answer.is_good or answer.body is None:
        return None
    whole = assembled(answer.body, answer.form, operation)
    if whole is MISSING:
        return _plain(answer.body)
    if protocol == "openai":
        return _openai(whole, operation)
    if protocol == "kserve":
        return _kserve(whole)
    return Reading(whole=whole, document=_without(whole, _VOLATILE), structured=whole)


def _plain(body: bytes) -> Reading | None:
    try:
        return Reading(text=body.decode())
    except UnicodeDecodeError:
        return None


def _without(value: Any, names: frozenset[str]) -> Any:
    """An object without these members of its own."""
    if not isinstance(value, dict):
        return value
    return {key: each for key, each in value.items() if key not in names}


def objects(value: Any, key: str) -> list[dict[str, Any]]:
    """The objects in a member that is a list."""
    items = value.get(key) if isinstance(value, dict) else None
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


# openai


def _openai(whole: Any, operation: str) -> Reading:
    if operation == "embeddings":
        return Reading(whole=whole, vector=next(_vectors(whole), None))
    texts = list(_texts(whole))
    text = "\n".join(texts) if texts else None
    structured = container(text) if text else MISSING
    tools = "+".join(_tools(whole))
    return Reading(
        whole=whole,
        document=_stripped(whole),
        structured=structured if texts or operation in {"chat", "responses"} else whole,
        text=text,
        label=tools[:LABEL_CHARS] if tools else None,
    )


def _texts(whole: Any) -> Iterator[str]:
    """What the model wrote: of chat, completions and responses."""
    for choice in objects(whole, "choices"):
        message = choice.get("message")
        content = message.get("content") if isinstance(message, dict) else choice.get("text")
        if isinstance(content, str):
            yield content
    for item in objects(whole, "output"):
        for part in objects(item, "content"):
            if isinstance(part.get("text"), str):
                yield part["text"]


def _tools(whole: Any) -> Iterator[str]:
    """The names of the tools that are called."""
    for choice in objects(whole, "choices"):
        for call in objects(choice.get("message"), "tool_calls"):
            function = call.get("function")
            if isinstance(function, dict) and isinstance(function.get("name"), str):
                yield function["name"]
    for item in objects(whole, "output"):
        if item.get("type") == "function_call" and isinstance(item.get("name"), str):
            yield item["name"]


def _stripped(value: Any, depth: int = DEPTH) -> Any:
    """The document without what always differs; texts that are prose are compared as texts."""
    if not depth:
        return None
    if isinstance(value, list):
        return [_stripped(each, depth - 1) for each in value[:NODES]]
    if not isinstance(value, dict):
        return value
    stripped: dict[str, Any] = {}
    for key, each in value.items():
        if key in _OPENAI_VOLATILE or key.endswith("_id"):
            continue
        if key in {"content", "text", "arguments"} and isinstance(each, str):
            inner = container(each)
            if inner is MISSING:
                continue
            stripped[key] = inner
        else:
            stripped[key] = _stripped(each, depth - 1)
    return stripped


def _vectors(whole: Any) -> Iterator[list[float]]:
    for item in objects(whole, "data"):
        embedding = item.get("embedding")
        if isinstance(embedding, list) and embedding and all(map(_is_number, embedding)):
            yield embedding
        elif isinstance(embedding, str):
            yield _floats(embedding)


def _floats(packed: str) -> list[float]:
    """An embedding as base64 of 32-bit floats."""
    try:
        raw = b64decode(packed, validate=True)
    except ValueError:
        return []
    return list(struct.unpack(f"<{len(raw) // 4}f", raw[: len(raw) // 4 * 4]))


def cosine(one: list[float], other: list[float]) -> float | None:
    """Of two embeddings; below 0 is 0."""
    if len(one) != len(other) or not one:
        return None
    lengths = math.hypot(*one) * math.hypot(*other)
    if not lengths or not math.isfinite(lengths):
        return None
    product = sum(a * b for a, b in zip(one, other, strict=True))
    return round(min(1.0, max(0.0, product / lengths)), 4)


# kserve


def _kserve(whole: Any) -> Reading:
    outputs = objects(whole, "outputs")
    document = {"outputs": whole["outputs"]} if outputs else _without(whole, _VOLATILE)
    reading = Reading(whole=whole, document=document, structured=whole)
    if len(outputs) == 1:
        _read_output(reading, outputs[0].get("data"))
    return reading


def _read_output(reading: Reading, data: Any) -> None:
    while isinstance(data, list) and len(data) == 1:
        data = data[0]
    if _is_number(data):
        reading.number = float(data)
    elif isinstance(data, str):
        reading.label = data[:LABEL_CHARS]
    elif isinstance(data, list) and data and all(isinstance(each, float) for each in data):
        reading.label = str(max(range(len(data)), key=data.__getitem__))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def label_of(value: Any) -> str | None:
    """A value as a label."""
    if value is MISSING or value is None:
        return None
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    return text[:LABEL_CHARS]


def number_of(value: Any) -> float | None:
    """A value as a number."""
    if _is_number(value):
        return float(value)
    try:
        return float(value) if isinstance(value, str) else None
    except ValueError:
        return None
