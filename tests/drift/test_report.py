"""Reports of a look: a page, JSON, lines of a terminal."""

from __future__ import annotations

import json
from html.parser import HTMLParser

import msgspec
import numpy as np
import pytest

from gateway.drift.battery import Battery
from gateway.drift.current import current_of_lines, trends
from gateway.drift.page import page_of
from gateway.drift.report import ReportData, as_json, as_text, report_of, sparkline
from gateway.profiles.profile import Profile
from gateway.profiles.reference import from_arrays
from tests.profiles.samples import MINUTE, line

ROWS = 2_000


class Reader(HTMLParser):
    """Counts tags, and tells what would be fetched or run."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: dict[str, int] = {}
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] = self.tags.get(tag, 0) + 1
        self.links += [f"{name}={value}" for name, value in attrs if name in {"src", "href"}]


def made(*, shift: float = 0.0, numbers: int = 3, name: str = "f") -> ReportData:
    draw = np.random.default_rng(7)
    then = {f"{name}{at}": draw.normal(size=ROWS) for at in range(numbers)}
    now = {key: draw.normal(size=ROWS) for key in then}
    now[f"{name}0"] = now[f"{name}0"] + shift
    then["country"], now["country"] = (draw.choice(["de", "fr", "it"], ROWS) for _ in range(2))
    reference = from_arrays(then, source="train.csv")
    current = {key: Profile(one.field) for key, one in reference.profiles.items()}
    for key, profile in current.items():
        profile.update(now[key])
    verdict = Battery(reference.profiles).look(current, 0.01)
    return report_of(
        reference,
        current,
        verdict,
        title="Drift of fraud",
        source="today",
        alpha=0.01,
        now_s=1_760_000_000.0,
        trends={f"{name}0": [0.1, 0.5, 3.0]},
    )


def test_field_that_moved_is_first_and_said_in_words() -> None:
    report = made(shift=1.0)
    assert report.drifted == 1
    first = report.fields[0]
    assert (first.name, first.is_drift) == ("f0", True)
    assert first.verdict.startswith("drifts: ")
    assert first.current_mean == pytest.approx(1.0, abs=0.1)


def test_nothing_moved_nothing_drifts() -> None:
    report = made()
    assert report.drifted == 0
    assert all(one.verdict.startswith(("as before", "changed, but")) for one in report.fields)


def test_shares_of_each_distribution_are_one() -> None:
    for field in made(shift=3.0).fields:
        assert sum(field.reference) == pytest.approx(1.0, abs=1e-3)
        assert sum(field.current) == pytest.approx(1.0, abs=1e-3)
        assert len(field.labels) == len(field.reference) == len(field.current)
        assert min(*field.reference, *field.current) >= 0


def test_json_has_the_names_that_people_know() -> None:
    said = json.loads(as_json(made(shift=1.0)))
    assert (said["number_of_columns"], said["number_of_drifted_columns"]) == (4, 1)
    assert said["share_of_drifted_columns"] == 0.25
    assert said["drift_share"] == 0.5
    assert said["dataset_drift"] is False
    column = said["drift_by_columns"]["f0"]
    assert column["drift_detected"] is True
    assert column["column_type"] == "num"
    assert column["drift_score"] >= column["stattest_threshold"]
    assert said["drift_by_columns"]["country"]["column_type"] == "cat"


def test_page_of_twenty_fields_is_small_and_fetches_nothing() -> None:
    report = made(numbers=19, shift=1.0, name="a feature with a long name, as some have them, ")
    trend = tuple(1.2345 * at for at in range(24))
    fields = tuple(msgspec.structs.replace(field, trend=trend) for field in report.fields)
    page = page_of(msgspec.structs.replace(report, fields=fields))
    assert len(page.encode()) <= 200_000
    reader = Reader()
    reader.feed(page)
    assert reader.tags["section"] == 20
    assert reader.links == []
    assert "script" not in reader.tags
    assert "url(" not in page


def test_names_are_escaped_on_the_page_and_in_the_terminal() -> None:
    report = made(name="<script>\x1b[31m")
    assert "<script>" not in page_of(report)
    assert "\x1b" not in as_text(report)


def test_terminal_has_a_line_a_field() -> None:
    head, *lines = as_text(made(shift=1.0)).splitlines()
    assert head == "Drift of fraud: 1 of 4 fields drift (2,000 rows against 2,000)"
    assert [line[0] for line in lines] == ["!", " ", " ", " "]


@pytest.mark.parametrize(
    "values, line", [([0, 1, 2], "▁▅█"), ([0, 0], "▁▁"), ([], ""), ([1.0], "█")]
)
def test_sparkline_is_full_at_the_largest(values: list[float], line: str) -> None:
    assert sparkline(values) == line


def test_lines_of_the_log_are_counted_over_time() -> None:
    draw = np.random.default_rng(3)
    reference = from_arrays({"x": draw.normal(size=ROWS)})
    lines = [
        line({"x": draw.normal() + 2 * (at % 60 >= 30)}, minute=MINUTE + at % 60)
        for at in range(3_000)
    ]
    now = current_of_lines(reference, "iris", lines, MINUTE, MINUTE + 60, "log")
    assert now.profiles["x"].values == 3_000
    assert [part["x"].values for part in now.parts] == [250] * 12
    trend = trends(Battery(reference.profiles), now.parts)["x"]
    assert max(trend[:6]) < 1 < min(trend[6:])


def test_field_that_never_varies_blinds_no_other() -> None:
    draw = np.random.default_rng(2)
    then = {"x": draw.normal(size=ROWS), "status": np.full(ROWS, 200.0)}
    reference = from_arrays(then)
    current = {key: Profile(one.field) for key, one in reference.profiles.items()}
    current["x"].update(then["x"] + 2)
    current["status"].update(then["status"])
    battery = Battery(reference.profiles)
    assert battery.look(current, 0.01).drifting == {"x"}
    current["status"] = Profile(current["status"].field)
    current["status"].update(np.full(ROWS, 500.0))
    assert battery.look(current, 0.01).drifting == {"x", "status"}
