"""Any bytes on a client's connection, and any bytes from the backend behind it.

The whole compiled data plane runs on a stage. The first byte says how the rest is cut
and where the backend's bytes begin; a second half of the input is what the backend
answers. Whatever comes: nothing escapes, nothing is left in flight, the client gets
whole answers that h11 can read, the backend gets whole requests that h11 can read, and
another cut of the same bytes gives the same.
"""

import random

import h11

from tests.fuzz.loop import run
from tests.support.echo_stage import EchoStage, Reply, echo
from tests.support.seen import Seen
from tests.support.stage import Client, echoing
from tests.wire import corpus

SPLIT = b"\n====\n"
BODY_LIMIT = 5000
SEEDS = [b"\0" + case.data for case in corpus.requests() if len(case.data) < 1500] + [
    b"\0" + b"GET /echo HTTP/1.1\r\nHost: a\r\n\r\n" * 2 + SPLIT + case.data
    for case in corpus.responses()
    if len(case.data) < 1500
]
GADGETS = [
    b"\r\n", b"\r", b"\n", b"\0", b" ", b":", SPLIT, b"GET /echo HTTP/1.1\r\nHost: a\r\n\r\n",
    b"Content-Length: 3\r\n\r\nabc", b"Transfer-Encoding: chunked\r\n\r\n", b"0\r\n\r\n",
    b"5\r\nhello\r\n", b"Connection: close\r\n", b"Expect: 100-continue\r\n", b"\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 204 No Content\r\n\r\n", b"Upgrade: websocket\r\nConnection: upgrade\r\n",
]  # fmt: skip
VARIABLE = {"server-timing", "x-request-id", "date"}


NO_BREAKER = {"consecutive": 0, "failure_share": "100%"}
TIMES = {"first_byte": "400ms", "idle": "400ms", "total": "5s"}
STAGE = EchoStage(
    echoing(
        each={"timeout": TIMES, "breaker": NO_BREAKER},
        limits={"body": BODY_LIMIT, "replay": BODY_LIMIT},
    )
)


def fuzz_one(data: bytes) -> None:
    if len(data) < 2:
        return
    asked, _, answered = data[1:].partition(SPLIT)
    if b"HEAD" in asked:  # its answers read differently; the corpus has them
        return
    whole = played(cut(asked, random.Random(0), 0), answered, 0)
    assert played(cut(asked, random.Random(data[0]), data[0] % 30), answered, data[0] % 5) == whole


def cut(data: bytes, dice: random.Random, times: int) -> list[bytes]:
    edges = sorted(dice.randint(0, len(data)) for _ in range(times))
    pieces = [data[a:b] for a, b in zip([0, *edges], [*edges, len(data)], strict=True)]
    return [piece for piece in pieces if piece]


def played(pieces: list[bytes], answered: bytes, times: int) -> object:
    """What came of it: the client's answers without times and ids, the backend's requests."""

    def play(seen: Seen) -> Reply:
        if not answered:
            return echo(seen)
        return Reply(cut(answered, random.Random(times), times), "close")

    STAGE.play = play
    client = STAGE.connect()
    STAGE.feed(client, *pieces)
    STAGE.wait(20)
    client.leave()
    STAGE.wait(20)
    seen = STAGE.seen
    for heard in STAGE.clear():
        check_requests(heard)
    # A request may go out twice when the backend closes at that very moment.
    return read_answers(client), [] if answered else seen


def check_requests(data: bytes) -> None:
    """What the gateway sent to a backend is a row of requests, the last perhaps cut."""
    while data:
        connection = h11.Connection(h11.SERVER, 1 << 20)
        connection.receive_data(data)
        while not isinstance(event := connection.next_event(), h11.EndOfMessage):
            if event is h11.NEED_DATA:
                return
        data = connection.trailing_data[0]


def read_answers(client: Client) -> list[tuple[object, ...]]:
    """Every answer the client got, read by h11; what is cut must be the last."""
    made: list[tuple[object, ...]] = []
    data = client.heard
    while data:
        connection = h11.Connection(h11.CLIENT, 1 << 20)
        connection.send(h11.Request(method="GET", target="/", headers=[("host", "a")]))
        connection.send(h11.EndOfMessage())
        connection.receive_data(data)
        body, status, fields = b"", 0, []
        while not isinstance(event := connection.next_event(), h11.EndOfMessage):
            if isinstance(event, h11.Response):
                status = event.status_code
                fields = [pair for pair in event.headers if pair[0].decode() not in VARIABLE]
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif event is h11.NEED_DATA:
                return [*made, (status, fields, "cut")]
        made.append((status, fields, body))
        data = connection.trailing_data[0]
    return made


if __name__ == "__main__":
    run(fuzz_one, SEEDS, GADGETS)
