"""The request corpus against a running gateway: same fate whole, byte by byte, cut anywhere.

Every cut is tried on a stage (test_requests_on_a_stage); here it is real sockets.

The backend behind records what it gets; after each case a sentinel request is sent on
another connection, so a smuggled request would stand before it in the record.
"""

from __future__ import annotations

import itertools

import pytest

from tests.support.backends import Backend
from tests.support.gateway import Gateway
from tests.support.raw_client import RawClient, Response
from tests.support.seen import Seen
from tests.support.strategies import cut_at
from tests.wire import corpus
from tests.wire.corpus import Case, Verdict

CASES = corpus.requests()
SHORT = [case for case in CASES if len(case.data) <= 300]
numbers = itertools.count()


def deliver(gateway: Gateway, client: RawClient, pieces: list[bytes]) -> None:
    """Send each piece so that it is read alone. A refusal may come, and close, before the last."""
    try:
        for place, piece in enumerate(pieces):
            if place:
                gateway.settle()
            client.send(piece)
    except (BrokenPipeError, ConnectionResetError):
        return


def fate_of(response: Response, client: RawClient, is_last: bool, closes: bool) -> Verdict:
    """What happened to a request, in the corpus' words."""
    if response.header("x-gateway-backend") == "echo":
        return Verdict("accept", 0)
    if is_last and closes and client.is_closed(0.5):
        return Verdict("refuse", response.status)
    return Verdict("answer", response.status)


def check(gateway: Gateway, backend: Backend, case: Case, pieces: list[bytes]) -> None:
    before = len(backend.received)
    fate = Verdict("none")
    with gateway.connect() as client:
        deliver(gateway, client, pieces)
        for place, fates in enumerate(case.expect):
            method = case.data.split(b" ", 1)[0].decode("latin-1").strip()
            if Verdict("wait") in fates and client.is_quiet(0.05):
                fate = Verdict("wait")
                break
            response = client.read_response("HEAD" if place == 0 and method == "HEAD" else "GET")
            is_last = place == len(case.expect) - 1
            fate = fate_of(response, client, is_last, closes=case.may_be("refuse"))
            # An answer may close the connection too; only a refusal must.
            assert fate in fates or Verdict("answer", response.status) in fates, (fate, response)
        if fate.kind == "accept":
            check_connection(client, case.closes)
    check_backend(gateway, backend, before, case, fate)


def check_connection(client: RawClient, closes: str) -> None:
    if closes == "yes":
        assert client.is_closed()
    elif closes == "no":
        again = client.request("GET", "/echo?again")
        assert again.header("x-echo-target") == "/echo?again"


def check_backend(
    gateway: Gateway, backend: Backend, before: int, case: Case, last: Verdict
) -> None:
    """The backend got exactly the promised requests, and no field that it may not get."""
    sentinel = f"/echo?sentinel={next(numbers)}"
    with gateway.connect() as other:
        assert other.request("GET", sentinel).status == 200
    got = [one for one in backend.received[before:] if one.is_complete]
    assert got.pop().target == sentinel
    seen = [Seen(one.method, one.target, one.body) for one in got]
    if last.kind == "accept" and case.closes == "no":
        assert seen.pop().target == "/echo?again"
    promised = case.sees if last.kind == "accept" or not case.may_be("accept") else case.sees[:-1]
    assert seen == list(promised)
    for name in case.unseen:
        assert [one.values(name) for one in got if one.values(name)] == []


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_case_sent_whole(gateway: Gateway, backend: Backend, case: Case) -> None:
    check(gateway, backend, case, [case.data])


@pytest.mark.parametrize("case", SHORT, ids=lambda case: case.id)
def test_case_sent_byte_by_byte(gateway: Gateway, backend: Backend, case: Case) -> None:
    check(gateway, backend, case, [case.data[n : n + 1] for n in range(len(case.data))])


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("file", sorted({case.file for case in SHORT}))
def test_cases_of_a_file_cut_in_two_anywhere(gateway: Gateway, backend: Backend, file: str) -> None:
    for case in SHORT:
        if case.file == file:
            for place in range(1, len(case.data)):
                check(gateway, backend, case, cut_at(case.data, [place]))
