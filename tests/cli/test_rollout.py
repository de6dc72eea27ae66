"""`gateway rollout` against a real admin port over a desk that does what it is told."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from gateway.cli import rollout, rollout_tree
from gateway.cli.rollout import STILL_GOING
from gateway.control.rollout_views import view_of
from gateway.rollout.desk import View
from tests.cli.admin_port import AdminPort, exit_code
from tests.control.desk import AT_MS, FakeDesk, make_view

NOW = datetime.fromtimestamp(AT_MS / 1000, UTC)
NOBODY = "http://127.0.0.1:1"


def shown(**fields: object) -> dict[str, Any]:
    answer: dict[str, Any] = msgspec.to_builtins(view_of(make_view(**fields)))  # type: ignore[arg-type]
    return answer


def test_rollouts_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    with AdminPort(rollouts=FakeDesk()) as url:
        assert exit_code("rollout", "list", "--admin", url) == 0
        assert exit_code("rollout", "list", "--json", "--admin", url) == 0
    text, _, as_json = capsys.readouterr().out.partition("[\n")
    lines = text.splitlines()
    assert lines[0].split() == ["NAME", "ROUTE", "PHASE", "STEP", "WEIGHT", "SINCE", "SAYS"]
    assert lines[1].split()[:6] == ["chat-v2", "chat", "◌", "running", "2/3", "5%"]
    assert [each["name"] for each in json.loads("[" + as_json)] == ["chat-v2", "old"]


def test_no_rollout_is_said() -> None:
    assert rollout_tree.listing([], NOW) == "there is no rollout"


def test_tree_has_steps_arms_and_gates() -> None:
    head, _, tree = rollout_tree.page(shown(), NOW).partition("\n\n")
    assert head.splitlines() == [
        "Name:     chat-v2",
        "Route:    chat",
        "Status:   ◌ running, since 6m",
        "Step:     2/3 (setWeight 5), for 1m",
        "Weight:   5%",
        "Says:     1,840 more requests, about 12 min at this rate",
        "Needs:    errors needs 1,840 more requests",
        "In force: 42ms after it was decided",
        "You may:  promote, pause, abort",
    ]
    lines = tree.splitlines()
    assert [line.split("  ")[0] for line in lines[1:6]] == [
        "◌ chat-v2",
        "├──✔ setWeight 1",
        "├──◌ setWeight 5",
        "├──• setWeight 100",
        "├──⚠ shares when answered",
    ]
    assert lines[6].split() == [
        *["├──champion", "arm", "95%", "3,000", "0.3%"],
        *["772ms/6.71s", "$0.001"],
    ]
    names = [line[:15].rstrip() for line in lines[7:]]
    assert names == ["└──v2", "   ├──◷ errors", "   └──✔ latency"]
    assert lines[8].endswith(
        "4.5  errors: 8 of 160 against 10 of 3,000; 1,840 more requests, about 12 min."
    )


@pytest.mark.parametrize(
    "phase,sign",
    [
        ("pending", "◷"),
        ("running", "◌"),
        ("paused", "॥"),
        ("confirming", "⚠"),
        ("promoted", "✔"),
        ("rolled_back", "✖"),
        ("aborted", "✖"),
    ],
)
def test_every_phase_has_its_sign(phase: str, sign: str) -> None:
    assert f"Status:   {sign} {phase.replace('_', ' ')}" in rollout_tree.page(
        shown(phase=phase), NOW
    )


@pytest.mark.parametrize(
    "fields,line",
    [
        ({"source": "hand"}, "Route:    chat, declared by hand"),
        ({"is_dry_run": True}, "Status:   ◌ running, since 6m, a dry run that moves nothing"),
        ({"failure": "worker 1 does not answer"}, "Failure:  ✖ worker 1 does not answer"),
        ({"revision": 3}, "Revision: 3"),
        ({"mirror": 10.0}, "Mirror:   10%"),
        ({"winner": "v2"}, "Winner:   v2"),
        ({"edit": "routes.chat.backends: [local]"}, "To keep:  routes.chat.backends: [local]"),
    ],
)
def test_tree_says_what_is_unusual(fields: dict[str, object], line: str) -> None:
    assert line in rollout_tree.page(shown(**fields), NOW).splitlines()


def test_rollout_that_has_not_begun_has_no_step() -> None:
    text = rollout_tree.page(shown(phase="pending", step=-1, since_ms=0, arms=(), srm=()), NOW)
    assert "Step:" not in text
    assert text.count("•") == 3


def test_get_prints_the_tree_or_json(capsys: pytest.CaptureFixture[str]) -> None:
    with AdminPort(rollouts=FakeDesk()) as url:
        assert exit_code("rollout", "get", "chat-v2", "--admin", url) == 0
        assert capsys.readouterr().out.startswith("Name:     chat-v2\n")
        assert exit_code("rollout", "get", "chat-v2", "--json", "--admin", url) == 0
        assert json.loads(capsys.readouterr().out)["spec"] == '{"route": "chat"}'
        assert exit_code("rollout", "get", "nope", "--admin", url) == 1
    assert capsys.readouterr().err == "gateway: there is no rollout `nope`\n"


def test_get_watches_until_it_is_interrupted(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses = iter([None, None])

    def pause(_seconds: float) -> None:
        if next(pauses, "end") == "end":
            raise KeyboardInterrupt

    monkeypatch.setattr(rollout, "sleep", pause)
    with AdminPort(rollouts=FakeDesk()) as url:
        assert exit_code("rollout", "get", "chat-v2", "-w", "--json", "--admin", url) == 130
    assert len(capsys.readouterr().out.splitlines()) == 3


@pytest.mark.parametrize(
    "phase,code", [("promoted", 0), ("rolled_back", 1), ("aborted", 1), ("paused", STILL_GOING)]
)
def test_status_tells_the_end_by_its_exit_code(
    phase: str, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    desk = FakeDesk({"chat-v2": make_view(phase=phase)})
    with AdminPort(rollouts=desk) as url:
        assert exit_code("rollout", "status", "chat-v2", "--no-watch", "--admin", url) == code
        text = capsys.readouterr().out
        arguments = ["--timeout", "10ms", "--json", "--admin", url]
        assert exit_code("rollout", "status", "chat-v2", *arguments) == code
    assert phase.replace("_", " ") in text
    assert json.loads(capsys.readouterr().out)["phase"] == phase


def later(seconds: float, call: Callable[[], None]) -> None:
    def run() -> None:
        time.sleep(seconds)
        call()

    threading.Thread(target=run).start()


def test_status_waits_and_tells_each_change_once(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollout, "EVERY_S", 0.02)

    class Desk(FakeDesk):
        """Says so to whoever has looked often enough."""

        looks = 0

        def view(self, name: str) -> View:
            self.looks += 1
            if self.looks > 5:
                return make_view(phase="promoted", weight=100.0, sentence="v2 has it all")
            return super().view(name)

    with AdminPort(rollouts=Desk()) as url:
        assert exit_code("rollout", "status", "chat-v2", "--timeout", "5s", "--admin", url) == 0
    assert capsys.readouterr().out.splitlines() == [
        "◌ running, weight 5%: 1,840 more requests, about 12 min at this rate",
        "✔ promoted, weight 100%: v2 has it all",
    ]


def test_status_outlives_a_restart_of_the_controller_but_not_its_end(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollout, "EVERY_S", 0.02)
    monkeypatch.setattr(rollout, "AWAY_S", 0.3)
    port = AdminPort(rollouts=FakeDesk())
    url = port.__enter__()
    later(0.1, lambda: port.__exit__(None, None, None))
    began_s = time.monotonic()
    assert exit_code("rollout", "status", "chat-v2", "--timeout", "5s", "--admin", url) == 1
    assert time.monotonic() - began_s > 0.3
    assert "no gateway answers" in capsys.readouterr().err


def test_status_of_nobody_fails_at_once() -> None:
    assert exit_code("rollout", "status", "x", "--timeout", "60s", "--admin", NOBODY) == 1


def test_timeout_without_a_unit_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("rollout", "status", "x", "--timeout", "60") == 2
    assert "--timeout: expected a time with its unit" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments,told,phase",
    [
        (["start"], ("start", ""), "◌ running"),
        (["promote"], ("promote", False), "◌ running"),
        (["promote", "--full"], ("promote", True), "✔ promoted"),
        (["pause"], ("pause",), "॥ paused"),
        (["resume"], ("resume",), "◌ running"),
        (["abort", "--reason", "too slow"], ("abort", "too slow"), "✖ aborted"),
        (["retry"], ("retry",), "◌ running"),
        (["undo"], ("undo",), "✖ rolled back"),
        (["confirm"], ("confirm",), "◌ running"),
    ],
)
def test_verb_is_said_and_its_result_is_one_line(
    arguments: list[str],
    told: tuple[object, ...],
    phase: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LOGNAME", "ada")
    desk = FakeDesk()
    verb, *options = arguments
    with AdminPort(rollouts=desk) as url:
        assert exit_code("rollout", verb, "chat-v2", *options, "--admin", url) == 0
    name, *said = told
    assert desk.told == [(name, "chat-v2", "api:ada", *said)]
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"chat-v2: {phase}, weight 5%; 1,840 more requests")


def test_verb_prints_json(capsys: pytest.CaptureFixture[str]) -> None:
    with AdminPort(rollouts=FakeDesk()) as url:
        assert exit_code("rollout", "pause", "chat-v2", "--json", "--admin", url) == 0
    assert json.loads(capsys.readouterr().out)["phase"] == "paused"


def test_rollout_of_a_file_is_started_with_its_text(
    tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = tmp_path / "new.yaml", tmp_path / "bad.yaml"
    good.write_text("route: chat\n")
    bad.write_text("wrong\n")
    desk = FakeDesk()
    with AdminPort(rollouts=desk) as url:
        assert exit_code("rollout", "start", "new", "-f", str(good), "--admin", url) == 0
        assert exit_code("rollout", "start", "new", "-f", str(bad), "--admin", url) == 1
        assert exit_code("rollout", "start", "new", "-f", "/not/there", "--admin", url) == 1
    assert desk.told[0][3] == "route: chat\n"
    errors = capsys.readouterr().err
    assert "arms.v2.backends[0]" in errors
    assert "cannot read /not/there" in errors


def test_what_is_not_possible_is_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with AdminPort(rollouts=FakeDesk()) as url:
        assert exit_code("rollout", "pause", "old", "--admin", url) == 1
    assert capsys.readouterr().err == "gateway: `old` is promoted; `undo` takes that back\n"


def test_history_has_a_line_a_decision(capsys: pytest.CaptureFixture[str]) -> None:
    with AdminPort(rollouts=FakeDesk()) as url:
        assert exit_code("rollout", "history", "chat-v2", "--admin", url) == 0
        assert exit_code("rollout", "history", "old", "--admin", url) == 0
        assert exit_code("rollout", "history", "chat-v2", "--json", "--admin", url) == 0
    head, first, second, nothing, *as_json = capsys.readouterr().out.splitlines()
    assert head.split()[:4] == ["N", "AT", "REV", "EVENT"]
    assert first.split()[:6] == ["1", "2025-10-09T08:53:20Z", "1", "advanced", "desk", "running"]
    assert first.endswith("v2 5%    setWeight 5: every gate passes.")
    assert "api:ada" in second
    assert nothing == "nothing was decided yet"
    assert len(json.loads("\n".join(as_json))) == 2
