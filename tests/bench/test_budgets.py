from pathlib import Path

import pytest

from bench import budgets, results
from bench.budgets import Budget, Verdict
from bench.results import Report
from tests.bench.samples import (
    chat_sample,
    full_report,
    make_report,
    store_sample,
    stream_sample,
)


def figures_of(report: Report) -> dict[str, float | None]:
    return {each.budget.name: each.figure for each in budgets.compare(report)}


def words_of(report: Report) -> dict[str, str]:
    return {each.budget.name: budgets.word(each) for each in budgets.compare(report)}


def test_every_budget_finds_its_figure_in_a_full_report() -> None:
    figures = figures_of(full_report())
    assert None not in figures.values()
    assert figures["CPU per request, everything on, against Envoy"] == pytest.approx(18 / 35)
    assert figures["CPU per relayed event against nginx"] == pytest.approx(1.1)
    assert figures["user-space CPU per request, everything on"] == 8.0
    assert figures["memory per idle connection"] == 4.0
    assert figures["memory per open stream"] == 12.0
    assert figures["largest stall under open streams, beyond the rig's own"] == 3.0
    assert figures["two workers against one"] == pytest.approx(2 * 16 / 16.5)


def test_the_log_has_rows_of_its_own() -> None:
    figures = figures_of(full_report())
    assert figures["CPU a request that the log adds"] == 2.0
    assert figures["CPU a record in the shipper with the local store"] == 9.0
    assert figures["CPU a record in the shipper to Kafka"] == 2.5
    assert figures["record: build, encode, append"] == 2.0
    name = "first token and gaps, log on against off, in spreads of rounds"
    assert figures[name] == pytest.approx(10 / 20)


def test_questions_to_the_store_are_judged_by_the_slowest_mean() -> None:
    figures = figures_of(full_report())
    assert figures["explain by id"] == 120.0
    assert figures["search a day with three filters"] == 2_000.0
    assert figures["production at a past time"] == 400.0


def test_a_store_with_fewer_records_than_meant_is_said_to_be_small() -> None:
    words = words_of(make_report(store=store_sample(100_000)))
    assert words["explain by id"] == "met, over 100,000 records"
    slow = words_of(make_report(store=store_sample(100_000, explain_ms=300)))
    assert slow["explain by id"] == "missed, over 100,000 records"


def test_the_dearer_of_the_routed_scenarios_is_the_one_that_counts() -> None:
    figures = figures_of(full_report())
    assert figures["CPU per request, everything on, against nginx"] == pytest.approx(18 / 15)
    name = "CPU per request, 8 candidates, not recorded, against nginx"
    assert figures[name] == pytest.approx(16 / 15)


def test_a_result_from_before_the_log_is_not_taken_for_a_recorded_one() -> None:
    samples = (
        chat_sample("nginx", 5.0),
        chat_sample("gateway", 8.0, "cheapest"),
        chat_sample("gateway", 8.0),
    )
    report = make_report(chat=samples)
    name = "CPU per request, 8 candidates, not recorded, against nginx"
    assert figures_of(report)[name] == pytest.approx(18 / 15)
    words = words_of(report)
    assert words["CPU per request, everything on, against nginx"] == (
        "met, without key check and record"
    )
    assert words["CPU a request that the log adds"] == "not measured"


def test_without_its_peer_the_unrecorded_gateway_is_not_measured() -> None:
    samples = [each for each in full_report().chat if each.proxy != "gateway-unrecorded"]
    figures = figures_of(make_report(chat=tuple(samples)))
    assert figures["CPU per request, 8 candidates, not recorded, against nginx"] is None
    assert figures["CPU a request that the log adds"] is None


def test_a_full_report_within_all_limits_meets_all_budgets() -> None:
    verdicts = budgets.compare(full_report())
    assert budgets.all_met(verdicts)
    words = {budgets.word(each) for each in verdicts}
    assert words == {"met", "met, without key check", "no limit"}


def test_what_was_not_measured_is_said_and_is_not_met() -> None:
    verdicts = budgets.compare(make_report())
    assert {budgets.word(each) for each in verdicts} == {"not measured"}
    assert not budgets.all_met(verdicts)


def test_streams_that_were_measured_once_say_nothing_of_noise() -> None:
    once = (stream_sample("gateway", 2.0), stream_sample("gateway-unrecorded", 2.0))
    assert budgets.stream_noise(make_report(streams=once)) is None


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


def test_a_figure_without_a_limit_is_shown_and_judged_by_nobody() -> None:
    verdict = Verdict(Budget("a", "us", None, lambda _: None), 3.0)
    assert budgets.word(verdict) == "no limit"
    assert budgets.cells(verdict) == ("a", "", "", "3.00 us", "no limit")
    assert budgets.all_met([verdict])


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
