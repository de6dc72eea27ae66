"""A kept decision is judged again."""

from __future__ import annotations

import msgspec

from gateway.rollout.decisions import Decision
from gateway.rollout.gates import judge
from gateway.rollout.replay import replay
from gateway.rollout.standing import spec_text
from tests.rollout.cases import counts, period, rollout_of

ROLLOUT = rollout_of()
EVIDENCE = (period(counts(990, errors=20), counts(10, errors=5), 0.01),)


def decision() -> Decision:
    made = Decision(
        rollout="r",
        revision=1,
        at_ms=5,
        actor="desk",
        event="rolled_back",
        sentence="…",
        phase="rolled_back",
        step=0,
        judgement=judge(ROLLOUT, EVIDENCE, 5),
        periods=EVIDENCE,
        spec=spec_text(ROLLOUT),
    )
    return msgspec.json.decode(msgspec.json.encode(made), type=Decision)


def test_the_same_evidence_gives_the_same_verdict() -> None:
    found = replay(decision())
    assert found.agrees
    assert found.sentence == "Judged again: all 8 verdicts are the same."
    assert found.judgement == decision().judgement


def test_other_evidence_shows() -> None:
    fewer = (period(counts(990, errors=20), counts(10, errors=1), 0.01),)
    found = replay(msgspec.structs.replace(decision(), periods=fewer))
    assert not found.agrees
    assert found.differences[0].startswith("The gate errors of new was fail (evidence ")
    assert "Failing were errors of new, and are none." in found.differences


def test_lost_requests_that_were_not_seen_show_at_their_hop() -> None:
    lost = (period(counts(9000, answered=5000), counts(9000), 0.5),)
    found = replay(msgspec.structs.replace(decision(), periods=lost))
    assert "The hop answered was pass, and is fail." in found.differences


def test_what_a_person_said_has_nothing_to_judge() -> None:
    found = replay(msgspec.structs.replace(decision(), judgement=None, actor="ann"))
    assert found.agrees
    assert found.sentence.startswith("Decided by ann; no gate was asked")


def test_a_declaration_that_cannot_be_read_is_said() -> None:
    found = replay(msgspec.structs.replace(decision(), spec="{"))
    assert not found.agrees
    assert "cannot be read by this version" in found.sentence
