"""The request corpus against the compiled connections alone, cut at every place.

No sockets, so a cut is exactly a cut, and every place can be tried. What came of the
bytes whole is what must come of them in any two pieces.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.echo_stage import EchoStage, read_answers
from tests.support.seen import Seen
from tests.support.stage import Client, echoing
from tests.support.strategies import every_split
from tests.wire import corpus
from tests.wire.conftest import BODY_LIMIT
from tests.wire.corpus import Case

CASES = corpus.requests()
SHORT = [case for case in CASES if len(case.data) <= 400]
Outcome = tuple[list[tuple[int, bytes]], list[Seen], bool]


@pytest.fixture(scope="module")
def stage() -> Iterator[EchoStage]:
    made = EchoStage(echoing(limits={"body": BODY_LIMIT, "replay": BODY_LIMIT}))
    yield made
    made.clear()
    made.stage.end()


def outcome_of(stage: EchoStage, pieces: list[bytes]) -> Outcome:
    """The answers, what the backend saw, and whether the gateway ended the connection."""
    client = stage.connect()
    stage.feed(client, *pieces)
    methods = [seen.method for seen in stage.seen]
    answers = [(answer.status, answer.body) for answer in read_answers(client, *methods)]
    outcome = answers, stage.seen, is_ended(client)
    stage.clear()
    return outcome


def is_ended(client: Client) -> bool:
    return client.is_ended or not client.is_open


@pytest.mark.parametrize("case", SHORT, ids=lambda case: case.id)
def test_cuts_do_not_matter(stage: EchoStage, case: Case) -> None:
    whole = outcome_of(stage, [case.data])
    assert whole[1] == list(case.sees) or case.may_be("refuse")
    for pieces in every_split(case.data):
        assert outcome_of(stage, pieces) == whole, pieces


@pytest.mark.parametrize("case", [case for case in SHORT if case.is_refused], ids=lambda c: c.id)
def test_garbage_is_refused_at_the_same_byte_however_it_arrives(
    stage: EchoStage, case: Case
) -> None:
    """Fed byte by byte, a prefix is refused when and only when it is refused whole."""
    client = stage.connect()
    at = 0
    while not is_ended(client):
        stage.feed(client, case.data[at : at + 1])
        at += 1
    stage.clear()
    for end in {at - 2, at - 1, at, at + 1} & set(range(1, len(case.data) + 1)):
        assert outcome_of(stage, [case.data[:end]])[2] == (end >= at), (at, end)
