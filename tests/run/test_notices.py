"""Decisions of the desk as notices."""

from __future__ import annotations

from typing import get_args

import pytest

from gateway.config.document import parse_rollout
from gateway.config.notice_relations import SEVERITY_OF
from gateway.notices.bodies import MOST_FACTS
from gateway.notices.notice import Notice
from gateway.rollout.machine import Event
from gateway.rollout.verdict import Judgement
from gateway.run.notices import LARGEST_E, notice_of, telling
from tests.control.desk import AT_MS, ERRORS, make_decision

ROLLOUT = parse_rollout("route: chat\narms: {v2: {backends: [local]}}\n")


def test_decision_becomes_a_notice_with_its_facts() -> None:
    notice = notice_of(make_decision(), ROLLOUT)
    assert (notice.event, notice.rollout, notice.route) == ("advanced", "chat-v2", "chat")
    assert notice.sentence == "setWeight 5: every gate passes."
    assert notice.at_ms == AT_MS
    assert notice.facts == {
        "phase": "running",
        "weight": 5.0,
        "by": "desk",
        "decision": 1,
        "step": "setWeight 5",
        "challenger_requests": 160,
    }


@pytest.mark.parametrize("log_e,e_value", [(4.0, pytest.approx(54.6, rel=1e-3)), (9e9, LARGEST_E)])
def test_rollback_says_which_gate_and_how_sure(log_e: float, e_value: object) -> None:
    failing = type(ERRORS)(gate="errors", arm="v2", metric="errors", verdict="fail", log_e=log_e)
    judgement = Judgement(at_ms=AT_MS, verdicts=(failing,), fails=(failing,))
    decision = make_decision(event="rolled_back", judgement=judgement, weights={}, revision=2)
    facts = notice_of(decision, ROLLOUT).facts
    assert (facts["gate"], facts["arm"], facts["weight"]) == ("errors", "v2", 0.0)
    assert facts["e_value"] == e_value
    assert facts["revision"] == 2
    assert len(facts) <= MOST_FACTS


def test_word_of_a_person_has_no_evidence() -> None:
    decision = make_decision(2, event="started", actor="api:ada", step=-1, judgement=None)
    facts = notice_of(decision, ROLLOUT).facts
    assert facts["by"] == "api:ada"
    assert "step" not in facts
    assert "gate" not in facts


def test_every_event_of_the_desk_can_be_told() -> None:
    silent = {"", "delivered"}
    assert set(get_args(Event)) - silent == set(SEVERITY_OF)


def test_desk_tells_through_it() -> None:
    class Ear:
        def __init__(self) -> None:
            self.heard: list[Notice] = []

        def tell(self, notice: Notice) -> None:
            self.heard.append(notice)

    ear = Ear()
    telling(ear)(make_decision(), ROLLOUT)
    assert [notice.event for notice in ear.heard] == ["advanced"]
