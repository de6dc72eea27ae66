"""What models answer, and what records say beside it: learned, counted, looked at, alerted of."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gateway.alerts.alert import Alert
from gateway.profiles.reference import Reference
from gateway.watch.learner import Learner
from gateway.watch.violations import ANOMALIES
from tests.profiles.samples import at
from tests.watch.world import START, Watch, drift_of, rule

ROWS = 100
LABELS = ("cat", "dog", "owl")
Rng = np.random.Generator
Answer = dict[str, Any]


def answer(rng: Rng) -> Answer:
    """Of a chat model, and of a classifier beside it."""
    tokens = int(rng.lognormal(5.0, 0.5)) + 1
    share = rng.dirichlet((4.0, 3.0, 2.0)).round(4).tolist()
    return {
        "finish_reason": "stop" if rng.random() < 0.95 else "length",
        "usage": {"input_tokens": int(rng.lognormal(6.0, 0.4)), "output_tokens": tokens},
        "predictions": [{"label": LABELS[int(np.argmax(share))], "p": share}],
    } | ({"response_format": "json_object"} if rng.random() < 0.5 else {})


def minute_of(minute: int, change: Callable[[Answer, Rng], None] | None) -> list[bytes]:
    rng = np.random.default_rng(minute)
    lines = []
    for row in range(ROWS):
        said = answer(rng)
        if change is not None:
            change(said, rng)
        seq = (minute - START + 200) * ROWS + row + 1
        head = {"v": 1, "id": f"r{seq}", "stream": "s", "seq": seq, "time": at(minute, row * 0.5)}
        head |= {"kind": "prediction", "route": "fraud", "version": "7", "outcome": "ok"}
        lines.append(json.dumps(head | said, separators=(",", ":")).encode())
    return lines


@pytest.fixture(scope="module")
def learned() -> Reference:
    learner = Learner("fraud")
    for minute in range(START - 100, START):
        data = b"\n".join([*minute_of(minute, None), b""])
        if (found := learner.add(data, minute)) is not None:
            return found
    pytest.fail("10,000 lines are enough")


def longer(said: Answer, _rng: Rng) -> None:
    said["usage"]["output_tokens"] *= 2


def cut_short(said: Answer, rng: Rng) -> None:
    if rng.random() < 0.4:
        said["finish_reason"] = "length"


def refused(said: Answer, rng: Rng) -> None:
    if rng.random() < 0.4:
        said["finish_reason"] = "filter"


def one_class(said: Answer, _rng: Rng) -> None:
    said["predictions"] = [{"label": "dog", "p": [0.01, 0.98, 0.01]}]


def violating(said: Answer, rng: Rng) -> None:
    if rng.random() < 0.2:
        said["anomalies"] = ["input:FLOAT_TYPE_SMALL_FLOAT:/instances/0/amount"]


def no_json(said: Answer, rng: Rng) -> None:
    if said.get("response_format") and rng.random() < 0.4:
        said["anomalies"] = ["output:ANSWER_NOT_JSON:/choices/0/message/content"]


def alerts_of(reference: Reference, change: Callable[[Answer, Rng], None] | None) -> list[Alert]:
    watch = Watch(drift_of(signals=rule()), reference)
    for minute in range(START, START + 60):
        watch.take(minute, minute_of(minute, change if minute >= START + 25 else None))
    assert not any(look.findings for look in watch.looks if look.at_ms // 60_000 <= START + 25)
    return list(watch.book.alerts.values())


@pytest.mark.parametrize(
    "change, kind, fields",
    [
        (longer, "llm_signals", {"/usage/output_tokens"}),
        (cut_short, "llm_signals", {"/finish_reason"}),
        (one_class, "prediction_collapse", {f"prediction.p.{at}" for at in range(3)}),
        (violating, "out_of_range", {ANOMALIES}),
    ],
)
def test_answers_that_change_are_alerted_of_once(
    change: Callable[[Answer, Rng], None], kind: str, fields: set[str], learned: Reference
) -> None:
    (alert,) = alerts_of(learned, change)
    assert alert.leader.finding.kind == kind
    assert fields <= {each.finding.field for each in alert.symptoms.values()}


def test_refusals_are_a_new_category_of_how_answers_end(learned: Reference) -> None:
    (alert,) = alerts_of(learned, refused)
    found = {each.finding.field: each.finding.kind for each in alert.symptoms.values()}
    assert found["/finish_reason"] == "new_category"
    assert found["llm.refused"] == "llm_signals"


def test_answers_that_are_not_the_json_that_was_asked_for_are_an_alert(learned: Reference) -> None:
    (alert,) = alerts_of(learned, no_json)
    found = {each.finding.field: each.finding.kind for each in alert.symptoms.values()}
    assert found["llm.invalid_json"] == "llm_signals"
    assert {"llm.invalid", ANOMALIES} <= set(found)


def test_answers_as_ever_raise_nothing(learned: Reference) -> None:
    assert not alerts_of(learned, None)
