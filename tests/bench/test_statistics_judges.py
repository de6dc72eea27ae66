"""The campaign's second half keeps its promises, at a size for the tests, and prints its tables."""

import math
import os

import pytest

from bench.statistics import judges, kayenta, latency, looks, savings
from bench.statistics.figure import Row, above


@pytest.mark.slow
@pytest.mark.skipif("RUN_SLOW" not in os.environ, reason="RUN_SLOW=1 runs it: half a minute")
@pytest.mark.parametrize("part", judges.PARTS)
def test_every_figure_is_in_its_range(part: str) -> None:
    found = judges.PARTS[part].rows(200, 7)
    assert [row for row in found if not (row.is_met or math.isnan(row.measured))] == []


def test_evidence_finds_in_minutes_what_kayenta_passes() -> None:
    judged, alarmed, minute = kayenta.case_of(100, 0.03, None, 60, 1)
    assert judged.measured < alarmed.measured
    assert 10 < minute.measured < 60


def test_interval_of_p99s_covers_with_the_boards_buckets() -> None:
    rows = {row.figure: row.measured for row in latency.coverage(2000, 60, 3)}
    assert rows["coverage, the board's buckets"] >= 0.9
    assert rows["coverage, the board's buckets"] == pytest.approx(
        rows["coverage, exact buckets"], abs=0.05
    )


def test_tests_that_are_made_for_looking_again_hold_their_error() -> None:
    rows = [row for row in looks.rows(500, 5) if row.table == looks.FALSE]
    assert all(row.is_met for row in rows)
    peeked = {row.figure: row.measured for row in rows if "z-test" in row.case}
    assert peeked["200 looks"] > 0.2


def test_cuped_leaves_what_theory_says() -> None:
    measured, told, _ = savings.variance(0.9, 200, 1)
    assert measured.is_met
    assert told.measured == pytest.approx(0.19)


def test_tables_have_a_line_for_each_case_and_mark_what_is_out_of_range() -> None:
    row = Row(table="T", case="a", figure="f", measured=0.25, most=0.2)
    other = Row(table="T", case="b", figure="g", measured=1234.0)
    unknown = Row(table="T", case="b", figure="f", measured=math.nan)
    assert judges.tables([row, other, unknown]) == (
        "**T**\n\n| | f | g |\n| --- | --: | --: |\n| a | 0.250 (!) |  |\n| b | – | 1,234 |\n"
    )


def test_bound_of_a_rate_is_three_standard_errors_above() -> None:
    assert above(0.05, 1900) == pytest.approx(0.065)
