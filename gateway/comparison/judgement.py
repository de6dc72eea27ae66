"""A judge's part: which of two answers is better, asked of another model.

The judge is a route of the protocol openai. It sees the question and both answers, which
is whose it is not told, and the order depends on the request, so that a liking for the
first or the second evens out. It is asked for one word.
"""

from __future__ import annotations

import re
from typing import Any, Literal

import orjson

from gateway.comparison.readings import objects

Verdict = Literal["client", "shadow", "tie", ""]

PART_CHARS = 8_000  # of the question, and of each answer
INSTRUCTION = (
    "Two assistants answered the same request. Which answer is better: more correct, more"
    " helpful, closer to what was asked? Length does not matter, and neither does the order."
)
FORM = "Reply with one word: A, B, or tie."
_WORD = re.compile(r"\b(tie|A|B)\b")


def question_of(asked: bytes) -> str:
    """What the client wanted, as text."""
    try:
        request = orjson.loads(asked)
    except orjson.JSONDecodeError:
        return asked[:PART_CHARS].decode("utf-8", "replace")
    if not isinstance(request, dict):
        return asked[:PART_CHARS].decode("utf-8", "replace")
    turns = [f"{turn.get('role')}: {_plain(turn.get('content'))}" for turn in _turns(request)]
    text = "\n".join(turns) or _plain(request.get("prompt") or request.get("input")) or ""
    return text[-PART_CHARS:]


def _turns(request: dict[str, Any]) -> list[dict[str, Any]]:
    return objects(request, "messages") or objects(request, "input")


def _plain(content: Any) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    texts = [part.get("text") for part in parts if isinstance(part, dict)]
    return "\n".join(text for text in texts if isinstance(text, str))


def case_of(route: str, told: str, asked: bytes, client: str, shadow: str, *, swaps: bool) -> bytes:
    """The body of the request to the judge."""
    first, second = (shadow, client) if swaps else (client, shadow)
    parts = (
        f"The request:\n{question_of(asked)}",
        f"Answer A:\n{first[:PART_CHARS]}",
        f"Answer B:\n{second[:PART_CHARS]}",
        FORM,
    )
    messages = [
        {"role": "system", "content": told or INSTRUCTION},
        {"role": "user", "content": "\n\n".join(parts)},
    ]
    return orjson.dumps({"model": route, "messages": messages, "temperature": 0})


def verdict_of(body: bytes, *, swaps: bool) -> Verdict:
    """What the judge said; "" when that is none of the words."""
    try:
        choices = objects(orjson.loads(body), "choices")
    except orjson.JSONDecodeError:
        return ""
    message = choices[0].get("message") if choices else None
    text = message.get("content") if isinstance(message, dict) else None
    word = _word_of(text) if isinstance(text, str) else ""
    if word in {"", "tie"}:
        return "tie" if word else ""
    return "shadow" if (word == "a") == swaps else "client"


def _word_of(text: str) -> str:
    """The one word; of a longer reply the last that could be it. Lower case."""
    alone = text.strip(" \n\t.*\"'`").lower()
    if alone in {"a", "b", "tie"}:
        return alone
    words = _WORD.findall(text)
    return words[-1].lower() if words else ""
