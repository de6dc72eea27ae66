"""JSON that a request asked for: whether the answer is that.

    chat, completions   response_format: {type: json_object} or {type: json_schema, …}
    responses           text: {format: {type: …}}

What is asked for a schema is held against it where `jsonschema-rs` is installed (the extra
`schemas`); without it, JSON is enough. Whole answers and streams are read alike. A text that is
null, beside a call of a tool or a refusal, is no JSON that anybody expects.

Cost: one decode of the request, and of the answer; of a stream about 1 us an event. Who does not
ask pays nothing: the compiled code calls this where a request has such a `type` somewhere.
Rule: what is too long to be read says nothing; nor does a schema that is none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import msgspec
import orjson
from msgspec import Raw, Struct

from gateway.comparison.streams import assembled
from gateway.config.json_schema import validator_of
from gateway.contracts.anomalies import ANSWER_NOT_JSON, ANSWER_UNLIKE_SCHEMA, Anomaly, kind_of

Format = Literal["json_object", "json_schema"]

MOST_BYTES = 2**20  # of an answer
MOST_SCHEMA = 2**14  # bytes: a longer one is not held against the answer
MOST_TEXTS = 64  # of one answer


class Judged(NamedTuple):
    """What was asked for, and what is wrong with the answer."""

    format: Format
    anomalies: tuple[Anomaly, ...]


class _Schema(Struct):
    schema: Raw = Raw(b"")


class _Wanted(Struct):
    type: str = ""
    json_schema: _Schema | None = None  # of chat
    schema: Raw = Raw(b"")  # of responses


class _Text(Struct):
    format: _Wanted | None = None


class _Chat(Struct):
    response_format: _Wanted | None = None


class _Responses(Struct):
    text: _Text | None = None


class _Delta(Struct, gc=False):
    content: str | None = None


class _Part(Struct, gc=False):
    index: int = 0
    delta: _Delta | None = None


class _Event(Struct, gc=False):
    choices: list[_Part] | None = None


_events = msgspec.json.Decoder(list[_Event]).decode


def judged(request: bytes, answer: bytes, operation: str, *, is_stream: bool) -> Judged | None:
    """What is to be said of an answer; None: no JSON was asked for, or nobody can tell."""
    wanted = _wanted(request, operation)
    if wanted is None or len(answer) > MOST_BYTES:
        return None
    form: Format = "json_schema" if wanted.type == "json_schema" else "json_object"
    check = _check_of(wanted)
    document = _chat_streamed(answer) if is_stream and operation == "chat" else None
    if document is None:
        document = assembled(answer, "sse" if is_stream else "whole", operation)
    try:
        found = tuple(_wrong(document, operation, form, check))
    except (KeyError, TypeError, AttributeError, IndexError):
        found = (_anomaly(ANSWER_NOT_JSON, "", "an answer of this protocol", document),)
    return Judged(form, found)


def _wanted(request: bytes, operation: str) -> _Wanted | None:
    try:
        if operation == "responses":
            text = msgspec.json.decode(request, type=_Responses).text
            wanted = text.format if text is not None else None
        else:
            wanted = msgspec.json.decode(request, type=_Chat).response_format
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return wanted if wanted and wanted.type in {"json_object", "json_schema"} else None


def _chat_streamed(body: bytes) -> Any:
    """The texts of a stream of chat, where each choice has one; None: look more closely.

    Why not always closely: an event a time takes several times as long, and the loop waits.
    """
    data = [line[5:] for line in body.splitlines() if line.startswith(b"data:")]
    try:
        events = _events(b"[%b]" % b",".join(one for one in data if one.strip() != b"[DONE]"))
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    texts: dict[int, list[str]] = {}
    for event in events:
        for part in event.choices or ():
            pieces = texts.setdefault(part.index, [])
            if part.delta is not None and part.delta.content:
                pieces.append(part.delta.content)
    if not texts or not all(texts.values()):
        return None
    whole = ("".join(texts[index]) for index in sorted(texts))
    return {"choices": [{"message": {"content": text}} for text in whole]}


def _wrong(
    document: Any, operation: str, form: Format, check: Callable[[Any], bool]
) -> Iterator[Anomaly]:
    for pointer, text in _texts(document, operation):
        try:
            value = orjson.loads(text)
        except orjson.JSONDecodeError:
            yield _anomaly(ANSWER_NOT_JSON, pointer, "JSON", text)
            continue
        if form == "json_object" and not isinstance(value, dict):
            yield _anomaly(ANSWER_NOT_JSON, pointer, "a JSON object", value)
        elif form == "json_schema" and not _meets(check, value):
            yield _anomaly(ANSWER_UNLIKE_SCHEMA, pointer, "what the request's schema wants", value)


def _texts(document: Any, operation: str) -> Iterator[tuple[str, str]]:
    """(pointer, text) of each text of an answer."""
    if operation == "responses":
        for at, item in enumerate(document["output"][:MOST_TEXTS]):
            parts = item["content"] if item["type"] == "message" else ()
            for place, part in enumerate(parts[:MOST_TEXTS]):
                if part["type"] == "output_text":
                    yield f"/output/{at}/content/{place}/text", part["text"]
        return
    for at, choice in enumerate(document["choices"][:MOST_TEXTS]):
        if operation == "completions":
            yield f"/choices/{at}/text", choice["text"]
        elif choice["message"]["content"] is not None:
            yield f"/choices/{at}/message/content", choice["message"]["content"]


def _anomaly(name: str, pointer: str, expected: str, value: object) -> Anomaly:
    return Anomaly(name=name, field="", pointer=pointer, expected=expected, got=kind_of(value))


def _meets(check: Callable[[Any], bool], value: Any) -> bool:
    try:
        return check(value)
    except ValueError:  # a value that jsonschema-rs cannot read
        return False


def _check_of(wanted: _Wanted) -> Callable[[Any], bool]:
    schema = wanted.json_schema.schema if wanted.json_schema else wanted.schema
    written = bytes(schema)
    if wanted.type != "json_schema" or not 0 < len(written) <= MOST_SCHEMA:
        return _anything
    return _checker(written)


@lru_cache(maxsize=256)
def _checker(schema: bytes) -> Callable[[Any], bool]:
    try:
        check: Callable[[Any], bool] = validator_of(orjson.loads(schema)).is_valid
    except (ImportError, ValueError, TypeError):
        # Why: a client's schema that is none, or leads elsewhere, says nothing of answers.
        return _anything
    return check


def _anything(_value: Any) -> bool:
    return True
