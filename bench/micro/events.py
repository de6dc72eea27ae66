"""Stream events. Budget: 120 ns for a chunk that is one event of 160 bytes with no news."""

import json

from bench.micro.timing import compiled, report

SOURCE = """
from libc.stdint cimport uint64_t
from gateway._fast.events cimport EVENTS_SSE, Events, new_events
from gateway._fast.marks cimport Marks, Usage

def feeds(uint64_t operations, Marks marks, bint withhold_usage, list chunks):
    # Each operation is one chunk, as the exchange feeds it.
    cdef Events events = new_events(marks, EVENTS_SSE, withhold_usage, 1)
    cdef uint64_t index, sum = 0
    cdef Py_ssize_t count = len(chunks)
    for index in range(operations):
        sum += len(<bytes>events.feed(<bytes>chunks[index % <uint64_t>count]))
    return sum, events.count, events.malformed

def streams(uint64_t operations, Marks marks):
    cdef uint64_t index
    cdef Events events
    for index in range(operations):
        events = new_events(marks, EVENTS_SSE, False, 1)
    return events

def usages(uint64_t operations, Marks marks, bytes data):
    cdef uint64_t index
    cdef Usage usage
    cdef const char* at = data
    cdef size_t length = len(data)
    for index in range(operations):
        marks.usage_of(at, length, &usage)
    return usage.input_tokens
"""


def chunk(choices: list[dict[str, object]], **members: object) -> bytes:
    event = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1700000000}
    text = json.dumps(event | {"model": "m", "choices": choices} | members, separators=(",", ":"))
    return f"data: {text}\n\n".encode()


def choice(content: str, finish_reason: str | None = None) -> dict[str, object]:
    return {"index": 0, "delta": {"content": content}, "finish_reason": finish_reason}


def main() -> None:
    from gateway._fast.marks import Marks  # noqa: PLC0415 - the path is set by compiled()

    module = compiled("bench_events", SOURCE)
    usage = {
        "prompt_tokens": 12,
        "completion_tokens": 34,
        "total_tokens": 46,
        "prompt_tokens_details": {"cached_tokens": 5},
    }
    plain = chunk([choice("Hello")])
    middle = len(plain) // 2
    chats = {
        f"plain_{len(plain)}": [plain],
        "words": [chunk([choice(word)]) for word in ("Hello", ",", " world", " of", " mine")],
        "unlike": [plain, chunk([choice("Hello")], system_fingerprint="fp_5d3a", id="chatcmpl-2")],
        "usage_null": [chunk([choice("Hello")], usage=None)],
        "finish": [chunk([choice("", "stop")])],
        "usage": [chunk([], usage=usage)],
        "done": [b"data: [DONE]\n\n"],
        "half": [plain[:middle], plain[middle:]],
        "ten_at_once": [plain * 10],
        "crlf": [plain.replace(b"\n", b"\r\n")],
        "named": [b"event: message\n" + plain],
    }
    answer = chunk([choice("Paris. " * 30, "stop")], usage=usage)[6:-2]
    marks, strict = Marks(), Marks(validate=True)
    for name, chunks in chats.items():
        for mode, chosen, withhold in (
            ("", marks, False), ("_withholding", marks, True), ("_validating", strict, False),
        ):  # fmt: skip
            run = lambda n, a=(chosen, withhold, chunks): module.feeds(n, *a)  # noqa: E731
            report(f"events/feed_{name}{mode}", run, 100_000)
    report("events/new", lambda n: module.streams(n, marks), 500_000)
    report(f"events/usage_of_{len(answer)}", lambda n: module.usages(n, marks, answer), 200_000)


if __name__ == "__main__":
    main()
