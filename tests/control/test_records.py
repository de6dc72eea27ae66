"""Records and their explanations over the admin port."""

from __future__ import annotations

import msgspec
from msgspec import Raw
from msgspec.structs import replace
from starlette.testclient import TestClient

from gateway.explanation.explanation import RecordExplanation, explain
from gateway.explanation.lookup import NoRecord
from gateway.explanation.plans import FoundPlan
from gateway.messages import Payload
from tests.control.parts import FakeGateway
from tests.explanation.records import record

IT = record("a1b2", request=Payload(bytes=9, type="json", body=Raw(b'{"a": 1}')))


class FakeRecords:
    """Has one."""

    def line(self, key: str) -> bytes:
        if key != IT.id:
            raise NoRecord("There is no record of this id; there are no records at all.")
        # A member of a newer gateway is passed on.
        return msgspec.json.encode(IT)[:-1] + b',"newer":true}'

    def explanation(self, key: str) -> RecordExplanation:
        self.line(key)
        return explain(IT, FoundPlan(hash=IT.plan, missing="It is gone."))


def client(*, is_on: bool = True) -> TestClient:
    gateway = FakeGateway()
    if is_on:
        gateway.parts = replace(gateway.parts, records=FakeRecords())
    return gateway.client()


def test_a_record_comes_as_written_but_for_its_bodies() -> None:
    answer = client().get(f"/api/v1/records/{IT.id}")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    found = answer.json()
    assert found["newer"] is True
    assert found["request"] == {"bytes": 9, "type": "json"}
    assert found["decisions"][0]["chosen"] == "mini"


def test_bodies_come_where_they_are_asked_for() -> None:
    answer = client().get(f"/api/v1/records/{IT.id}", params={"payload": "true"})
    assert answer.json()["request"]["body"] == {"a": 1}


def test_an_explanation_has_no_bodies_and_says_what_is_not_known() -> None:
    found = client().get(f"/api/v1/records/{IT.id}/explanation").json()
    assert found["request"] == {"bytes": 9, "state": "kept"}
    assert found["verdict"] == "cannot_say"
    assert found["plan"] == {"hash": "a1b2", "is_known": False, "missing": "It is gone."}


def test_an_unknown_id_is_404_in_one_sentence() -> None:
    for path in ("/api/v1/records/x", "/api/v1/records/x/explanation"):
        answer = client().get(path)
        assert answer.status_code == 404
        assert answer.json()["error"]["code"] == "no_record"
        assert "There is no record of this id" in answer.json()["error"]["message"]


def test_without_a_store_it_says_so() -> None:
    answer = client(is_on=False).get("/api/v1/records/x")
    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "store_off"
