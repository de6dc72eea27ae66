"""The statistics' campaign, a slice of it; what the page says is what the kept run found."""

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from bench.page import named_file
from bench.statistics import __main__ as program
from bench.statistics import campaign, findings, tables, worlds
from bench.statistics.campaign import Campaign
from bench.statistics.findings import Power, Results, Size
from gateway.statistics import events, means, proportions
from gateway.statistics.means import Moments

SLICE = Campaign(runs=150, looks=40)
NULLS = (*campaign.SIZES, *campaign.COVERAGE, *campaign.SAMPLES)


def size(**kwargs: object) -> Size:
    made: dict[str, object] = {
        "test": "t",
        "setting": "s",
        "alpha": 0.05,
        "runs": 100,
        "looks": 10,
        "alarms": 5,
    }
    return Size(**(made | kwargs))  # type: ignore[arg-type]


def told(**kwargs: object) -> Power:
    made: dict[str, object] = {
        "test": "t",
        "setting": "s",
        "alpha": 0.05,
        "runs": 100,
        "found": 60,
        "median": 90.0,
        "p90": None,
        "promised": 100.0,
    }
    return Power(**(made | kwargs))  # type: ignore[arg-type]


def make_results() -> Results:
    return Results(
        date="2026-11-21T10:00:00Z",
        commit="0123456789",
        modified=False,
        seed=1,
        seconds=2.5,
        versions={"numpy": "2.4"},
        sizes=(size(), size(test="peeking", alarms=40, is_ours=False)),
        coverage=(size(),),
        power=(told(),),
        samples=(size(alpha=0.01, alarms=0),),
        skewed=(told(median=None),),
    )


def moments_at(arm: Moments) -> Moments:
    """Of the second run at its third look."""
    return Moments(*(np.asarray(part)[1, 2] for part in arm))


def kept() -> Results:
    return findings.load(findings.FOLDER / named_file(tables.PAGE.text()))


@pytest.mark.parametrize("part", NULLS, ids=lambda part: part.__name__)
def test_nothing_alarms_oftener_than_promised(part: Callable[[Campaign], Iterator[Size]]) -> None:
    found = list(part(SLICE))
    assert found
    assert [each for each in found if not each.is_met] == []


def test_peeking_at_a_z_test_is_seen_to_be_wrong() -> None:
    """The campaign can fail: what is known to alarm too often does."""
    naive = [each for each in campaign.sizes_of_events(SLICE) if not each.is_ours]
    assert naive[0].rate > naive[0].limit


@pytest.mark.parametrize("ratio, promised", [(4.0, 67), (15.0, 9)])
def test_canary_that_breaks_is_told_within_a_few_requests(ratio: float, promised: float) -> None:
    world = worlds.canary(np.random.default_rng(1), 0.02, ratio, 0.01, runs=300, looks=400)
    alarms = events.log_e_array(world.challenger, world.champion, 0.01) >= np.log(20)
    alarms &= world.challenger >= campaign.LEAST_EVENTS
    found = campaign.power_of("events", "", 0.05, alarms, world.requests, promised)
    assert found.is_met
    assert found.median is not None


def test_the_kept_run_is_a_whole_one_and_met_every_promise() -> None:
    results = kept()
    assert results.broken == []
    assert min(each.looks for each in results.sizes) == 200
    assert sorted({each.runs for each in results.sizes}) == [500, 2000]
    assert {each.promised for each in results.power} >= {3500, 1100, 200, 472, 431, 9}


def test_the_page_is_as_it_is_drawn_from_the_run_it_names() -> None:
    assert tables.PAGE.text() == tables.PAGE.drawn()


def test_figures_in_the_text_are_those_of_the_run() -> None:
    """What the prose says in numbers of its own."""
    text = tables.PAGE.text()
    rates = {(each.test, each.setting): each.rate for each in kept().sizes}
    naive = rates["z-test at every look", "2 % of both"]
    users = rates["events of users, each counted", "users of 10 requests stay on one side"]
    assert f"in {naive:.0%} of runs" in text.replace(" %", "%")
    assert f"in {users:.0%} of runs" in text.replace(" %", "%")


def test_a_rate_is_allowed_three_standard_errors() -> None:
    assert size(alarms=11).limit == pytest.approx(0.05 + 3 * 0.0217945, rel=1e-4)
    assert size(alarms=11).is_met
    assert not size(alarms=12).is_met
    assert size(alarms=100, is_ours=False).is_met


def test_a_median_must_be_there_and_near_what_was_promised() -> None:
    assert told(median=114.0).is_met
    assert not told(median=116.0).is_met
    assert not told(median=None).is_met
    assert told(median=None, promised=None).is_met
    assert told(median=None, is_ours=False).is_met


def test_broken_promises_are_said_in_words() -> None:
    said = make_results().broken
    assert said == ["t, s: median None, promised 100.0"]


def test_results_are_read_back_as_they_were_kept(tmp_path: Path) -> None:
    path = findings.save(make_results(), tmp_path)
    assert path.name == "2026-11-21-0123456789.json"
    assert findings.load(path) == make_results()


def test_tables_show_limits_only_of_what_promises_something() -> None:
    part = tables.page_part(make_results())
    assert "| t: s | 100 | 0.05 | 0.050 | 0.115 |" in part
    assert "| peeking: s | 100 | 0.05 | 0.400 |  |" in part
    assert "| t: s | 100 | 0.60 | – | – | 100 |" in part


def test_program_keeps_its_run_and_fails_when_a_promise_is_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for part in ("SIZES", "COVERAGE", "SAMPLES"):
        monkeypatch.setattr(campaign, part, (lambda _: iter([size()]),))
    monkeypatch.setattr(campaign, "POWER", (lambda _: iter([told(median=None)]),))
    monkeypatch.setattr(campaign, "SKEWED", ())
    assert program.main(["--runs", "100", "--output", str(tmp_path)]) == 1
    assert "promised 100" in capsys.readouterr().out
    monkeypatch.setattr(campaign, "POWER", (lambda _: iter([told()]),))
    assert program.main(["--output", str(tmp_path)]) == 0


def test_arrays_of_the_campaign_say_what_the_gates_functions_say() -> None:
    rng = np.random.default_rng(3)
    arms = worlds.values(rng, "cost", 0.1, (2, 3, 600), 1.2)
    log_e, _ = campaign.of_moments(arms, 1.1, "higher", 0.05)
    at = moments_at(arms.champion), moments_at(arms.challenger)
    one = means.mean_ratio([at], 0.05, margin=0.1, direction="higher")
    assert log_e[1, 2] == pytest.approx(one.log_e, rel=0.02)  # n - 1 for n in a variance
    x, y, n = np.array([[30.0]]), np.array([[10.0]]), np.array([[400.0]])
    pair = [(proportions.Share(10, 400), proportions.Share(30, 400))]
    is_told = proportions.share_difference(pair, 0.05).log_e >= -np.log(0.05)
    assert campaign.asymptotic_shares(x, y, n, 0.05)[0, 0] == is_told


def test_worlds_count_up_from_look_to_look() -> None:
    rng = np.random.default_rng(2)
    made = worlds.sticky(rng, 0.5, 3, 10, 4, 5)
    for earlier, later in pairwise(range(10)):
        assert np.all(made.challenger[:, earlier] <= made.challenger[:, later])
    assert np.all(made.requests[:, -1] % 5 == 0)
