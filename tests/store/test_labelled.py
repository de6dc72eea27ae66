"""Predictions beside their labels: which label counts, when, and of how many records."""

from __future__ import annotations

import msgspec
import pytest

from gateway.messages import Payload, TokenUsage
from gateway.store.labelled import LabelQuestion
from tests.store.places import NOW_S, Place, feedback, id_of, record

NOW_US = int(NOW_S * 1e6)
HOUR_US = 3_600_000_000


def answered(seq: int, score: float, **changes: object) -> bytes:
    body = msgspec.Raw(msgspec.json.encode({"score": score}))
    return record(seq, response=Payload(bytes=9, type="json", body=body), **changes)


def label(seq: int, about: str, value: object, **changes: object) -> bytes:
    raw = msgspec.Raw(msgspec.json.encode(value))
    return feedback(seq, about, signal="label", value=raw, **changes)


def question(**changes: object) -> LabelQuestion:
    asked = LabelQuestion(
        route="chat",
        since_us=NOW_US,
        until_us=NOW_US + HOUR_US,
        signal="label",
        pointer="/response/body/score",
        horizon_us=HOUR_US,
    )
    return msgspec.structs.replace(asked, **changes)


LINES = [
    answered(1, 0.9),
    answered(2, 0.2, request_id="order-2"),
    answered(3, 0.4, route="other"),
    answered(4, 0.5, outcome="timeout"),
    record(5),
    label(6, id_of(1), "spam"),
    label(7, id_of(1), "ham"),  # the last one counts
    label(8, "order-2", {"class": "ham"}),
    label(9, id_of(3), "spam"),
    feedback(10, id_of(5)),  # another signal
]


@pytest.mark.parametrize("where", ["stored", "live", "both"])
def test_last_label_of_each_prediction_is_beside_it(place: Place, where: str) -> None:
    if where == "stored":
        place.added(1, LINES)
    elif where == "live":
        place.write(1, LINES)
    else:
        place.added(1, LINES[:7])
        place.write(2, LINES[7:])
    found = place.store.labelled(question())
    assert [(row.id, row.prediction, row.label) for row in found.rows] == [
        (id_of(1), "0.9", '"ham"'),
        (id_of(2), "0.2", '{"class":"ham"}'),
        (id_of(5), None, None),
    ]
    assert found.rows[0].at_us == NOW_US + 1_000_000
    assert found.records == 3


def test_label_beyond_the_horizon_is_late_and_does_not_count(place: Place) -> None:
    lines = [answered(1, 0.9), label(2, id_of(1), 1), label(12, id_of(1), 0)]
    place.added(1, lines)
    (row,) = place.store.labelled(question(horizon_us=10_000_000)).rows
    assert (row.label, row.late) == ("1", 1)
    (row,) = place.store.labelled(question(horizon_us=12_000_000)).rows
    assert (row.label, row.late) == ("0", 0)


def test_signal_that_is_in_the_log_twice_counts_once(place: Place) -> None:
    place.added(1, [answered(1, 0.9), label(2, id_of(1), 1)])
    place.added(2, [label(2, id_of(1), 1), answered(3, 0.1)])
    found = place.store.labelled(question())
    assert [row.label for row in found.rows] == ["1", None]


def test_record_that_is_in_the_log_twice_is_one_row(place: Place) -> None:
    place.added(1, [answered(1, 0.9)])
    place.added(2, [answered(1, 0.9), label(2, id_of(1), 1)])
    assert len(place.store.labelled(question()).rows) == 1


def test_of_too_many_records_the_same_part_is_taken_each_time(place: Place) -> None:
    place.added(1, [answered(seq, 0.5) for seq in range(1, 401)])
    found = place.store.labelled(question(most=100))
    assert found.records == 400
    assert 50 < len(found.rows) < 150
    times = [row.at_us for row in found.rows]
    assert times == sorted(times)
    assert times[-1] - times[0] > 300_000_000  # no stretch of time is left out
    assert place.store.labelled(question(most=100)) == found


def test_nothing_recorded_is_no_row(place: Place) -> None:
    assert place.store.labelled(question()).rows == ()


@pytest.mark.parametrize(
    "pointer, expected",
    [
        ("/predictions", ["[0.7]", None]),
        ("/finish_reason", ['"stop"', None]),
        ("/confidence", ["0.25", None]),
        ("/usage/output_tokens", ["9", "0"]),
    ],
)
@pytest.mark.parametrize("where", ["stored", "live"])
def test_prediction_is_what_the_pointer_says(
    place: Place, where: str, pointer: str, expected: list[str | None]
) -> None:
    said = {
        "predictions": msgspec.Raw(b"[0.7]"),
        "finish_reason": "stop",
        "confidence": 0.25,
        "usage": TokenUsage(output_tokens=9),
    }
    lines = [record(1, **said), record(2, usage=TokenUsage(input_tokens=1))]
    if where == "stored":
        place.added(1, lines)
    else:
        place.write(1, lines)
    found = place.store.labelled(question(pointer=pointer)).rows
    assert [row.prediction for row in found][:1] == expected[:1]
    assert found[1].prediction in (None, expected[1])
