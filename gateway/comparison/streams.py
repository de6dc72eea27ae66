"""An answer as one JSON document, whatever the form in which it came.

The events of a stream of chat or text completions are put together by choice; of a stream
of responses the last whole response stands; any other stream is the list of its events.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from gateway.comparison.answers import Form
from gateway.comparison.pointers import MISSING

CHOICES = 64  # of one answer


def assembled(body: bytes, form: Form, operation: str) -> Any:
    """The document; MISSING: it is no JSON."""
    if form == "whole":
        return _loaded(body)
    events = list(_events(body, form))
    if not events:
        return MISSING
    if operation == "responses":
        return _last_response(events)
    if operation in {"chat", "completions"}:
        return _put_together(events)
    return events


def _loaded(data: bytes) -> Any:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return MISSING


def _events(body: bytes, form: Form) -> Iterator[Any]:
    """The JSON of each event that has some."""
    for line in body.splitlines():
        data = line
        if form == "sse":
            if not line.startswith(b"data:"):
                continue
            data = line[5:]
        value = _loaded(data) if data.strip() else MISSING
        if value is not MISSING:
            yield value


def _last_response(events: list[Any]) -> Any:
    for event in reversed(events):
        if isinstance(event, dict) and isinstance(event.get("response"), dict):
            return event["response"]
    return events


def _put_together(events: list[Any]) -> dict[str, Any]:
    choices: dict[int, dict[str, Any]] = {}
    for event in events:
        parts = event.get("choices") if isinstance(event, dict) else None
        for part in parts if isinstance(parts, list) else ():
            index = part.get("index", 0) if isinstance(part, dict) else -1
            if isinstance(index, int) and 0 <= index < CHOICES:
                _add(choices.setdefault(index, {"index": index}), part)
    return {"choices": [_finished(choices[index]) for index in sorted(choices)]}


def _add(choice: dict[str, Any], part: dict[str, Any]) -> None:
    """One event's part of a choice."""
    if part.get("finish_reason") is not None:
        choice["finish_reason"] = part["finish_reason"]
    if isinstance(part.get("text"), str):
        choice.setdefault("texts", []).append(part["text"])
    delta = part.get("delta")
    if not isinstance(delta, dict):
        return
    message = choice.setdefault("message", {"role": "assistant", "contents": [], "calls": {}})
    if isinstance(delta.get("content"), str):
        message["contents"].append(delta["content"])
    calls = delta.get("tool_calls")
    for call in calls if isinstance(calls, list) else ():
        if isinstance(call, dict) and isinstance(call.get("index", 0), int):
            _add_call(message["calls"].setdefault(call.get("index", 0), {}), call)


def _add_call(made: dict[str, Any], call: dict[str, Any]) -> None:
    function = call.get("function")
    made.setdefault("type", call.get("type", "function"))
    if not isinstance(function, dict):
        return
    known = made.setdefault("function", {"name": "", "arguments": ""})
    for key in ("name", "arguments"):
        if isinstance(function.get(key), str):
            known[key] += function[key]


def _finished(choice: dict[str, Any]) -> dict[str, Any]:
    """The choice as it stands in an answer that is no stream."""
    if "texts" in choice:
        choice["text"] = "".join(choice.pop("texts"))
    message = choice.get("message")
    if message is not None:
        calls, contents = message.pop("calls"), message.pop("contents")
        message["content"] = "".join(contents) if contents or not calls else None
        if calls:
            message["tool_calls"] = [calls[index] for index in sorted(calls)]
    return choice
