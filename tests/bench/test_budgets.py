from pathlib import Path

import pytest

from bench import budgets, results
from bench.budgets import Budget, Verdict
from bench.results import Report
from tests.bench.samples import chat_sample, full_report, make_report


def figures_of(report: Report) -> dict[str, float | None]:
    return {each.budget.name: each.figure for each in budgets.compare(report)}


def test_every_budget_finds_its_figure_in_a_full_report() -> None:
    figures = figures_of(full_report())
    assert [name for name, figure in figures.items() if figure is None] == [
        each.name for each in budgets.BUDGETS if each.awaits
    ]
    assert figures["CPU per request, 8 candidates, against Envoy"] == pytest.approx(18 / 35)
    assert figures["CPU per relayed event against nginx"] == pytest.approx(1.1)
    assert figures["user-space CPU per request, 8 candidates"] == 8.0
    assert figures["memory per idle connection"] == 4.0
    assert figures["memory per open stream"] == 12.0
    assert figures["largest stall under open streams, beyond the rig's own"] == 3.0
    assert figures["two workers against one"] == pytest.approx(2 * 16 / 16.5)


def test_the_dearer_of_the_routed_scenarios_is_the_one_that_counts() -> None:
    figures = figures_of(full_report())
    assert figures["CPU per request, 8 candidates, against nginx"] == pytest.approx(18 / 15)


def test_a_full_report_within_all_limits_meets_all_budgets() -> None:
    verdicts = budgets.compare(full_report())
    assert budgets.all_met(verdicts)
    assert {budgets.word(each) for each in verdicts} == {"met", "awaits key check and record"}


def test_what_was_not_measured_is_said_and_is_not_met() -> None:
    verdicts = budgets.compare(make_report())
    words = {budgets.word(each) for each in verdicts if not each.budget.awaits}
    assert words == {"not measured"}
    assert not budgets.all_met(verdicts)


@pytest.mark.parametrize(
    "figure, is_floor, said",
    [
        (0.9, False, "met, and the stretch"),
        (1.0, False, "met, and the stretch"),
        (1.4, False, "met"),
        (1.41, False, "missed"),
        (1.4, True, "met"),
        (1.3, True, "missed"),
        (None, False, "not measured"),
    ],
)
def test_a_verdict_is_one_word(figure: float | None, is_floor: bool, said: str) -> None:
    budget = Budget("a", "x", 1.4, lambda _: None, None if is_floor else 1.0, is_floor)
    assert budgets.word(Verdict(budget, figure)) == said


def test_more_cores_turn_two_workers_into_throughput() -> None:
    one, two = chat_sample("gateway", 6, "workers"), chat_sample("gateway x2", 6, "workers")
    report = make_report(chat=(one, two))
    machine = {name: getattr(report.machine, name) for name in report.machine.__struct_fields__}
    four = make_report(chat=(one, two), machine=type(report.machine)(**(machine | {"cores": 4})))
    assert budgets.two_workers(report) == 2.0
    assert budgets.two_workers(four) == 1.0
    assert budgets.two_workers(make_report(chat=(one,))) is None


def test_only_strict_makes_a_missed_budget_an_exit_status(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = results.save(make_report(), tmp_path)
    assert budgets.main([str(path)]) == 0
    assert budgets.main([str(path), "--strict"]) == 1
    assert "not measured" in capsys.readouterr().out


def test_strict_is_content_when_all_are_met(tmp_path: Path) -> None:
    assert budgets.main([str(results.save(full_report(), tmp_path)), "--strict"]) == 0


def test_the_newest_result_is_the_one_with_the_latest_date(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no results"):
        budgets.latest(tmp_path)
    results.save(make_report(date="2026-11-20T10:00:00+00:00", commit="f" * 10), tmp_path)
    newest = results.save(make_report(), tmp_path)
    assert budgets.latest(tmp_path) == newest
