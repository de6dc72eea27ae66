"""What the rules say of what is kept: what drifts, since when, of whom; what cannot be said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from msgspec.structs import replace

from gateway.config.units import Duration
from gateway.config.watching import Drift, DriftLabels, DriftReference
from gateway.drift.page import page_of
from gateway.drift.report import as_text
from gateway.drift.report_view import RouteReports
from gateway.watch.kept import FILE, Kept
from gateway.watch.reports import PARTS, chosen, overview_view, reports_in, reports_view
from gateway.watch.tally import Tally
from tests.watch.world import MINUTE_NS, START, Columns, Traffic, bases_of, drift_of, rule, trained

ROUTES = ["fraud", "chat"]
HOUR = 60
REFERENCE = trained(4_000)


def cents_from(first: int) -> Any:
    def befall(columns: Columns, minute: int, _rng: np.random.Generator) -> None:
        if minute >= first:
            columns["amount"] = [100 * each for each in columns["amount"]]

    return befall


def training(place: Path, **rules: Any) -> Drift:
    place.mkdir(exist_ok=True)
    path = place / "train.json"
    path.write_bytes(REFERENCE.encode())
    return drift_of(DriftReference(kind="training", file=str(path)), **rules)


def kept(place: Path, drift: Drift, *, befall: Any = None, hours: int = 4, rows: int = 6) -> None:
    """Hours of traffic, counted as the shipper does it."""
    tally = Tally(bases_of(drift, REFERENCE).all)
    traffic = Traffic(rows=rows, befall=befall)
    for minute in range(START, START + hours * HOUR):
        tally.count(b"\n".join([*traffic.minute(minute), b""]), minute)
    Kept(place / FILE).save(tally.drain())


@pytest.fixture(scope="module")
def cents(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Drift]:
    """Four hours, in the last of which euros became cents."""
    place = tmp_path_factory.mktemp("cents")
    drift = training(place, inputs=rule(), age=rule(fields=("age",)))
    kept(place, drift, befall=cents_from(START + 3 * HOUR))
    return place, drift


def test_what_drifts_is_told_with_its_trend(cents: tuple[Path, Drift]) -> None:
    place, drift = cents
    (one,) = reports_in(place, drift, ROUTES).of("fraud", "inputs", with_trend=True)
    report = one.report
    assert (one.version, one.arm, one.compared_with) == ("7", "champion", "training")
    assert [field.name for field in report.fields if field.is_drift][:1] == ["amount"]
    assert not next(field for field in report.fields if field.name == "age").is_drift
    amount = report.fields[0]
    assert len(amount.trend) == 4
    assert max(amount.trend[:3]) < 1 < amount.trend[3]
    assert one.span[1] - one.span[0] == HOUR
    assert report.current_rows == pytest.approx(6 * HOUR, abs=6)
    assert report.reference_rows == 4_000
    assert report.reference_hash == REFERENCE.hash


def test_text_page_and_json_say_the_same(cents: tuple[Path, Drift]) -> None:
    place, drift = cents
    reports = reports_in(place, drift, ROUTES)
    view = reports_view("fraud", reports, "inputs")
    (one,) = view.reports
    assert one.report.drift_by_columns["amount"].drift_detected
    assert one.report.number_of_drifted_columns >= 1
    assert msgspec.json.decode(msgspec.json.encode(view), type=RouteReports) == view
    (found,) = reports.of("fraud", "inputs", with_trend=True)
    line = next(line for line in as_text(found.report).splitlines() if " amount " in line)
    assert line.startswith("! amount")
    assert "▁▁▁█" in line  # the trend
    assert "above all that the reference had" in line
    assert 'aria-label="trend"' in page_of(found.report)


def test_rule_looks_at_its_own_fields(cents: tuple[Path, Drift]) -> None:
    place, drift = cents
    (one,) = reports_in(place, drift, ROUTES).of("fraud", "age", with_trend=False)
    assert [field.name for field in one.report.fields] == ["age"]
    assert one.report.fields[0].trend == ()


def test_overview_has_a_line_a_rule_and_what_was_counted(cents: tuple[Path, Drift]) -> None:
    place, drift = cents
    found = overview_view(drift, reports_in(place, drift, ROUTES))
    by_rule = {(line.rule, line.route): line for line in found.lines}
    assert by_rule["inputs", "fraud"].worst[0] == "amount"
    assert by_rule["age", "fraud"].drifted == 0
    assert found.counted["counted"] == 4 * HOUR * 6
    assert found.data_until.endswith("Z")
    assert any("chat" in note and "too few rows" in note for note in found.notes)


def test_quiet_hours_drift_nowhere(tmp_path: Path) -> None:
    drift = training(tmp_path)
    kept(tmp_path, drift)
    (one,) = reports_in(tmp_path, drift, ["fraud"]).of("fraud", with_trend=True)
    assert one.report.drifted == 0
    assert all(max(field.trend) < 1 for field in one.report.fields)


def test_before_anything_was_counted_that_is_said(tmp_path: Path) -> None:
    drift = training(tmp_path)
    reports = reports_in(tmp_path, drift, ["fraud"])
    assert reports.of("fraud", with_trend=True) == []
    assert chosen([]) is None
    assert "Nothing was counted yet." in reports.notes
    assert any("too few rows" in note for note in reports.notes)


def test_reference_that_is_gone_is_said(tmp_path: Path) -> None:
    drift = drift_of(DriftReference(kind="training", file=str(tmp_path / "gone.csv")))
    reports = reports_in(tmp_path, drift, ["fraud"])
    assert reports.of("fraud", with_trend=True) == []
    assert any("gone.csv" in note for note in reports.notes)


def test_last_week_is_compared_with_the_same_hours(tmp_path: Path) -> None:
    week = training(tmp_path, inputs=rule(reference="train"))
    references = {**week.references, "week": DriftReference(kind="last_week")}
    rules = {**week.rules, "week": rule(reference="week")}
    drift = msgspec.structs.replace(week, references=references, rules=rules)
    tally = Tally(bases_of(drift, REFERENCE).all)
    for first, befall in ((START - 7 * 24 * HOUR, None), (START, cents_from(START))):
        traffic = Traffic(rows=6, befall=befall)
        for minute in range(first, first + HOUR + 1):
            lines = traffic.minute(minute, stream=f"s{first}")
            tally.count(b"\n".join([*lines, b""]), minute)
    Kept(tmp_path / FILE).save(tally.drain())
    (one,) = reports_in(tmp_path, drift, ["fraud"]).of("fraud", "week", with_trend=False)
    assert one.compared_with == "last_week"
    assert one.report.reference == "the same hours a week before"
    assert one.report.reference_rows < 1_000
    assert one.report.fields[0].name == "amount"


def test_trend_is_bounded(tmp_path: Path) -> None:
    drift = training(tmp_path, inputs=rule(window=Duration(5 * MINUTE_NS)))
    kept(tmp_path, drift, hours=3, rows=12)
    (one,) = reports_in(tmp_path, drift, ["fraud"]).of("fraud", with_trend=True)
    assert {len(field.trend) for field in one.report.fields} == {PARTS}


def test_the_one_that_says_most_is_chosen(cents: tuple[Path, Drift]) -> None:
    place, drift = cents
    found = reports_in(place, drift, ROUTES).of("fraud", with_trend=False)
    first = chosen(found)
    assert first is not None
    assert first.rule == "inputs"
    assert chosen(found, version="8") is None


def test_too_few_rows_for_a_look_are_too_few_for_a_report(tmp_path: Path) -> None:
    drift = training(tmp_path, inputs=rule(window=Duration(20 * MINUTE_NS)))
    kept(tmp_path, drift, rows=1)
    reports = reports_in(tmp_path, drift, ROUTES)
    assert reports.of("fraud", with_trend=False) == []
    assert "50 are needed" in " ".join(reports.notes)


def test_labels_of_a_route_have_their_part_of_a_reports_false_alarms(tmp_path: Path) -> None:
    drift = training(tmp_path, inputs=rule())
    kept(tmp_path, drift)
    labelled = replace(drift, labels={"fraud": DriftLabels(prediction="score")})
    (plain,) = reports_in(tmp_path, drift, ROUTES).of("fraud", with_trend=False)
    (shared,) = reports_in(tmp_path, labelled, ROUTES).of("fraud", with_trend=False)
    assert shared.report.alpha == pytest.approx(plain.report.alpha / 2)
