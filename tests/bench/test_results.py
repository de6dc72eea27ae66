from pathlib import Path

import msgspec
import pytest

from bench import results
from bench.results import Errors, Report
from tests.bench.samples import chat_sample, full_report, make_report


@pytest.mark.parametrize("report", [make_report(), full_report()], ids=["empty", "full"])
def test_a_report_survives_its_json(report: Report) -> None:
    assert results.decode(results.encode(report)) == report


def test_a_report_is_kept_under_its_date_and_commit(tmp_path: Path) -> None:
    path = results.save(full_report(), tmp_path / "results")
    assert path.name == "2026-11-21-0123456789.json"
    assert results.load(path) == full_report()


def test_another_schema_is_refused() -> None:
    other = msgspec.json.decode(results.encode(make_report()))
    with pytest.raises(ValueError, match="schema 2; this reads schema 1"):
        results.decode(msgspec.json.encode(other | {"schema": 2}))


def test_every_kind_of_error_counts_in_the_total() -> None:
    assert Errors(1, 2, 3, 4, 5, 6).total == 21
    assert Errors().total == 0


def test_a_sample_s_cpu_time_is_user_and_system_together() -> None:
    sample = chat_sample("nginx", 5.0)
    assert (sample.cpu_us, sample.requests_per_s) == (15.0, 10_000.0)


def test_every_result_in_the_tree_can_be_read() -> None:
    for path in results.FOLDER.glob("*.json"):
        assert results.path_of(results.load(path)) == path
