"""Payloads made safe to keep. Budget: 2 µs a KiB of JSON and 15 of a stream without a hint.

Names say what is read, how large it is in KiB, and what is found in it.
"""

import json
import re

from bench.micro.timing import report
from gateway.payloads import Redactor
from gateway.plan import RecordPlan

SECRET = "sk-Zq7Xk2Vb9Lm4Tn6Wp3Rs8Yd5"  # noqa: S105 - nobody's
WORDS = re.split(
    " ", "Which risk-based tasks has Ann at Zürich in 2026, and who returns the data? "
)
EVERY_PATTERN = ("secrets", "email", "phone", "card", "iban")
JSON, SSE = b"application/json", b"text/event-stream"


def text(size: int) -> str:
    return (" ".join(WORDS) * (size // 76 + 1))[:size]


def chat(size: int, secret: str = "") -> bytes:
    """A conversation of so many bytes, in messages of 600."""
    contents = [text(600) for _ in range(max(size // 640, 1))]
    contents[len(contents) // 2] += f" {secret} "
    messages = [{"role": "user", "content": content} for content in contents]
    body = {"model": "chat", "user": "u-1", "messages": messages}
    return json.dumps(body, ensure_ascii=False).encode()


def stream(size: int, secret: str = "") -> bytes:
    """A streamed answer of so many bytes, four characters an event."""
    envelope = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_790_000_000}
    said = f"Here: {secret} " + text(size)
    events = []
    for at in range(0, len(said), 4):
        choice = {"index": 0, "delta": {"content": said[at : at + 4]}, "finish_reason": None}
        event = {**envelope, "model": "mini", "choices": [choice]}
        events.append(f"data: {json.dumps(event, separators=(',', ':'))}\n\n".encode())
        if len(events) * len(events[0]) > size:
            break
    return b"".join(events) + b"data: [DONE]\n\n"


def redactor(key: bytes = b"", **changes: object) -> Redactor:
    values: dict[str, object] = {
        "payload": "full",
        "sample_ppm": 1_000_000,
        "max_bytes": 64 * 1024,
        "headers": (),
        "features": "",
        "predictions": "",
        "redact_pointers": (),
        "redact_headers": (),
        "redact_patterns": ("secrets",),
        "is_encrypted": bool(key),
    }
    return Redactor(RecordPlan(**{**values, **changes}), key)  # type: ignore[arg-type]


def main() -> None:
    secrets, every = redactor(), redactor(redact_patterns=EVERY_PATTERN)
    pointers = redactor(redact_pointers=("/user",), redact_patterns=())
    sealed = redactor(bytes(32), redact_patterns=())
    for size in (2, 60):
        rows = {
            f"json_{size}_clean": (secrets, chat(size << 10), JSON),
            f"json_{size}_clean_every_pattern": (every, chat(size << 10), JSON),
            f"json_{size}_secret": (secrets, chat(size << 10, SECRET), JSON),
            f"json_{size}_pointer": (pointers, chat(size << 10), JSON),
            f"json_{size}_encrypted": (sealed, chat(size << 10), JSON),
            f"stream_{size}_clean": (secrets, stream(size << 10), SSE),
            f"stream_{size}_secret": (secrets, stream(size << 10, SECRET), SSE),
        }
        for name, (made, body, content_type) in rows.items():

            def run(
                count: int, made: Redactor = made, body: bytes = body, kind: bytes = content_type
            ) -> None:
                for _ in range(count):
                    made.payload(body, kind, len(body), True)

            report(f"payloads/{name}", run, 100 if size > 10 else 1000)


if __name__ == "__main__":
    main()
