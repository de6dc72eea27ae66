"""The record of an exchange: built, encoded, appended. Budget: 800 bytes in 2.5 µs.

An exchange is taken to its end on a stage without sockets and then recorded again and
again, into a segment that is large enough for all of it.
"""

import json
import os
import tempfile

from bench.micro.timing import compiled, report
from gateway._fast import Recorder, Segment, Stream
from gateway.plan import CAPABILITIES
from tests.support.messages import answer, chat, post
from tests.support.records import REASONS
from tests.support.stage import Stage, serving

TIMES = 4_000
SEGMENT_BYTES = 64 << 20

SOURCE = """
from libc.stdint cimport uint64_t
from gateway._fast.downstream cimport Downstream
from gateway._fast.exchange cimport Exchange
from gateway._fast.record cimport Recorder

def exchange_of(Downstream client):
    return client.exchange

def write(Recorder recorder, Exchange exchange, uint64_t times):
    cdef uint64_t _
    for _ in range(times):
        recorder.write(exchange)

def width(Recorder recorder):
    return recorder.line.used
"""

ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "model": "m",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "The sea is wide. " * 4},
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 41, "completion_tokens": 18, "total_tokens": 59},
}


PREDICTED = {
    "predictions": [
        {"label": "fraud", "p": [0.9134, 0.0866]},
        {"label": "fine", "p": [0.0211, 0.9789]},
    ]
}


def recorder() -> Recorder:
    """Into a file on disk, allocated as the writer allocates it."""
    with tempfile.TemporaryFile() as file:
        os.posix_fallocate(file.fileno(), 0, SEGMENT_BYTES)
        stream = Stream("w0-0000000000000000")
        stream.attach(Segment(os.dup(file.fileno()), 1))
    return Recorder(stream, "gateway-1", 0, REASONS, CAPABILITIES)


def time_records(name: str, candidates: int, policy: str, **record: object) -> None:
    """One kind of record."""
    names = [f"backend-{number}" for number in range(candidates)]
    price = {"price": {"input": 0.15, "output": 0.6}}
    settings = serving(*names, each=price, policy=policy, record=record)
    stage = Stage(settings, rows=2 * candidates + 8, cells=candidates + 8)
    time_record(name, stage, chat(user="u-123456", max_tokens=64), ANSWER)


def time_predictions(name: str, **record: object) -> None:
    """A record of a classic model: what came back, without its bodies."""
    each = {"protocol": "http", "url": "http://a.test"}
    stage = Stage(serving("a", each=each, record=record), rows=16, cells=16)
    inputs = {"instances": [{"amount": 12.5, "age": 41}, {"amount": 3.25, "age": 29}]}
    time_record(name, stage, post("/v1/models/chat:predict", inputs), PREDICTED)


def time_record(name: str, stage: Stage, request: bytes, said: object) -> None:
    module = compiled("bench_record", SOURCE)
    client, server = stage.client(), None
    client.ask(request)
    server = stage.server()
    exchange = module.exchange_of(client.peer)
    server.send(answer(said))
    report_width(module, name, exchange)
    fresh = recorder()
    report(f"record/{name}", lambda times: module.write(fresh, exchange, times), TIMES)


def report_width(module: object, name: str, exchange: object) -> None:
    once = recorder()
    module.write(once, exchange, 1)  # type: ignore[attr-defined]
    print(json.dumps({"record": name, "bytes": module.width(once)}))  # type: ignore[attr-defined]


if __name__ == "__main__":
    time_records("1_candidate", 1, "ordered")
    time_records("8_candidates", 8, "least_loaded")
    time_records("64_candidates", 64, "cheapest")
    time_predictions("no_predictions", predictions="/nowhere")
    time_predictions("predictions")
    time_records("full_payload", 8, "least_loaded", payload="full", redact={"patterns": []})
