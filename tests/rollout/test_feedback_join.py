"""Feedback and shadows on their way from the log to arms."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.config.rollouts import Arm, Gate, Rollout
from gateway.config.units import Duration
from gateway.rollout.feedback_join import ANY, Follower, State, Watch, needs_log, watch_of
from tests.rollout.lines import STREAM, Segment, feedback, record, shadow

NOW = 1_800_000_000_000
WATCH = Watch(rollout="r", route="chat", since_ms=NOW - 1000, mirrors={"new-b": "new"})
NEW = ("r", 2, "new")


def follower_of(directory: Path, watch: Watch = WATCH, **more: Any) -> Follower:
    follower = Follower(directory, State(name="f"), **more)
    follower.watch([watch])
    return follower


def counted(follower: Follower, key: str, arm: str = "new", step: int = 2) -> tuple[int, int]:
    counts = follower.feedback("r").get(step, {}).get(arm, {}).get(key)
    return (counts.n, counts.positive) if counts else (0, 0)


def test_a_signal_finds_the_arm_of_its_request_by_either_id(tmp_path: Path) -> None:
    segment = Segment(tmp_path)
    segment.write(record("a", NOW, NEW), record("b", NOW, ("r", 2, "champion")))
    segment.write(feedback("a", "accept", True), feedback("c-b", "accept", False))
    follower = follower_of(tmp_path)
    follower.poll(NOW)
    assert counted(follower, "accept") == (1, 1)
    assert counted(follower, "accept", "champion") == (1, 0)


def test_of_repeated_signals_the_latest_counts_once(tmp_path: Path) -> None:
    segment = Segment(tmp_path)
    segment.write(record("a", NOW, NEW), feedback("a", "accept", True))
    follower = follower_of(tmp_path)
    follower.poll(NOW)
    segment.write(feedback("a", "accept", False), feedback("c-a", "ticket"))
    follower.poll(NOW)
    assert counted(follower, "accept") == (1, 0)
    assert counted(follower, ANY) == (1, 1)


def test_a_signal_may_be_read_before_its_request(tmp_path: Path) -> None:
    early, later = Segment(tmp_path), Segment(tmp_path, stream="w1-00000000000000bb")
    early.write(feedback("a", "accept", True))
    follower = follower_of(tmp_path)
    follower.poll(NOW)
    later.write(record("a", NOW, NEW))
    follower.poll(NOW + 100)
    assert counted(follower, "accept") == (1, 1)


def test_a_signal_about_an_unknown_request_is_given_up_and_counted(tmp_path: Path) -> None:
    Segment(tmp_path).write(feedback("nobody", "accept", True))
    follower = follower_of(tmp_path)
    follower.poll(NOW)
    follower.poll(NOW + 31_000)
    assert follower.figures.unknown == 1


@pytest.mark.parametrize(
    "line",
    [
        record("a", NOW),
        record("a", NOW, ("other", 1, "new")),
        record("a", NOW - 5000, NEW),
        record("a", NOW, assignments=[{"arm": "new", "rollout": "r", "reason": "header"}]),
        record("a", NOW, assignments=[{"arm": "", "rollout": "r", "reason": "holdout"}]),
        record("a", NOW, body={"assignments": [{"arm": "new", "rollout": "r"}]}),
    ],
    ids=["none", "other rollout", "before it began", "forced", "held out", "in a body"],
)
def test_only_drawn_requests_of_the_rollout_are_evidence(tmp_path: Path, line: bytes) -> None:
    Segment(tmp_path).write(line, feedback("a", "accept", True))
    follower = follower_of(tmp_path)
    follower.poll(NOW)
    assert follower.feedback("r") == {}


def test_a_metric_that_matures_takes_the_latest_signal_before_it_did(tmp_path: Path) -> None:
    watch = msgspec.structs.replace(WATCH, keys={"accept@60": ("accept", 60_000)})
    segment = Segment(tmp_path)
    segment.write(record("a", NOW, NEW), feedback("a", "accept", True))
    follower = follower_of(tmp_path, watch)
    follower.poll(NOW + 1000)
    assert counted(follower, "accept@60") == (0, 0)
    segment.write(feedback("a", "accept", False))
    follower.poll(NOW + 2000)
    follower.poll(NOW + 60_000)
    segment.write(feedback("a", "accept", True))
    follower.poll(NOW + 61_000)
    assert counted(follower, "accept@60") == (1, 0)
    assert follower.figures.late == 1


def test_values_become_numbers(tmp_path: Path) -> None:
    segment = Segment(tmp_path)
    segment.write(record("a", NOW, NEW))
    segment.write(
        feedback("a", "score", {"score": 4, "range": [1, 5], "name": "tone"}),
        feedback("a", "edit", {"distance": 0.25, "count": 3}),
        feedback("a", "regenerate", 2),
        feedback("a", "ticket", "SUP-1"),
        feedback("a", "edit", {"count": 3}),
    )
    follower = follower_of(tmp_path)
    follower.poll(NOW)
    counts = follower.feedback("r")[2]["new"]
    totals = {key: counts[key].total for key in counts if key != ANY}
    assert totals == {
        "score": 0.75,
        "score.tone": 0.75,
        "edit": 0.25,
        "regenerate": 2.0,
        "ticket": 1.0,
    }


def test_a_restart_goes_on_where_the_state_was_and_doubles_nothing(tmp_path: Path) -> None:
    segment = Segment(tmp_path)
    segment.write(record("a", NOW, NEW), record("b", NOW, NEW), feedback("a", "accept", True))
    first = follower_of(tmp_path)
    first.poll(NOW)
    kept = msgspec.json.encode(first.state())
    segment.write(feedback("c-b", "accept", True))
    segment.seal()
    Segment(tmp_path, 2).write(feedback("a", "accept", False))
    for _ in range(2):
        second = Follower(tmp_path, msgspec.json.decode(kept, type=State))
        second.watch([WATCH])
        second.poll(NOW)
        assert counted(second, "accept") == (2, 1)
        assert second.name == first.name


def test_sealing_and_deleting_under_the_reader_loses_nothing(tmp_path: Path) -> None:
    segment = Segment(tmp_path)
    segment.write(record("a", NOW, NEW))
    follower = follower_of(tmp_path)
    follower.poll(NOW)
    segment.write(feedback("a", "accept", True))
    segment.seal()
    segment.path.unlink()
    follower.poll(NOW)
    assert counted(follower, "accept") == (1, 1)
    assert follower.figures.missed == 0


def test_a_segment_that_went_unread_is_counted(tmp_path: Path) -> None:
    state = State(name="f", positions={f"{STREAM}-00000001.ndjson": 10})
    follower = Follower(tmp_path, state)
    follower.poll(NOW)
    follower.poll(NOW)
    assert follower.figures.missed == 1
    assert follower.state().positions == {}


def test_without_a_state_it_begins_with_what_comes(tmp_path: Path) -> None:
    segment = Segment(tmp_path)
    segment.write(record("a", NOW, NEW))
    follower = Follower(tmp_path)
    follower.watch([WATCH])
    segment.write(record("b", NOW, NEW), feedback("a", "accept", True), feedback("b", "accept"))
    follower.poll(NOW)
    assert counted(follower, ANY) == (1, 1)


def test_what_is_remembered_is_bounded_by_number_and_by_age(tmp_path: Path) -> None:
    segment = Segment(tmp_path)
    segment.write(*(record(f"r{n}", NOW, NEW) for n in range(10)))
    follower = follower_of(tmp_path, most_requests=8, window_ms=60_000)
    follower.poll(NOW)
    assert len(follower.state().requests) == 4
    assert follower.figures.forgotten == 6
    follower.poll(NOW + 61_000)
    assert follower.state().requests == []
    assert follower.figures.forgotten == 6


def test_another_revision_forgets_what_was_counted_of_the_first(tmp_path: Path) -> None:
    Segment(tmp_path).write(record("a", NOW, NEW), feedback("a", "accept", True))
    follower = follower_of(tmp_path)
    follower.poll(NOW)
    follower.watch([msgspec.structs.replace(WATCH, since_ms=NOW + 1)])
    assert follower.feedback("r") == {}


def test_a_shadow_is_paired_with_the_clients_answer(tmp_path: Path) -> None:
    segment = Segment(tmp_path)
    client = {"outcome": "ok", "status": 200, "latency_us": 100, "agrees": False, "judge": "tie"}
    segment.write(
        shadow(NOW, "shadow:new-b", {**client, "schema": [True, False], "similarity": 0.5}),
        shadow(NOW, "new-b", client, outcome="connect_failed", status=0),
        shadow(NOW, "other", client),
        shadow(NOW - 9999, "new-b", client),
    )
    follower = follower_of(tmp_path)
    follower.poll(NOW)
    pairs = follower.pairs("r")["new"]
    assert (pairs.pairs, pairs.compared, pairs.agreeing) == (2, 2, 0)
    assert (pairs.both_ok, pairs.only_champion_ok, pairs.only_champion_valid) == (1, 1, 1)
    latency = pairs.latency_us
    assert (latency.n, latency.champion, latency.challenger, latency.higher) == (1, 800, 900, 1)


def test_malformed_lines_are_counted_and_passed_by(tmp_path: Path) -> None:
    segment = Segment(tmp_path)
    segment.write(b'{"kind":"feedback",\n', record("a", NOW, NEW), feedback("a", "accept", True))
    follower = follower_of(tmp_path)
    follower.poll(NOW)
    assert follower.figures.malformed == 1
    assert counted(follower, "accept") == (1, 1)


def test_a_rollout_says_what_it_needs_of_the_log() -> None:
    rollout = Rollout(route="chat", arms={"new": Arm(backends=("new-b",))})
    late = Gate(metric="feedback.accept", matured=Duration(60 * 10**9))
    judged = msgspec.structs.replace(rollout, gates=(late,))
    assert not needs_log(rollout)
    assert needs_log(judged)
    assert watch_of("r", judged, 5).keys == {"accept@60": ("accept", 60_000)}
    assert watch_of("r", judged, 5).mirrors == {"new-b": "new"}
