import argparse

import pytest

from bench import __main__ as entry
from bench import results
from bench.suite import PARTS


def asked(*words: str) -> argparse.Namespace:
    return entry.parser().parse_args(words)


def test_without_words_everything_runs_with_the_usual_peers() -> None:
    wish = entry.wish_of(asked())
    assert wish.parts == PARTS
    assert wish.peers == (
        *("nginx", "haproxy", "envoy", "litellm"),
        *("gateway", "gateway-unrecorded"),
    )
    assert (wish.rounds, wish.seconds) == (5, 5)
    assert wish.records == 10_000_000


def test_quick_is_short_and_what_is_asked_for_goes_before_it() -> None:
    wish = entry.wish_of(asked("load", "--quick", "--rounds", "3", "--peers", "nginx, gateway"))
    assert (wish.parts, wish.rounds, wish.seconds) == (("load",), 3, 1)
    assert wish.peers == ("nginx", "gateway")


def test_a_quick_run_of_all_goes_without_the_store_which_is_small_when_asked_for() -> None:
    assert "store" not in entry.wish_of(asked("all", "--quick")).parts
    wish = entry.wish_of(asked("store", "--quick"))
    assert (wish.parts, wish.records) == (("store",), 100_000)
    assert entry.wish_of(asked("store", "--quick", "--records", "5000")).records == 5_000


def test_only_a_whole_run_is_kept_where_results_are_published() -> None:
    assert entry.folder_of(asked()) == results.FOLDER
    for words in (["load"], ["all", "--quick"]):
        assert entry.folder_of(asked(*words)).parts[-2:] == ("build", "bench")


def test_an_unknown_peer_is_refused_with_those_that_are_known(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert entry.main(["load", "--peers", "nginks"]) == 2
    said = " ".join(capsys.readouterr().out.split())
    assert "nginks is no peer; known are nginx, haproxy" in said


@pytest.mark.parametrize("is_strict", [False, True])
def test_drift_is_a_part_whose_missed_targets_fail_where_asked(
    is_strict: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    options: list[str] = []

    def missed(given: list[str]) -> int:
        options.extend(given)
        return 1

    monkeypatch.setattr("bench.drift.__main__.main", missed)
    words = ["drift", "--quick", "--output", "here"] + ["--strict"] * is_strict
    assert entry.main(words) == is_strict
    assert options == ["--output", "here", "--scale", "0.1", "--repetitions", "2"]
