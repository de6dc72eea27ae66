"""Any bytes, cut anywhere: stream events are read as the reference reads them whole.

The first three bytes choose the marks, the mode and where the rest is cut.
"""

import random
from dataclasses import asdict
from typing import Any

from gateway._fast.events import Events
from gateway._fast.marks import Marks
from tests.fuzz.loop import run
from tests.reference import events as reference

MARKS: list[dict[str, Any]] = [
    {},
    {"limit": 60},
    {"limit": 7},
    {
        "usage": ("/response/usage", "/usage"),
        "ended": {"response.completed": "stop", "response.incomplete": "length"},
        "failing": ("response.failed", "error"),
        "finish_reason": False,
    },
    {
        "done": "",
        "usage": ("",),
        "input_tokens": ("/prompt_eval_count",),
        "output_tokens": ("/eval_count",),
        "cached_tokens": (),
        "done_member": "done",
        "finish_reason": False,
        "limit": 100,
    },
]

SEEDS = [
    prefix + text
    for prefix in (b"\0\0\0", b"\0\1\1", b"\1\1\2", b"\3\0\3", b"\4\2\4")
    for text in (
        b'data: {"choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":null}]}\n\n'
        b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":null}\n\n'
        b'data: {"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2,'
        b'"prompt_tokens_details":{"cached_tokens":1}}}\n\ndata: [DONE]\n\n',
        b'\xef\xbb\xbf: hi\r\revent: response.completed\rdata: {"type":"response.completed",\r'
        b'data:"response":{"usage":{"input_tokens":3}}}\r\r',
        b'event: error\r\ndata: {"error":{"message":"no"}}\r\n\r\nid: 1\r\nretry: 2\r\n\r\n',
        b'{"done":false,"eval_count":null}\r\n\n{"done":true,"prompt_eval_count":3,"eval_count":4}\n',
    )
]
GADGETS = [
    b"\n", b"\r", b"\r\n", b"\n\n", b"\r\r", b"\r\n\r\n", b":", b": ", b" ", b"data", b"data:",
    b"data: [DONE]\n\n", b"event: error\n", b"event:response.failed\n", b"\xef\xbb\xbf", b"\x00",
    b'"usage"', b'"us\\u0061ge"', b'"error":1', b'"choices":[],', b'"finish_reason":"length"',
    b"null", b"{", b"}", b'"', b"\\", b",", b'"type":"response.incomplete",', b"x" * 50,
]  # fmt: skip


def fuzz_one(data: bytes) -> None:
    if len(data) < 3:
        return
    marks = MARKS[data[0] % len(MARKS)]
    arguments: dict[str, Any] = {
        "withhold_usage": bool(data[1] & 1),
        "ndjson": bool(data[1] & 2),
        "choices": 1 + data[1] // 4 % 3,
    }
    pieces = cut(data[3:], random.Random(data[2]))
    reader = reference.Reader(reference.Marks(**marks), **arguments)
    expected = (reader.read(data[3:]), asdict(reader.seen))
    assert read(pieces, marks | {"validate": True}, arguments) == expected
    out, state = read(pieces, marks, arguments)
    assert state.pop("malformed") <= expected[1].pop("malformed")
    assert (out, state) == expected


def cut(data: bytes, dice: random.Random) -> list[bytes]:
    edges = sorted(dice.randint(0, len(data)) for _ in range(dice.choice((0, 1, 2, 8))))
    return [data[a:b] for a, b in zip([0, *edges], [*edges, len(data)], strict=True)]


def read(
    pieces: list[bytes], marks: dict[str, Any], arguments: dict[str, Any]
) -> tuple[bytes, dict[str, Any]]:
    events = Events(Marks(**marks), **arguments)
    out = b"".join(events.feed(piece) for piece in pieces) + events.flush()
    return out, {name: getattr(events, name) for name in asdict(reference.Seen())}


if __name__ == "__main__":
    run(fuzz_one, SEEDS, GADGETS)
