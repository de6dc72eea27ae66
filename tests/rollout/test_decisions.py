"""The decision log: chained, and whatever is done to it shows."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from msgspec.structs import replace

from gateway.rollout.counts import ArmCounts, Evidence, Period
from gateway.rollout.decisions import (
    NOTHING,
    Decision,
    DecisionsError,
    Entry,
    exported,
    imported,
    opened,
    sealed,
    verify,
)
from gateway.rollout.verdict import Judgement, Verdict


def make_decision(rollout: str = "r", **keys: object) -> Decision:
    verdict = Verdict(gate="errors", arm="new", metric="errors", log_e=1.5)
    period = Period(
        weights={"new": 10_000},
        evidence=Evidence(at_ms=7, arms={"new": ArmCounts(assigned=3, total_ns={130: 2, 9: 1})}),
    )
    given: dict[str, object] = {
        "rollout": rollout,
        "revision": 1,
        "at_ms": 7,
        "actor": "desk",
        "event": "advanced",
        "sentence": "Step 1.",
        "phase": "running",
        "step": 0,
        "judgement": Judgement(at_ms=7, verdicts=(verdict,)),
        "periods": (period,),
    }
    return Decision(**(given | keys))  # type: ignore[arg-type]


def make_log(length: int = 5) -> list[Entry]:
    entries: list[Entry] = []
    prev = NOTHING
    for n in range(1, length + 1):
        entries.append(sealed(make_decision(at_ms=n), n, prev))
        prev = entries[-1].hash
    return entries


def test_whole_log_is_verified() -> None:
    log = make_log()
    assert verify(log) == (5, log[-1].hash)
    assert verify([]) == (0, NOTHING)
    assert verify(log[3:], 3, log[2].hash) == (5, log[-1].hash)


def test_decision_comes_back_as_it_was() -> None:
    decision = make_decision()
    assert opened(sealed(decision, 3, NOTHING)) == replace(decision, n=3)


def test_same_decision_has_the_same_text() -> None:
    counts = ArmCounts(assigned=3, total_ns={9: 1, 130: 2})
    period = Period(weights={"new": 10_000}, evidence=Evidence(at_ms=7, arms={"new": counts}))
    other = make_decision(periods=(period,))
    assert sealed(other, 1, NOTHING) == sealed(make_decision(), 1, NOTHING)


def tampered(change: Callable[[list[Entry]], object]) -> list[Entry]:
    log = make_log()
    change(log)
    return log


@pytest.mark.parametrize(
    "change,message",
    [
        (lambda log: log.pop(2), "no entry 3: it was taken out"),
        (lambda log: log.pop(0), "no entry 1"),
        (lambda log: log.insert(2, log[1]), "no entry 3"),
        (
            lambda log: log.__setitem__(
                2, replace(log[2], text=log[2].text.replace("Step 1", "Step 2"))
            ),
            "entry 3 of the decision log was changed",
        ),
        (lambda log: log.__setitem__(1, replace(log[1], rollout="other")), "under another name"),
        (
            lambda log: log.__setitem__(3, sealed(make_decision(sentence="Forged."), 4, NOTHING)),
            "entry 4 of the decision log was changed",
        ),
    ],
)
def test_tampering_shows(change: Callable[[list[Entry]], object], message: str) -> None:
    with pytest.raises(DecisionsError, match=message):
        verify(tampered(change))


def test_export_is_read_back_byte_for_byte() -> None:
    log = make_log()
    lines = list(exported(log))
    assert all(line.count("\n") == 1 for line in lines)
    assert list(imported(lines)) == log
    with pytest.raises(DecisionsError, match="line 1 is no entry"):
        list(imported(["{}"]))


def test_figures_that_json_has_no_number_for_are_written_as_the_nearest() -> None:
    verdict = Verdict(gate="g", arm="a", metric="m", log_e=math.inf, estimate=-math.inf)
    judgement = Judgement(at_ms=7, verdicts=(verdict, replace(verdict, log_e=math.nan)))
    entry = sealed(make_decision(judgement=judgement), 1, NOTHING)
    assert verify([entry])[0] == 1
    said = opened(entry).judgement
    assert said is not None
    assert said.verdicts[0].log_e > 1e300
    assert said.verdicts[0].estimate == -said.verdicts[0].log_e
    assert said.verdicts[1].log_e == 0.0
