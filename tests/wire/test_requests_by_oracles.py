"""The request corpus read by h11, llhttp and our own readers: who is stricter, and why."""

from __future__ import annotations

import pytest

from gateway.errors import OUTCOMES
from tests.support.strategies import assert_splitting_does_not_matter
from tests.wire import corpus, oracles
from tests.wire.corpus import Case
from tests.wire.oracles import Reading

CASES = corpus.requests()
BY_ID = {case.id: case for case in CASES}
# Sizes are the connection's business; heads and chunks alone do not know them.
WITHOUT_SIZES = [case for case in CASES if case.file != "limits"]
each = pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
TAKEN = [case for case in CASES if case.may_be("accept") and not case.is_refused]
each_taken = pytest.mark.parametrize("case", TAKEN, ids=lambda case: case.id)
SHORT = [case for case in CASES if len(case.data) <= 100]
each_short = pytest.mark.parametrize("case", SHORT, ids=lambda case: case.id)
each_without_sizes = pytest.mark.parametrize("case", WITHOUT_SIZES, ids=lambda case: case.id)

# Where llhttp refuses what we take. Each is well formed by the RFC.
STRICTER_LLHTTP = {
    "coding: coding with blanks around it": "RFC 9112 5 lets OWS stand on both sides of a value",
    "request_line: method in lower case is another method": "any token is a method; we answer 405",
    "pipeline: nothing is read after connection close": "we ignore what follows, it complains",
    "pipeline: nothing is read after HTTP 1.0": "we ignore what follows, it complains",
}


def relation(case: Case, reading: Reading) -> str:
    """How another reader differs from what the case expects; empty where it agrees."""
    whole = len(case.expect) - case.is_refused
    if case.is_refused:
        if reading.end == "refused" and len(reading.messages) == whole:
            return ""
        is_waiting = reading.end == "waits" and len(reading.messages) == whole
        return "waits" if is_waiting else "accepts"
    is_read = reading.end in ("done", "stopped") and len(reading.messages) == whole
    return "" if is_read else "refuses"


@each
def test_we_are_exactly_as_h11_or_stricter_where_the_case_says_why(case: Case) -> None:
    assert relation(case, oracles.by_h11([case.data])) == case.h11


def test_h11_is_stricter_only_about_the_empty_line_that_the_rfc_asks_for() -> None:
    stricter = [case.id for case in CASES if case.h11 == "refuses"]
    assert stricter == [
        "pipeline: one empty line before a request",
        "pipeline: one empty line between requests",
    ]


@each_taken
def test_h11_understands_what_we_take_as_we_do(case: Case) -> None:
    if case.h11 == "refuses":
        return
    read = [(seen.method, seen.body) for seen in oracles.by_h11([case.data]).messages]
    assert read == [(seen.method, seen.body) for seen in case.sees]


@each
def test_llhttp_refuses_nothing_that_we_take(case: Case) -> None:
    reading = oracles.by_httptools([case.data])
    if reading.end == "refused" and not case.is_refused:
        assert case.id in STRICTER_LLHTTP


@each_taken
def test_llhttp_understands_what_we_take_as_we_do(case: Case) -> None:
    reading = oracles.by_httptools([case.data])
    if reading.end in ("refused", "stopped"):  # listed above; an upgrade's body is not read
        return
    read = [(seen.method, seen.body) for seen in reading.messages]
    assert read == [(seen.method, seen.body) for seen in case.sees]


@pytest.mark.parametrize("case_id", STRICTER_LLHTTP)
def test_llhttp_is_stricter_where_listed(case_id: str) -> None:
    assert oracles.by_httptools([BY_ID[case_id].data]).end == "refused"


@each_without_sizes
def test_our_readers_do_what_the_case_says(case: Case) -> None:
    reading = oracles.by_the_gateway([case.data])
    is_connect = case.data.startswith(b"CONNECT")
    if is_connect:  # read as a request, then refused for its method
        assert reading.messages[0].method == "CONNECT"
        return
    difference = relation(case, reading)
    assert difference == "" or (difference == "waits" and case.h11 == "waits")
    if reading.end == "refused":
        assert reading.status in case.statuses()
    elif case.may_be("accept"):
        assert tuple(reading.messages) == case.sees


@each_short
def test_h11_reads_the_same_however_the_bytes_are_cut(case: Case) -> None:
    """Not ours to fix, but an oracle that depended on cuts would be none."""
    assert_splitting_does_not_matter(oracles.by_h11, case.data)


def test_every_status_of_a_refusal_is_in_the_table_of_outcomes() -> None:
    known = {outcome.status for outcome in OUTCOMES}
    refused = {
        v.status for case in CASES for fate in case.expect for v in fate if v.kind == "refuse"
    }
    assert refused <= known
