"""Partial JSON. Budgets: 350 ns for a chat request, 1 GB/s of numbers, several GB/s of text."""

import json
import random
import time
from collections.abc import Callable

from bench.micro.timing import RUNS, compiled

SOURCE = """
from libc.stdint cimport int64_t, uint32_t, uint64_t
from gateway._fast.members cimport integer_of
from gateway._fast.pointer cimport Pointer
from gateway._fast.scan cimport Member, SCAN_OK
from gateway._fast.shape cimport Shape
from gateway._fast.splice cimport (
    Edit, apply_edits_into, edited_length, member_inserted, object_at, value_replaced,
)

def scans(uint64_t operations, Shape shape, bytes data):
    cdef Member[32] members
    cdef uint32_t marks = 0
    cdef uint32_t error_at = 0
    cdef uint64_t index, sum = 0
    cdef const char* at = data
    cdef size_t length = len(data)
    for index in range(operations):
        if shape.scan(at, length, members, &marks, &error_at) != SCAN_OK:
            raise ValueError(error_at)
        sum += members[0].end + marks
    return sum

def finds(uint64_t operations, Pointer pointer, bytes data):
    cdef Member member
    cdef uint64_t index
    cdef int64_t sum = 0
    cdef const char* at = data
    cdef size_t length = len(data)
    for index in range(operations):
        if pointer.find(at, length, &member) != SCAN_OK:
            raise ValueError(data)
        sum += integer_of(at, &member)
    return sum

def edits(uint64_t operations, Shape shape, bytes data):
    # The model's name replaced and one member inserted, into a buffer.
    cdef Member[32] members
    cdef Edit[2] made
    cdef char[65536] out
    cdef uint64_t index
    cdef int64_t sum = 0
    cdef const char* at = data
    cdef size_t length = len(data)
    shape.scan(at, length, members, NULL, NULL)
    for index in range(operations):
        made[0] = member_inserted(at, object_at(at), b'"options":{"include_usage":true},', 33)
        made[1] = value_replaced(&members[0], b'"gpt-4o-mini"', 13)
        sum += edited_length(length, made, 2)
        apply_edits_into(out, at, length, made, 2)
    return sum + out[5]
"""

CHAT = {
    "model": "chat",
    "messages": [
        {"role": "system", "content": "You are a helpful assistant."},
        {"role": "user", "content": "What is the capital of France, and how many live there?"},
    ],
    "stream": True,
    "max_tokens": 256,
    "temperature": 0.7,
    "user": "user-1234",
    "stream_options": {"include_usage": True},
}
NAMES = ["model", "stream", "messages", "max_tokens", "user", "temperature", "tools", "n"]
ANSWER = {
    "id": "chatcmpl-123",
    "object": "chat.completion",
    "choices": [{"index": 0, "message": {"content": "Paris. " * 30}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 12, "completion_tokens": 34, "total_tokens": 46},
}


def texts() -> dict[str, object]:
    dice = random.Random(1)
    return {
        "long_text": "x" * 1_000_000,
        "english": "What is the capital of France, and how many people live there? " * 5_000,
        "lines_of_code": "    if value is None:  # nothing was given\n" * 5_000,
        "german": "Die Größe der Häuser überrascht öfter als man glaubt. " * 5_000,
        "chinese": "你好世界，今天天气很好。" * 5_000,
        "embedding": [dice.uniform(-1, 1) for _ in range(10_000)],
        "short_decimals": [round(dice.uniform(-1, 1), 3) for _ in range(10_000)],
        "integers": [dice.randrange(100_000) for _ in range(10_000)],
    }


def report(
    name: str,
    run: Callable[..., object],
    arguments: tuple[object, ...],
    operations: int,
    size_bytes: int,
) -> None:
    """Print the best time of one operation, and the bytes it passes in it."""
    best = float("inf")
    for _ in range(RUNS):
        start = time.perf_counter()
        run(operations, *arguments)
        best = min(best, time.perf_counter() - start)
    ns = best / operations * 1e9
    line = {"name": name, "ns": round(ns, 1), "bytes": size_bytes}
    print(json.dumps(line | {"gb_per_s": round(size_bytes / ns, 2)}))


def main() -> None:
    from gateway._fast.pointer import Pointer  # noqa: PLC0415 - the path is set by compiled()
    from gateway._fast.shape import Shape  # noqa: PLC0415

    module = compiled("bench_splice", SOURCE)
    shape = Shape(NAMES, [("type", "image_url"), ("type", "json_schema")])
    chat = json.dumps(CHAT, separators=(",", ":")).encode()
    answer = json.dumps(ANSWER).encode()
    report("splice/scan_chat", module.scans, (shape, chat), 200_000, len(chat))
    report("splice/scan_empty", module.scans, (shape, b"{}"), 200_000, 2)
    pointer = Pointer("/usage/total_tokens")
    report("splice/pointer_in_answer", module.finds, (pointer, answer), 200_000, len(answer))
    report("splice/two_edits", module.edits, (shape, chat), 200_000, len(chat))
    for name, value in texts().items():
        data = json.dumps({"model": "m", "input": value}, ensure_ascii=False).encode()
        report(f"splice/scan_{name}", module.scans, (shape, data), 50, len(data))


if __name__ == "__main__":
    main()
