"""`/api/v1/rollouts…`: what the desk shows and is told."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from starlette.testclient import TestClient

from gateway.control.rollout_views import LARGEST_E, view_of
from gateway.notices.receiver import ReceiverFigures
from gateway.rollout.counts import ArmCounts
from gateway.rollout.decisions import Decision
from gateway.rollout.desk import ArmView
from gateway.rollout.verdict import Verdict
from tests.control.desk import FakeDesk, make_decision, make_view
from tests.control.parts import FakeGateway

TOKEN = "a-long-admin-token"


@pytest.fixture
def desk() -> FakeDesk:
    return FakeDesk()


@pytest.fixture
def client(desk: FakeDesk) -> TestClient:
    gateway = FakeGateway()
    gateway.parts = msgspec.structs.replace(gateway.parts, rollouts=desk)
    return gateway.client()


def error_of(answer: Any) -> tuple[int, str, str]:
    error = answer.json()["error"]
    return answer.status_code, error["code"], error["message"]


def test_rollouts_are_listed_with_figures(client: TestClient) -> None:
    running, old = client.get("/api/v1/rollouts").json()
    assert (running["name"], running["phase"], running["is_ended"]) == ("chat-v2", "running", False)
    assert (old["name"], old["is_ended"]) == ("old", True)
    champion, challenger = running["arms"]
    assert champion["error_share"] == pytest.approx(10 / 3_000, rel=1e-5)
    assert champion["cost_per_request_usd"] == 0.001
    assert champion["output_tokens_per_request"] == 100
    assert champion["p50_s"] < champion["p99_s"]
    assert champion["feedback"] == {"accept": 0.8}
    assert challenger["assigned"] == 160
    assert challenger["first_byte_p50_s"] is None
    assert running["spec"] == ""


def test_gates_say_what_they_need(client: TestClient) -> None:
    gate = client.get("/api/v1/rollouts/chat-v2").json()["gates"][0]
    assert (gate["verdict"], gate["needs_requests"]) == ("not_enough_data", 1_840)
    assert gate["e_value"] == pytest.approx(4.482, rel=1e-3)
    assert gate["sentence"].startswith("errors: 8 of 160")


def test_one_rollout_has_its_declaration_and_times(client: TestClient) -> None:
    answer = client.get("/api/v1/rollouts/chat-v2").json()
    assert answer["spec"] == '{"route": "chat"}'
    assert answer["since"] == "2025-10-09T08:46:40Z"
    assert answer["propagation_s"] == 0.042
    assert answer["shares"][0]["hop"] == "answered"


@pytest.mark.parametrize(
    "phase,step,states",
    [
        ("pending", -1, ["next", "next", "next"]),
        ("running", 1, ["done", "current", "next"]),
        ("rolled_back", 1, ["done", "next", "next"]),
        ("promoted", 2, ["done", "done", "done"]),
    ],
)
def test_steps_are_done_current_or_next(phase: str, step: int, states: list[str]) -> None:
    view = view_of(make_view(phase=phase, step=step))
    assert [each.state for each in view.steps] == states


def test_arm_without_requests_has_no_figures() -> None:
    view = view_of(make_view(arms=(ArmView(name="v2", weight=0.0, counts=ArmCounts()),)))
    (arm,) = view.arms
    assert (arm.error_share, arm.p50_s, arm.cost_per_request_usd) == (None, None, None)


@pytest.mark.parametrize("log_e", [-800.0, 800.0, 1e300])
def test_evidence_beyond_measure_is_a_number_that_json_has(log_e: float) -> None:
    view = view_of(make_view(verdicts=(Verdict(gate="g", arm="v2", metric="errors", log_e=log_e),)))
    assert 0 <= view.gates[0].e_value <= LARGEST_E


@pytest.mark.parametrize(
    "verb,body,told,phase",
    [
        ("start", {}, ("",), "running"),
        ("promote", {}, (False,), "running"),
        ("promote", {"full": True}, (True,), "promoted"),
        ("pause", {}, (), "paused"),
        ("resume", {}, (), "running"),
        ("abort", {"reason": "too slow"}, ("too slow",), "aborted"),
        ("retry", {}, (), "running"),
        ("undo", {}, (), "rolled_back"),
        ("confirm", {}, (), "running"),
    ],
)
def test_verb_reaches_the_desk_with_who_said_it(
    client: TestClient,
    desk: FakeDesk,
    verb: str,
    body: dict[str, object],
    told: tuple[object, ...],
    phase: str,
) -> None:
    answer = client.post(f"/api/v1/rollouts/chat-v2/{verb}", json=body | {"author": "ada"})
    assert answer.json()["phase"] == phase
    assert desk.told == [(verb, "chat-v2", "api:ada", *told)]


def test_nobody_in_particular_is_the_api(client: TestClient, desk: FakeDesk) -> None:
    client.post("/api/v1/rollouts/chat-v2/pause", json={})
    assert desk.told == [("pause", "chat-v2", "api")]


def test_author_cannot_pass_for_the_desk(client: TestClient, desk: FakeDesk) -> None:
    client.post("/api/v1/rollouts/chat-v2/pause", json={"author": "desk"})
    assert desk.told[0][2] == "api:desk"


def test_declaration_by_hand_is_passed_on_and_its_problems_come_back(client: TestClient) -> None:
    good = client.post("/api/v1/rollouts/new/start", json={"text": "route: chat"})
    assert (good.status_code, good.json()["source"]) == (200, "hand")
    bad = client.post("/api/v1/rollouts/new/start", json={"text": "backends: [wrong]"})
    assert bad.status_code == 422
    assert bad.json()["error"]["problems"][0]["path"] == "arms.v2.backends[0]"


def test_unknown_rollout_and_illegal_verb_are_refused(client: TestClient) -> None:
    assert error_of(client.get("/api/v1/rollouts/nope"))[:2] == (404, "unknown_rollout")
    refused = error_of(client.post("/api/v1/rollouts/old/pause", json={}))
    assert refused == (409, "illegal_transition", "`old` is promoted; `undo` takes that back")


@pytest.mark.parametrize(
    "verb,body",
    [
        ("pause", {"autor": "ada"}),
        ("pause", {"author": "x" * 129}),
        ("promote", {"full": "yes"}),
        ("abort", {"reason": "x" * 1001}),
    ],
)
def test_wrong_body_is_refused(
    client: TestClient, desk: FakeDesk, verb: str, body: dict[str, object]
) -> None:
    answer = client.post(f"/api/v1/rollouts/chat-v2/{verb}", json=body)
    assert error_of(answer)[:2] == (400, "bad_body")
    assert desk.told == []


def test_history_is_without_evidence_and_a_decision_has_it(client: TestClient) -> None:
    first, second = client.get("/api/v1/rollouts/chat-v2/decisions").json()
    assert (first["n"], first["has_evidence"], first["weights"]) == (1, True, {"v2": 5.0})
    assert (second["event"], second["actor"], second["has_evidence"]) == (
        "paused",
        "api:ada",
        False,
    )
    answer = client.get("/api/v1/rollouts/chat-v2/decisions/1")
    assert msgspec.json.decode(answer.content, type=Decision) == make_decision()


@pytest.mark.parametrize("n", ["3", "0", "x", "01"])
def test_unknown_decision_is_404(client: TestClient, n: str) -> None:
    answer = client.get(f"/api/v1/rollouts/chat-v2/decisions/{n}")
    assert error_of(answer)[:2] == (404, "no_decision")


def test_decision_log_comes_in_pages(client: TestClient) -> None:
    first = client.get("/api/v1/decisions").json()
    assert [first[0]["n"], first[-1]["n"]] == [1, 100]
    rest = client.get("/api/v1/decisions?after=100&limit=9999").json()
    assert [rest[0]["n"], rest[-1]["n"]] == [101, 250]


@pytest.mark.parametrize("query", ["after=-1", "after=x", "limit=1e3", "limit=9999999999999999"])
def test_pages_want_numbers(client: TestClient, query: str) -> None:
    assert error_of(client.get(f"/api/v1/decisions?{query}"))[:2] == (400, "bad_query")


def test_gateway_without_a_desk_has_no_rollouts() -> None:
    client = FakeGateway().client()
    assert client.get("/api/v1/rollouts").json() == []
    assert error_of(client.get("/api/v1/rollouts/x"))[:2] == (503, "no_rollouts")


def test_verbs_want_the_token(desk: FakeDesk) -> None:
    gateway = FakeGateway(token=TOKEN)
    gateway.parts = msgspec.structs.replace(gateway.parts, rollouts=desk)
    answer = gateway.client().post("/api/v1/rollouts/chat-v2/promote", json={})
    assert answer.status_code == 401
    assert desk.told == []


def test_webhooks_are_shown_by_place() -> None:
    figures = ReceiverFigures(
        place="hooks.slack.com", format="slack", told=3, given_up=1, dropped=0, waiting=2
    )
    gateway = FakeGateway()
    gateway.parts = msgspec.structs.replace(gateway.parts, webhooks=lambda: (figures,))
    assert gateway.client().get("/api/v1/webhooks").json() == [msgspec.to_builtins(figures)]
