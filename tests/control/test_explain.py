"""Explanations, over a fake chooser and, where it is built, over the compiled one."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.control.explain import (
    REFUSALS,
    WAIT,
    LiveExplainer,
    PathNeeds,
    bits_of,
    needs_of,
)
from gateway.control.figures import BoardView
from gateway.control.parts import Explanation, Question
from gateway.errors import OUTCOMES, ControlError
from gateway.explanation.words import SENTENCES
from gateway.plan import CAPABILITIES, BreakerPlan, Plan, RoutePlan
from tests.control.parts import FakeGateway
from tests.control.plans import blank, make_plan

CHAT = PathNeeds(CAPABILITIES["chat"], is_generation=True)
PLAN = make_plan({"chat": ["mini", "local"]})


class FakeChooser:
    """Says what it was told to say, and remembers what it was asked."""

    def __init__(self, position: int = 0, excluded: Sequence[str] = ("", "breaker_open")) -> None:
        self.position, self.excluded = position, excluded
        self.asked: dict[str, Any] = {}

    def choose_once(self, **asked: Any) -> Mapping[str, Any]:
        self.asked = asked
        return {"position": self.position}

    def explain(self, **asked: Any) -> list[dict[str, Any]]:
        eligible = self.excluded.count("") or 1
        return [
            {
                "backend": name,
                "excluded": reason,
                "probability": 0.0 if reason else 1 / eligible,
                "score": 0.5,
                "expected_usd": 0.001,
                "predicted_ns": 2e8,
                "load": 1.0,
                "weight": 1.0,
                "is_panic": False,
            }
            for name, reason in zip(("mini", "local"), self.excluded, strict=True)
        ]


def explained(question: Question, chooser: FakeChooser, **route: Any) -> Explanation:
    gateway = FakeGateway(plan=with_route(PLAN, **route))
    explainer = LiveExplainer(
        gateway.configuration,
        gateway.parts.board,
        chooser_of=lambda _plan, _route: chooser,
        needs_of_path=lambda _protocol, path: CHAT if path.startswith("/v1/chat") else None,
        now_ns=lambda: 77,
    )
    return explainer.explain("chat", question)


def with_route(plan: Plan, **changes: Any) -> Plan:
    return replace(plan, routes=(replace(plan.routes[0], **changes),))


def needs_for(headers: dict[str, str], **route: Any) -> Any:
    plan = with_route(PLAN, **route)
    return needs_of(plan, plan.routes[0], Question(headers=headers), CHAT)


def test_choice_is_shown_with_those_who_were_excluded_and_why() -> None:
    found = explained(Question(body={"model": "chat"}), FakeChooser())
    assert (found.choice, found.refusal, found.policy) == ("mini", "", "ordered")
    mini, local = found.candidates
    assert mini.predicted_s == pytest.approx(0.2)
    assert (mini.is_eligible, mini.score) == (True, 0.5)
    assert (local.is_eligible, local.score, local.reason) == (False, None, "breaker_open")
    assert local.sentence == SENTENCES["breaker_open"]


def test_route_that_is_off_refuses_whoever_could_answer() -> None:
    found = explained(Question(body={"model": "chat"}), FakeChooser(), is_off=True)
    assert (found.choice, found.refusal) == (None, "switched_off")
    assert found.candidates[0].is_eligible


def test_body_is_read_for_what_it_needs() -> None:
    body = {
        "model": "chat",
        "stream": True,
        "max_tokens": 50,
        "tools": [{"type": "function"}],
        "messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}],
    }
    chooser = FakeChooser()
    found = explained(Question(body=body), chooser)
    assert found.needs == ("chat", "tools", "vision", "stream")
    assert chooser.asked["output_tokens"] == 50
    assert chooser.asked["now_ns"] == 77
    assert found.input_tokens == pytest.approx(chooser.asked["input_bytes"] / 4, abs=0.1)


@pytest.mark.parametrize(
    "body,names",
    [
        ({}, []),
        ({"stream": False, "tools": {}}, []),
        ({"response_format": {"type": "json_schema"}}, ["json_schema"]),
        (
            {"input": [{"content": [{"type": "input_image"}, {"type": "input_file"}]}]},
            ["vision", "files"],
        ),
        ({"messages": [{"content": [{"type": "input_audio"}]}]}, ["audio"]),
        ({"a": [{"type": ["image_url"]}, {"type": 3}]}, []),
    ],
)
def test_capabilities_are_inferred(body: dict[str, Any], names: list[str]) -> None:
    assert bits_of(body) == sum(CAPABILITIES[name] for name in names)


def test_deep_body_is_read_to_its_end() -> None:
    body: Any = {"type": "image_url"}
    for _ in range(50_000):
        body = [body]
    assert bits_of({"x": body}) == CAPABILITIES["vision"]


def test_overrides_are_followed_where_the_route_allows_them() -> None:
    headers = {
        "X-Gateway-Policy": "cheapest",
        "x-gateway-backend": "local",
        "x-gateway-capabilities": "tools, vision",
        "accept": "*/*",
    }
    allowed = ("x-gateway-policy", "x-gateway-backend", "x-gateway-capabilities")
    needs = needs_for(headers, overrides=allowed)
    assert (needs.policy, needs.required) == ("cheapest", 1)
    assert needs.capabilities == CHAT.capabilities | CAPABILITIES["tools"] | CAPABILITIES["vision"]


@pytest.mark.parametrize(
    "name,value,sentence",
    [
        ("x-gateway-timeout", "1s", "does not allow the header x-gateway-timeout"),
        ("x-gateway-policy", "best", "names no policy"),
        ("x-gateway-backend", "nobody", "names no candidate"),
        ("x-gateway-capabilities", "flying", "unknown capability"),
    ],
)
def test_wrong_overrides_are_refused(name: str, value: str, sentence: str) -> None:
    allowed = ("x-gateway-policy", "x-gateway-backend", "x-gateway-capabilities")
    with pytest.raises(ControlError, match=sentence):
        needs_for({name: value}, overrides=allowed)


def test_path_of_no_operation_is_refused() -> None:
    with pytest.raises(ControlError, match="no operation at this path"):
        explained(Question(path="/v9/nothing"), FakeChooser())


@pytest.mark.parametrize("position,refusal", list(REFUSALS.items()))
def test_refusal_is_told_by_its_reason(position: int, refusal: str) -> None:
    chooser = FakeChooser(position, ("capability", "breaker_open"))
    found = explained(Question(), chooser)
    assert (found.choice, found.refusal) == (None, refusal)
    assert refusal in {outcome.reason for outcome in OUTCOMES}


def test_full_candidates_make_the_request_wait() -> None:
    found = explained(Question(), FakeChooser(WAIT, ("at_limit", "at_limit")))
    assert (found.choice, found.refusal) == (None, "")
    assert "wait in the queue" in found.notes[0]


def test_notes_say_what_is_left_to_chance_or_to_the_session() -> None:
    found = explained(Question(), FakeChooser(), sticky="user", exploration=0.02)
    assert len(found.notes) == 2
    assert "2.00%" in found.notes[1]


def compiled() -> tuple[Any, BoardView, Plan, Any]:
    """A compiled board and candidates for two backends, one of them with an open breaker."""
    fast = pytest.importorskip("gateway._fast", exc_type=ImportError)
    plan = make_plan(
        {"chat": ["mini", "local"]},
        capabilities=CAPABILITIES["chat"] | CAPABILITIES["stream"],
        breaker=blank(BreakerPlan, consecutive=5, probes=1, failure_share=1.0, slow_share=1.0),
    )
    board = fast.Board.create(1, 8, 4)

    def chooser_of(plan: Plan, route: RoutePlan) -> Any:
        cells = [backend.cell for backend in plan.backends]
        return fast.Candidates(route, plan.backends, board, cells)

    return board, BoardView(board), plan, chooser_of


def compiled_explanation(body: dict[str, Any], *, until_ns: int = 0) -> Explanation:
    board, view, plan, chooser_of = compiled()
    fields: Any = view._cells.dtype.fields
    board.add_to_word(board.cell_offset(0) + fields["open_until_ns"][1], until_ns)
    explainer = LiveExplainer(
        FakeGateway(plan=plan).configuration,
        view,
        chooser_of=chooser_of,
        needs_of_path=lambda _protocol, _path: CHAT,
        now_ns=lambda: 1_000_000_000_000,
    )
    return explainer.explain("chat", Question(body=body))


def test_compiled_candidates_are_explained() -> None:
    found = compiled_explanation({"model": "chat", "stream": True})
    assert found.choice == "mini"
    assert sum(candidate.probability for candidate in found.candidates) == pytest.approx(1)


def test_compiled_candidates_leave_out_an_open_breaker() -> None:
    found = compiled_explanation({"model": "chat"}, until_ns=2_000_000_000_000)
    assert found.choice == "local"
    assert found.candidates[0].reason == "breaker_open"


def test_compiled_candidates_refuse_what_none_can_do() -> None:
    found = compiled_explanation({"model": "chat", "tools": []})
    assert (found.choice, found.refusal) == (None, "not_capable")
    assert {candidate.reason for candidate in found.candidates} == {"capability"}


def test_every_compiled_exclusion_has_a_sentence() -> None:
    pytest.importorskip("gateway._fast", exc_type=ImportError)
    routes = pytest.importorskip("gateway._fast.routes")
    assert set(routes.EXCLUDED) - {""} == set(SENTENCES)
