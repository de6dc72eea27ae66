"""The corpora themselves: large enough, well formed, each case with its rule."""

from __future__ import annotations

from collections import Counter

from tests.wire import corpus
from tests.wire.corpus import unescaped

REQUESTS = corpus.requests()
RESPONSES = corpus.responses()


def test_corpora_are_as_large_as_promised() -> None:
    assert len(REQUESTS) >= 150
    assert len(RESPONSES) >= 60


def test_names_are_unique() -> None:
    for cases in (REQUESTS, RESPONSES):
        assert [
            name for name, count in Counter(case.id for case in cases).items() if count > 1
        ] == []


def test_no_two_cases_have_the_same_bytes() -> None:
    seen = Counter((case.data, case.method, case.end) for case in (*REQUESTS, *RESPONSES))
    assert [data for data, count in seen.items() if count > 1] == []


def test_requests_say_what_a_backend_sees_for_each_that_is_accepted() -> None:
    for case in REQUESTS:
        accepted = sum(any(v.kind == "accept" for v in fate) for fate in case.expect)
        assert len(case.sees) == accepted, case.id


def test_kinds_and_facts_are_of_the_known_words() -> None:
    for case in REQUESTS:
        assert {v.kind for fate in case.expect for v in fate} <= {
            "accept",
            "answer",
            "refuse",
            "wait",
        }
        assert case.closes in {"no", "yes", "maybe"}
        assert case.h11 in {"", "accepts", "waits", "refuses"}
    for case in RESPONSES:
        assert {v.kind for fate in case.expect for v in fate} <= {"pass", "fail"}
        assert case.end in {"open", "close", "reset"}
        assert case.reuse in {"yes", "no"}


def test_escapes_are_read() -> None:
    assert unescaped(r"a\r\n\t\0\x7f\\") == b"a\r\n\t\0\x7f\\"
    assert unescaped(r"\{3*ab\n}c") == b"ab\nab\nab\nc"
    assert unescaped(r"{2*a}") == b"{2*a}"
