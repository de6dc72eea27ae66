"""Secrets to plant, plans to keep them out, and what must be left of them: nothing."""

from __future__ import annotations

import json
from typing import Any

from gateway.payloads import Redactor
from gateway.plan import RecordPlan

LOT = "Zq7Xk2Vb9Lm4Tn6Wp3Rs8Yd5"
EVERY_PATTERN = ("secrets", "email", "phone", "card", "iban")
JSON, SSE, TEXT = b"application/json", b"text/event-stream", b"text/plain"

# By rule: what is planted, and the part of it that betrays.
CANARIES: dict[str, tuple[str, str, str]] = {
    "openai": ("secrets", f"sk-{LOT}", LOT),
    "anthropic": ("secrets", f"sk-ant-api03-{LOT}", LOT),
    "ours": ("secrets", f"gw_prod_ab12cd34_{LOT}", LOT),
    "aws": ("secrets", "AKIAZQ7XK2VB9LM4TN6W", "AKIAZQ7XK2VB9LM4TN6W"),
    "github": ("secrets", f"ghp_{LOT}", LOT),
    "github fine": ("secrets", f"github_pat_{LOT}", LOT),
    "slack": ("secrets", f"xoxb-1234567890-{LOT}", LOT),
    "google": ("secrets", f"AIza{LOT}abcdefghi1", LOT),
    "jwt": ("secrets", f"eyJhbGciOiJIUzI1NiJ9.eyJ{LOT}.{LOT}", LOT),
    "pem": (
        "secrets",
        f"-----BEGIN RSA PRIVATE KEY-----\nMII{LOT}\n{LOT}\n-----END RSA PRIVATE KEY-----",
        LOT,
    ),
    "bearer": ("secrets", f"Bearer {LOT}", LOT),
    "password": ("secrets", "password=hunterzwei!", "hunterzwei!"),
    "quoted": ("secrets", 'passwd: "correct horse"', "correct horse"),
    "user info": ("secrets", f"https://user:{LOT}@host.test/", LOT),
    "entropy": ("secrets", "client_secret = 9f86d081884c7d659a2feaa0c55ad015", "884c7d659a2fe"),
    "cookie": ("secrets", f"Cookie: sid={LOT}; theme=dark", LOT),
    "e-mail": ("email", "zq7xk2vb@example.org", "zq7xk2vb@example.org"),
    "phone": ("phone", "+41 44 668 18 00", "44 668 18 00"),
    "card": ("card", "4111 1111 1111 1111", "4111 1111 1111"),
    "iban": ("iban", "DE89 3704 0044 0532 0130 00", "3704 0044 0532 0130"),
}
_LEFT = 6  # characters in a row that count as betrayed


def record_plan(**changes: Any) -> RecordPlan:
    values: dict[str, Any] = {
        "payload": "full",
        "sample_ppm": 1_000_000,
        "max_bytes": 64 * 1024,
        "headers": (),
        "features": "",
        "predictions": "",
        "redact_pointers": (),
        "redact_headers": (),
        "redact_patterns": EVERY_PATTERN,
        "is_encrypted": False,
    }
    return RecordPlan(**{**values, **changes})


def redactor(key: bytes = b"", **changes: Any) -> Redactor:
    return Redactor(record_plan(**changes), key)


def kept(made: Redactor, body: bytes, content_type: bytes, **more: Any) -> dict[str, Any]:
    """The payload of a body, decoded."""
    given = {"total_bytes": len(body), "is_whole": True, **more}
    line = made.payload(body, content_type, **given)
    assert b"\n" not in line
    result: dict[str, Any] = json.loads(line)
    return result


def betrayed(name: str, text: str) -> list[str]:
    """What is left of a canary in a text."""
    core = CANARIES[name][2]
    return [
        core[at : at + _LEFT]
        for at in range(len(core) - _LEFT + 1)
        if core[at : at + _LEFT] in text
    ]


def delta(text: str, **more: Any) -> bytes:
    """One event of a streamed chat."""
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None, **more}
    event = {"id": "c1", "object": "chat.completion.chunk", "model": "mini", "choices": [choice]}
    return b"data: " + json.dumps(event).encode() + b"\n\n"


def content_of(stream: str) -> str:
    """What a client would put together from a recorded stream of chat."""
    events = [line[6:] for line in stream.split("\n") if line.startswith("data: {")]
    choices = [choice for event in events for choice in json.loads(event)["choices"]]
    return "".join(choice["delta"].get("content") or "" for choice in choices)
