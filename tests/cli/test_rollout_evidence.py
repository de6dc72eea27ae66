"""`gateway rollout explain` and `verify`: what was decided follows from its evidence, or not."""

from __future__ import annotations

import json

import msgspec
import pytest

from gateway.cli.rollout_evidence import decision_of, explained, page, verdict_on_log, verified
from gateway.config.document import parse_rollout
from gateway.rollout.counts import ArmCounts, Evidence, Period
from gateway.rollout.decisions import NOTHING, Decision, Entry, sealed
from gateway.rollout.gates import judge
from tests.cli.admin_port import AdminPort, exit_code
from tests.control.desk import AT_MS, FakeDesk, make_decision

SPEC = json.dumps({"route": "chat", "arms": {"v2": {"backends": ["two"]}}})
WORSE = Period(
    weights={"v2": 100_000},
    since_ms=AT_MS - 60_000,
    until_ms=AT_MS,
    evidence=Evidence(
        at_ms=AT_MS,
        arms={
            "champion": ArmCounts(
                assigned=900, dispatched=900, answered=900, recorded=900, ended=900, errors=5
            ),
            "v2": ArmCounts(
                assigned=100, dispatched=100, answered=100, recorded=100, ended=100, errors=30
            ),
        },
    ),
)


def judged(n: int = 1, **fields: object) -> Decision:
    """A rollback that follows from its evidence."""
    judgement = judge(parse_rollout(SPEC), (WORSE,), AT_MS)
    assert [one.gate for one in judgement.fails] == ["errors"]
    decision = make_decision(
        n,
        event="rolled_back",
        phase="rolled_back",
        weights={"v2": 0},
        judgement=judgement,
        periods=(WORSE,),
        spec=SPEC,
    )
    return msgspec.structs.replace(decision, **fields)


def forged() -> Decision:
    """The same with fewer errors than there were."""
    text = msgspec.json.encode(judged()).replace(b'"errors":30', b'"errors":1')
    return msgspec.json.decode(text, type=Decision)


def chained(*decisions: Decision) -> list[Entry]:
    entries: list[Entry] = []
    for n, decision in enumerate(decisions, 1):
        entries.append(sealed(decision, n, entries[-1].hash if entries else NOTHING))
    return entries


def desk_with(*decisions: Decision) -> FakeDesk:
    return FakeDesk(log=list(decisions), entries=chained(*decisions))


def test_explanation_finds_the_verdict_again(capsys: pytest.CaptureFixture[str]) -> None:
    with AdminPort(rollouts=desk_with(judged())) as url:
        assert exit_code("rollout", "explain", "chat-v2", "--admin", url) == 0
        text = capsys.readouterr().out
        assert exit_code("rollout", "explain", "chat-v2", "1", "--json", "--admin", url) == 0
    assert text.startswith("decision 1 of chat-v2, revision 1: rolled back, by desk at 2025-10-09T")
    assert ["1", "v2", "100", "100", "30", "0", "$0.00"] in [
        [word for word in line.split() if word != "10.0%"] for line in text.splitlines()
    ]
    assert "✖ fail" in text
    assert "Judged again: all" in text
    answer = json.loads(capsys.readouterr().out)
    assert answer["agrees"] is True
    assert answer["evidence"][0]["arms"]["v2"]["errors"] == 30
    assert answer["verdicts"][0]["again_log_e"] == pytest.approx(answer["verdicts"][0]["log_e"])


def test_evidence_that_was_changed_is_found_out(capsys: pytest.CaptureFixture[str]) -> None:
    with AdminPort(rollouts=desk_with(forged())) as url:
        assert exit_code("rollout", "explain", "chat-v2", "--admin", url) == 1
    text = capsys.readouterr().out
    assert "The gate errors of v2 was fail" in text


def test_word_of_a_person_is_told_as_such(capsys: pytest.CaptureFixture[str]) -> None:
    paused = make_decision(event="paused", actor="api:ada", judgement=None, periods=())
    with AdminPort(rollouts=desk_with(paused)) as url:
        assert exit_code("rollout", "explain", "chat-v2", "--admin", url) == 0
    text = capsys.readouterr().out
    assert "paused, by api:ada" in text
    assert "no gate was asked" in text


def test_explanation_is_of_the_last_decision_that_has_evidence() -> None:
    paused = make_decision(2, event="paused", judgement=None, periods=())
    with AdminPort(rollouts=desk_with(judged(), paused)) as url:
        assert exit_code("rollout", "explain", "chat-v2", "--admin", url) == 0


def test_nothing_to_explain_is_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with AdminPort(rollouts=FakeDesk()) as url:
        assert exit_code("rollout", "explain", "old", "--admin", url) == 1
        assert exit_code("rollout", "explain", "chat-v2", "77", "--admin", url) == 1
    errors = capsys.readouterr().err
    assert "nothing was decided of `old` yet" in errors
    assert "no decision of that number" in errors


def test_decision_comes_whole_through_json() -> None:
    decision = make_decision()
    assert decision_of(json.loads(msgspec.json.encode(decision))) == decision


def test_first_decision_without_weights_has_no_challenger_with_traffic() -> None:
    text = page(explained(judged(weights={}, versions={}, periods=(WORSE,))))
    assert "no challenger has traffic" in text


@pytest.mark.parametrize("size", [1, 3])
def test_good_log_is_verified_page_by_page(size: int) -> None:
    entries = chained(*(judged() for _ in range(4)), make_decision(judgement=None, periods=()))

    def behind(after: int) -> list[Entry]:
        return entries[after : after + size]

    answer = verified(behind)
    assert answer == {"entries": 5, "replayed": 4, "hash": entries[-1].hash, "problems": []}
    assert verdict_on_log(answer).startswith("5 decisions, none changed, none missing")


def test_changed_log_is_found_out(capsys: pytest.CaptureFixture[str]) -> None:
    desk = desk_with(judged(), judged(), judged())
    with AdminPort(rollouts=desk) as url:
        assert exit_code("rollout", "verify", "--admin", url) == 0
        second = desk.entries[1]
        changed = second.text.replace('"errors":30', '"errors":31')
        desk.entries[1] = msgspec.structs.replace(second, text=changed)
        assert exit_code("rollout", "verify", "--admin", url) == 1
        del desk.entries[1]
        assert exit_code("rollout", "verify", "--admin", url) == 1
        desk.entries.clear()
        assert exit_code("rollout", "verify", "--admin", url) == 0
    good, _, bad, changed_entry, *missing, empty = capsys.readouterr().out.splitlines()
    assert good.startswith("3 decisions")
    assert bad == "the decision log is NOT as it was written:"
    assert changed_entry == "entry 2 of the decision log was changed"
    assert missing[-1] == "the decision log has no entry 2: it was taken out"
    assert empty == "the decision log is empty"


def test_log_whose_verdicts_do_not_follow_is_found_out() -> None:
    entries = chained(forged())
    answer = verified(lambda after: entries[after:])
    assert answer["problems"][0].startswith("entry 1: The gate errors of v2 was fail")
