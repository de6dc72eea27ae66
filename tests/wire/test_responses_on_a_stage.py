"""The response corpus against the compiled connections alone, cut at every place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.support.echo_stage import EchoStage, Reply, echo, read_answers
from tests.support.messages import Answer
from tests.support.seen import Seen
from tests.support.stage import echoing
from tests.support.strategies import every_split
from tests.wire import corpus
from tests.wire.corpus import Case

SHORT = [case for case in corpus.responses() if 0 < len(case.data) <= 400]
VARIABLE = {"server-timing", "x-request-id", "date"}
SHORT_TIMES = {"first_byte": "400ms", "idle": "400ms", "total": "5s"}


@pytest.fixture(scope="module")
def stage() -> Iterator[EchoStage]:
    no_breaker = {"consecutive": 0, "failure_share": "100%"}
    made = EchoStage(echoing(each={"timeout": SHORT_TIMES, "breaker": no_breaker}))
    yield made
    made.clear()
    made.stage.end()


def answer_to(stage: EchoStage, case: Case, pieces: list[bytes]) -> Answer:
    """What the client gets when the backend sends these pieces; then one good exchange."""

    def play(_seen: Seen) -> Reply:
        stage.play = echo
        return Reply(pieces, case.end)

    stage.play = play
    client = stage.connect()
    stage.feed(client, b"%b /echo HTTP/1.1\r\nHost: a\r\n\r\n" % case.method.encode())
    stage.wait(0.5)
    stage.feed(client, b"POST /echo?next HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nmine")
    first, second = read_answers(client, case.method)
    assert (second.status, second.body) == (200, b"mine")
    stage.clear()
    fields = {name: value for name, value in first.fields.items() if name not in VARIABLE}
    return replace(first, fields=fields)


@pytest.mark.parametrize("case", SHORT, ids=lambda case: case.id)
def test_cuts_do_not_matter(stage: EchoStage, case: Case) -> None:
    whole = answer_to(stage, case, [case.data])
    statuses = {fate.status for fate in case.expect[0]}
    assert whole.status in statuses | {502}
    for pieces in every_split(case.data):
        assert answer_to(stage, case, pieces) == whole, pieces
