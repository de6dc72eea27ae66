"""Records searched and counted over the admin port, from a real store."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import Raw
from msgspec.structs import replace
from starlette.testclient import TestClient

from gateway.control.faults import Fault
from gateway.control.records_search import MOST_WAITING, Searches, filter_of, searches_in
from gateway.messages import Payload
from gateway.store.filters import Filter
from gateway.store.search import Found
from tests.control.parts import FakeGateway
from tests.store.places import NOW_S, Place, feedback, id_of, record


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    place = Place(tmp_path)
    place.added(1, [record(1, user="bob"), record(2, backend="large", status=502, outcome="x")])
    body = Payload(bytes=7, type="json", body=Raw(b'{"a":1}'))
    place.write(2, [record(3, request=body), feedback(4, id_of(1))])
    gateway = FakeGateway()
    gateway.parts = replace(
        gateway.parts, searches=searches_in(tmp_path), now_s=lambda: NOW_S + 3600
    )
    yield gateway.client()
    place.store.close()


def seqs(client: TestClient, **query: str) -> list[int]:
    answer = client.get("/api/v1/records", params=query)
    assert answer.status_code == 200, answer.text
    return [found["record"]["seq"] for found in answer.json()["records"]]


@pytest.mark.parametrize(
    "query, expected",
    [
        ({}, [3, 2, 1]),
        ({"limit": "1"}, [3]),
        ({"backend": "mini, other", "outcome": "ok"}, [3, 1]),
        ({"status": "5xx"}, [2]),
        ({"user": "bob", "since": "2h"}, [1]),
        ({"since": "now"}, []),
        ({"min_latency": "2ms"}, [3, 2]),
        ({"min_cost_usd": "0.1"}, []),
        ({"text": '"large"'}, [2]),
        ({"feedback": "thumbs"}, [1]),
    ],
    ids=repr,
)
def test_query_finds_what_it_says(
    client: TestClient, query: dict[str, str], expected: list[int]
) -> None:
    assert seqs(client, **query) == expected


def test_bodies_come_where_they_are_asked_for(client: TestClient) -> None:
    (plain, *_) = client.get("/api/v1/records").json()["records"]
    assert plain["record"]["request"] == {"bytes": 7, "type": "json"}
    (full, *_) = client.get("/api/v1/records?payload=true").json()["records"]
    assert full["record"]["request"]["body"] == {"a": 1}


def test_what_was_said_comes_with_a_search_for_it(client: TestClient) -> None:
    (found,) = client.get("/api/v1/records?feedback=any").json()["records"]
    assert [each["signal"] for each in found["feedback"]] == ["thumbs"]


def test_stats_come_by_group(client: TestClient) -> None:
    answer = client.get("/api/v1/records/stats?by=backend&signals=true").json()
    assert [(group["by"], group["records"]) for group in answer["groups"]] == [
        ({"backend": "mini"}, 2),
        ({"backend": "large"}, 1),
    ]
    assert answer["groups"][0]["feedback"][0]["count"] == 1


@pytest.mark.parametrize(
    "path",
    [
        "/records?limit=0",
        "/records?limit=1001",
        "/records?limit=two",
        "/records?since=soon",
        "/records?status=999x",
        "/records?min_cost_usd=much",
        "/records?min_latency=long",
        "/records?since=1h&until=2h",
        "/records/stats?by=line",
    ],
)
def test_wrong_question_is_told(client: TestClient, path: str) -> None:
    answer = client.get(f"/api/v1{path}")
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["code"] == "wrong_question"
    assert error["message"].endswith(".")


def test_store_that_is_off_is_told() -> None:
    answer = FakeGateway().client().get("/api/v1/records")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "store_off")


async def test_only_a_few_searches_run_at_once_and_not_many_wait() -> None:
    most, running, may_go = 0, 0, threading.Event()

    class SlowStore:
        def search(self, *_arguments: object, **_named: object) -> Found:
            nonlocal most, running
            running += 1
            most = max(most, running)
            may_go.wait(5)
            running -= 1
            return Found()

    slow: Any = SlowStore()
    searches = Searches(slow)
    tasks = [asyncio.create_task(searches.search(Filter(), 1)) for _ in range(MOST_WAITING)]
    await asyncio.sleep(0.05)
    with pytest.raises(Fault, match="Too many searches"):
        await searches.search(Filter(), 1)
    may_go.set()
    await asyncio.gather(*tasks)
    assert most == 2
    assert (await searches.search(Filter(), 1)).matches == ()


def test_filter_of_nothing_is_everything() -> None:
    assert filter_of({}, NOW_S) == Filter()
