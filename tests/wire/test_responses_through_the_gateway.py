"""The response corpus: what a backend may answer, and what the client then gets.

Each case is answered once; then the backend behaves again, and the next request shows
what was left behind: an answer of its own, over a connection that was fit to be used
again or over a new one.
"""

from __future__ import annotations

import pytest

from tests.support import faults
from tests.support.answers import echo, plays
from tests.support.backends import Backend
from tests.support.gateway import Gateway
from tests.support.raw_client import Response
from tests.support.script import Answerer, Close, Pause, Reset, Send
from tests.support.waiting import until
from tests.wire import corpus
from tests.wire.corpus import Case, Verdict

CASES = corpus.responses()
SHORT = [case for case in CASES if len(case.data) <= 400]
GOOD = plays(echo)
ENDS = {"open": None, "close": Close(), "reset": Reset()}


def fate_of(response: Response) -> Verdict:
    if response.header("x-gateway-backend") is None or response.status == 502:
        assert response.json()["error"]
        return Verdict("fail", response.status)
    return Verdict("pass", response.status, response.body)


def check(gateway: Gateway, backend: Backend, case: Case, answer: Answerer) -> None:
    backend.answer = answer
    with gateway.connect() as client:
        response = client.request(case.method, "/echo")
        fate = fate_of(response)
        assert fate in case.expect[0], (fate, response)
        for name in case.unseen:
            assert response.header(name) is None
        used = backend.received[-1].connection
        first = backend.received[-1]
        until(lambda: first.answered_at > 0 or first.abandoned_at > 0)
        gateway.settle()  # what the backend sent after its answer has been read, too
        backend.answer = GOOD
        again = client.request("POST", "/echo?again", b"mine")
        assert (again.status, again.body) == (200, b"mine")
    is_reused = backend.received[-1].connection == used
    if fate.kind == "fail" or case.reuse == "no":
        assert not is_reused, "a connection that had failed was used again"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_case_sent_whole(gateway: Gateway, backend: Backend, case: Case) -> None:
    check(gateway, backend, case, faults.wire(case.data, ENDS[case.end]))


@pytest.mark.parametrize("case", SHORT, ids=lambda case: case.id)
def test_case_sent_byte_by_byte(gateway: Gateway, backend: Backend, case: Case) -> None:
    steps = [step for byte in case.data for step in (Send(bytes([byte])), Pause(0.0))]
    end = ENDS[case.end]
    check(gateway, backend, case, lambda _: [*steps, Pause(0.02), end] if end else steps)


def test_connection_is_reused_after_a_proper_answer(gateway: Gateway, backend: Backend) -> None:
    backend.answer = GOOD
    with gateway.connect() as client:
        for _ in range(3):
            assert client.request("GET", "/echo").status == 200
    assert len({one.connection for one in backend.received[-3:]}) == 1


def test_fields_of_an_answer_keep_their_order_and_bytes(gateway: Gateway, backend: Backend) -> None:
    head = b'HTTP/1.1 200 OK\r\nX-A: 1\r\nETag: "x"\r\nx-a: caf\xe9 2\r\nContent-Length: 0\r\n\r\n'
    backend.answer = faults.wire(head)
    with gateway.connect() as client:
        got = client.request("GET", "/echo").headers
    names = [(name, value) for name, value in got if name.lower() in ("x-a", "etag")]
    assert names == [("X-A", "1"), ("ETag", '"x"'), ("x-a", "caf\xe9 2")]
