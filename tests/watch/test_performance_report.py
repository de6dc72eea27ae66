"""The report of a route's performance: by the store's own rows, and what it says of each gap."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.config.units import Age
from gateway.config.watching import DriftLabels
from gateway.watch.performance.report import performance_report
from tests.store.places import NOW_S, Place, feedback, id_of, record
from tests.watch.labels import DAY_US, HOUR_NS, HOUR_US, LABELS, NOW_US, FakeStore, row, scored


def figures(shown: Any) -> dict[str, Any]:
    return {one.name: one for one in shown}


def test_matured_answers_are_measured_and_the_others_estimated() -> None:
    store = FakeStore(
        [
            *scored(NOW_US - 10 * DAY_US, NOW_US - DAY_US, 3000),
            *scored(NOW_US - DAY_US, NOW_US, 400, seed=2, is_labelled=False),
        ]
    )
    found = performance_report(store, "fraud", LABELS, NOW_US, 10 * DAY_US)
    assert (found.rows, found.labelled, found.late) == (3000, 3000, 0)
    measured, expected = figures(found.figures), figures(found.estimates)
    assert measured["brier"].low < measured["brier"].value < measured["brier"].high
    assert expected["accuracy"].rows == 400
    assert expected["accuracy"].value == pytest.approx(measured["accuracy"].value, abs=0.05)
    assert found.calibration is not None
    assert found.calibration.is_sound
    assert [part.rows for part in found.periods] == [300] * 10
    assert found.versions == ()
    assert found.notes == ()


def test_versions_are_told_apart() -> None:
    rows = [
        each._replace(version="12"[at % 3 == 0])
        for at, each in enumerate(scored(NOW_US - 10 * DAY_US, NOW_US - DAY_US, 900))
    ]
    found = performance_report(FakeStore(rows), "fraud", LABELS, NOW_US, 10 * DAY_US)
    assert [(part.version, part.rows) for part in found.versions] == [("1", 600), ("2", 300)]


def test_gaps_are_sentences() -> None:
    rows = [row(NOW_US - 3 * DAY_US, [0.5], None, late=2), row(NOW_US - 2 * DAY_US, None)]
    found = performance_report(FakeStore(rows), "fraud", LABELS, NOW_US, 5 * DAY_US)
    assert found.figures == ()
    assert [note.partition(":")[0] for note in found.notes] == [
        "1 records are left out",
        "2 labels came later than 24h after their answer and do not count; a longer `matured` in"
        " drift.labels takes them in.",
        "No answer that is at least 24h old has a `label`",
    ]


def test_nothing_at_all_is_a_sentence_too() -> None:
    found = performance_report(FakeStore(), "fraud", LABELS, NOW_US, DAY_US)
    assert found.rows == 0
    assert len(found.notes) == 1
    assert msgspec.json.encode(found)


def test_signals_are_shown_beside() -> None:
    store = FakeStore(scored(NOW_US - 10 * DAY_US, NOW_US - DAY_US, 300))
    store.signals["thumbs"] = [
        row(NOW_US - 5 * DAY_US + at, None, at % 4 != 0) for at in range(100)
    ]
    labels = msgspec.structs.replace(LABELS, signals=("thumbs",))
    found = performance_report(store, "fraud", labels, NOW_US, 10 * DAY_US)
    (thumbs,) = found.signals
    assert (thumbs.name, thumbs.value, thumbs.rows) == ("thumbs", 0.75, 100)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    made.store.close()


def test_records_and_feedback_of_the_log_are_measured(place: Place) -> None:
    lines = []
    for seq in range(1, 61):
        said = msgspec.Raw(msgspec.json.encode(["spam" if seq % 2 else "ham"]))
        lines.append(record(2 * seq, predictions=said, version="7"))
        truth = "spam" if seq % 2 or seq % 10 == 0 else "ham"
        value = msgspec.Raw(msgspec.json.encode(truth))
        lines.append(feedback(2 * seq + 1, id_of(2 * seq), signal="label", value=value))
    lines.append(record(122, predictions=msgspec.UNSET))
    place.added(1, lines[:80])
    place.write(2, lines[80:])
    labels = DriftLabels(matured=Age(HOUR_NS))
    now_us = int(NOW_S * 1e6) + 2 * HOUR_US
    found = performance_report(place.store, "chat", labels, now_us, DAY_US)
    assert (found.rows, found.labelled) == (60, 60)
    assert figures(found.figures)["accuracy"].value == pytest.approx(54 / 60)
    assert found.notes == ("1 records are left out: the record has no prediction.",)
