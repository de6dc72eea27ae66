"""The page of drift shows a run as it was kept."""

from __future__ import annotations

from bench.drift import findings, tables
from bench.drift.records import MINUTE, lines
from gateway.profiles.extraction import Extraction
from gateway.profiles.recorded import from_lines
from gateway.profiles.slices import Slices


def test_the_page_is_as_drawn() -> None:
    assert tables.PAGE.text() == tables.PAGE.drawn()


def test_every_kept_run_can_be_read() -> None:
    for path in findings.FOLDER.glob("*.json"):
        assert tables.page_part(findings.load(path))


def test_the_lines_that_are_measured_are_counted() -> None:
    data = lines(300)
    reference = from_lines(data.splitlines(), "credit")
    extraction, slices = Extraction({"credit": reference}), Slices()
    assert extraction.count(data, slices, MINUTE + 60) == 300
    assert extraction.told.counts["predictions"] == 300
    assert not slices.dropped
