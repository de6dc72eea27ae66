"""The response corpus read by h11 as a client: we are exactly as it is, or stricter."""

from __future__ import annotations

import pytest

from tests.wire import corpus, oracles
from tests.wire.corpus import Case

CASES = corpus.responses()


def relation(case: Case) -> str:
    """How h11 differs from what the case expects; empty where it agrees."""
    reading = oracles.response_by_h11(case.data, case.method, case.end)
    fates = case.expect[0]
    if all(fate.kind == "fail" for fate in fates):
        return {"refused": "", "waits": "waits"}.get(reading.end, "accepts")
    if any(fate.kind == "fail" for fate in fates):
        return ""  # both are right
    wanted = fates[0]
    is_read = reading.end == "done" and reading.status == wanted.status
    return "" if is_read and reading.messages[0].body == wanted.body else "refuses"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_we_are_exactly_as_h11_or_stricter_where_the_case_says_so(case: Case) -> None:
    assert relation(case) == case.h11
