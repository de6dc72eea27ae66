"""The bytes of a benchmark request and of the answers, known beforehand on both sides.

Chat: a request of 290 bytes unless a prompt length is asked for; the answer is fixed.
Stream: the request tells the origin how many events to send and how far apart, in two
fields of the OpenAI protocol that every proxy passes on: `max_tokens` and `seed`
(microseconds). Each event is EVENT_BYTES long and goes out in a write of its own.
"""

import json
import re

KEY = "sk-bench-0123456789abcdef0123456789abcdef"
CHAT_REQUEST_BYTES = 290
EVENT_BYTES = 160
EVENTS = 100
EVENT_GAP_US = 4000

ANSWER = json.dumps(
    {
        "id": "chatcmpl-bench-000000000000000000000001",
        "object": "chat.completion",
        "created": 1760000000,
        "model": "stand-in",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "The quick brown fox jumps over the lazy dog; "
                    "the dog sleeps on, as usual",
                },
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 42, "completion_tokens": 17, "total_tokens": 59},
        "system_fingerprint": "fp_bench",
    },
    separators=(",", ":"),
).encode()

DONE = b"data: [DONE]\n\n"


def chat_request(model: str = "chat", length: int = CHAT_REQUEST_BYTES) -> bytes:
    """A chat request of exactly `length` bytes, its prompt filled up with words."""
    request = {
        "model": model,
        "messages": [
            {"role": "system", "content": "You are a terse assistant."},
            {"role": "user", "content": "@"},
        ],
        "temperature": 0.2,
        "max_tokens": 64,
        "user": "bench",
    }
    return filled(json.dumps(request).encode(), length)


def filled(template: bytes, length: int) -> bytes:
    """The template with its "@" replaced by as many words as make the length."""
    missing = length - len(template) + 1
    if missing < 1:
        raise ValueError(f"{length} bytes are too few: the request alone takes {len(template)}")
    words = b"how do I keep a large model server busy without making anyone wait " * (
        missing // 60 + 1
    )
    return template.replace(b"@", words[:missing])


def stream_request(events: int = EVENTS, gap_us: int = EVENT_GAP_US) -> bytes:
    """A streaming chat request that names the events it wants and the gap between them."""
    request = {
        "model": "stream",
        "messages": [{"role": "user", "content": "Tell a story."}],
        "max_tokens": events,
        "seed": gap_us,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    return json.dumps(request).encode()


def stream_wish(body: bytes) -> tuple[int, int]:
    """Events and gap in microseconds, as the request's body asks for them."""
    events, gap = (
        re.search(rb'"%s"\s*:\s*(\d+)' % name, body) for name in (b"max_tokens", b"seed")
    )
    return int(events[1]) if events else EVENTS, int(gap[1]) if gap else EVENT_GAP_US


def event(choice: str, usage: str = "") -> bytes:
    """One SSE event of EVENT_BYTES, filled up with blanks inside its JSON."""
    head = f'data: {{"id":"chatcmpl-1","object":"chat.completion.chunk","choices":[{choice}]{usage}'
    return f"{head:<{EVENT_BYTES - 3}}}}\n\n".encode()


DELTA = event('{"index":0,"delta":{"content":" word"},"finish_reason":null}')
FINISH = event('{"index":0,"delta":{},"finish_reason":"stop"}')
USAGE = event("", ',"usage":{"prompt_tokens":9,"completion_tokens":98,"total_tokens":107}')
