"""The desk's real parts, as far as they are not somebody else's."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from gateway.config import parse
from gateway.config.document import parse_rollout
from gateway.control.figures import BoardView
from gateway.reload import Reload
from gateway.rollout.counts import FINISHES, ArmCounts
from gateway.run.rollouts import FollowedLog, Rows, board_name, versions_of
from tests.control.board import FakeBoard

ROLLOUT = "route: chat\narms: {new: {backends: [b]}}"
TEXT = """
backends:
  a: {protocol: openai, url: http://127.0.0.1:1/v1, model: gpt, version: "7"}
  b: {protocol: openai, url: http://127.0.0.1:2/v1}
routes: {chat: {backends: [a]}}
"""


def test_board_is_another_in_each_life_of_the_gateway() -> None:
    assert board_name(5) == board_name(5)
    assert board_name(5) != board_name(6)


def test_rows_fit_what_evidence_is_made_of() -> None:
    board = FakeBoard()
    board.rows["requests"][:, 0] = 3
    board.rows["finishes"][0, 0, 1] = 2
    [row] = Rows(BoardView(board)).rows([0])
    assert len(row.finishes) == len(FINISHES) == len(ArmCounts().finishes)
    assert row.finishes[1] == 2


def test_versions_name_the_models_behind_both_sides() -> None:
    found = versions_of(parse_rollout(ROLLOUT), parse(TEXT, {}))
    assert found["backends.a"] == "gpt 7"
    assert found["backends.b"] == "b"
    assert set(found) == {"gateway", "backends.a", "backends.b"}


class FakeReload:
    """A plan whose log is in a folder."""

    def __init__(self, folder: Path) -> None:
        class Log(msgspec.Struct):
            directory: str
            enabled: bool = True

        class Plan(msgspec.Struct):
            log: Log

        self.plan = Plan(Log(str(folder)))


def live(gates: str) -> list[tuple[str, Any, int]]:
    return [("next", parse_rollout(f"{ROLLOUT}\ngates: [{gates}]"), 5)]


@pytest.fixture
def reload(tmp_path: Path) -> Reload:
    return cast("Reload", FakeReload(tmp_path))


def test_log_is_followed_only_where_something_is_only_there(reload: Reload, tmp_path: Path) -> None:
    followed = FollowedLog(tmp_path / "kept")
    followed.watch(live("{metric: errors}"), reload)
    assert followed.name == ""
    assert followed.poll(1) is False
    followed.watch(live("{metric: feedback.accept}"), reload)
    assert followed.name
    followed.poll(1)
    followed.watch([], reload)
    assert followed.name == ""
    assert not (tmp_path / "kept").exists()


def test_follower_goes_on_under_its_name_after_a_restart(reload: Reload, tmp_path: Path) -> None:
    followed = FollowedLog(tmp_path / "kept")
    followed.watch(live("{metric: feedback.accept}"), reload)
    name = followed.name
    followed.close()
    other = FollowedLog(tmp_path / "kept")
    other.watch(live("{metric: feedback.accept}"), reload)
    assert other.name == name
    other.close()
    (tmp_path / "kept").write_bytes(b"garbage")
    other.watch(live("{metric: feedback.accept}"), reload)
    assert other.name not in {"", name}
    other.close()
