"""Any bytes as a chunked body: every cut gives the same, and h11 reads what we read.

The first byte chooses how the rest is cut.
"""

import random

import h11

from gateway._fast.chunked import decode
from tests.fuzz.loop import run
from tests.wire import corpus

HEAD = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
SEEDS = [
    b"\0" + case.data.partition(b"\r\n\r\n")[2]
    for case in corpus.requests()
    if case.file in ("chunks", "coding", "pipeline") and len(case.data) < 2000
]
GADGETS = [
    b"\r\n", b"\r", b"\n", b"0\r\n\r\n", b"0\r\n", b"5\r\nhello\r\n", b";", b";a=b", b'"', b" ",
    b"\t", b"\0", b"ffffffff", b"FFFFFFFFFFFFFFFF", b"0x", b"-", b"+", b"_", b"X-A: 1\r\n",
    b"Content-Length: 1\r\n", b"Host: a\r\n", b":", b"\r\n ", b"\x80", b"000",
]  # fmt: skip


def fuzz_one(data: bytes) -> None:
    if len(data) < 2:
        return
    dice, data = random.Random(data[0]), data[1:]
    whole = decode(data)
    edges = sorted(dice.randint(0, len(data)) for _ in range(dice.choice((1, 2, 5, 20))))
    pieces = [data[a:b] for a, b in zip([0, *edges], [*edges, len(data)], strict=True)]
    assert decode(*pieces) == whole, pieces
    assert decode(*(data[n : n + 1] for n in range(len(data)))) == whole
    if isinstance(whole, tuple):
        assert by_h11(data) == whole[0]


def by_h11(data: bytes) -> bytes:
    """The body as h11 reads it; an assertion fails where it does not."""
    connection = h11.Connection(h11.SERVER, 1 << 20)
    connection.receive_data(HEAD + data)
    assert isinstance(connection.next_event(), h11.Request)
    body = b""
    while isinstance(event := connection.next_event(), h11.Data):
        body += bytes(event.data)
    assert isinstance(event, h11.EndOfMessage), event
    return body


if __name__ == "__main__":
    run(fuzz_one, SEEDS, GADGETS)
