"""`gateway config`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from gateway.cli import main
from gateway.config import load
from gateway.config.manual import manual
from gateway.state.database import open_database
from gateway.state.history import ConfigHistory, Entry, Result
from tests.config.texts import varied


class Place:
    """A directory with gateway.yaml and its state, made without the command line."""

    def __init__(self, root: Path) -> None:
        self.path = root / "gateway.yaml"
        self.state = root / "state"
        self.engine = open_database(self.state)
        self.history = ConfigHistory(self.engine)

    def write(self, changes: dict[str, object] | None = None) -> str:
        self.path.write_text(yaml.safe_dump(varied(changes, state=str(self.state))))
        return load(self.path, {"K": "x"}).hash

    def remember(self, hash_: str, outcome: Result = "applied", detail: str = "") -> None:
        self.history.append(
            Entry(
                at_ms=1_700_000_000_000,
                author="file",
                hash=hash_,
                outcome=outcome,
                detail=detail,
                text=self.path.read_text(),
            )
        )

    def run(self, *arguments: str) -> int:
        with pytest.raises(SystemExit) as caught:
            main(["config", *arguments, "-c", str(self.path)])
        assert isinstance(caught.value.code, int)
        return caught.value.code


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path)
    yield place
    place.engine.dispose()


def test_history_lists_who_when_and_which(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    hash_ = place.write()
    assert place.run("history") == 0
    assert capsys.readouterr().out == "the history is empty\n"
    place.remember(hash_)
    place.remember("ffff", "refused", "line 1: wrong\nline 2: worse")
    assert place.run("history") == 0
    assert capsys.readouterr().out == (
        "2023-11-14T22:13:20Z  ffff  refused  file  line 1: wrong\n"
        f"2023-11-14T22:13:20Z  {hash_[:12]}  applied  file\n"
    )


def test_history_as_json(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    hash_ = place.write()
    place.remember(hash_)
    assert place.run("history", "--json") == 0
    [row] = json.loads(capsys.readouterr().out)
    assert (row["hash"], row["author"], row["outcome"]) == (hash_, "file", "applied")
    assert "text" not in row


def test_diff_compares_the_last_applied_one_with_the_file(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    place.remember(place.write())
    place.write({"routes.chat.priority": 1})
    assert place.run("diff") == 0
    shown = capsys.readouterr().out
    assert "+    priority: 1" in shown
    assert f"+++ {place.path}" in shown


def test_diff_of_two_hashes_masks_secrets(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    old = place.write({"backends.two.api_key": "sk-old"})
    place.remember(old)
    new = place.write({"backends.two.api_key": "sk-new", "routes.chat.priority": 1})
    place.remember(new)
    assert place.run("diff", old[:8], new[:8]) == 0
    shown = capsys.readouterr().out
    assert "priority: 1" in shown
    assert "sk-" not in shown


def test_diff_says_so_when_only_secrets_differ(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    place.remember(place.write({"backends.two.api_key": "sk-old"}))
    place.write({"backends.two.api_key": "sk-new"})
    assert place.run("diff") == 0
    assert capsys.readouterr().out == "no difference but in secrets, which are masked\n"
    place.remember(place.write())
    assert place.run("diff") == 0
    assert capsys.readouterr().out == "no difference\n"


def test_diff_without_a_history_shows_the_whole_file(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    place.write()
    assert place.run("diff") == 0
    assert capsys.readouterr().out.startswith("--- (none)\n")


def test_diff_without_a_file_is_one_sentence(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    assert place.run("diff", "--state", str(place.state)) == 1
    assert capsys.readouterr().err == f"gateway: cannot read {place.path}\n"


def test_rollback_puts_the_older_text_back_even_over_a_broken_file(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    old = place.write({"routes.chat.priority": 1})
    good = place.path.read_text()
    place.remember(old)
    place.path.write_text(f"state: {place.state}\nroutes: [broken")
    assert place.run("rollback", old[:8], "--state", str(place.state)) == 0
    shown = capsys.readouterr().out
    assert f"{place.path} is now {old[:12]}; what it was is in {place.path}." in shown
    assert place.path.read_text() == good
    [backup] = place.path.parent.glob("gateway.yaml.*.bak")
    assert backup.read_text().endswith("[broken")


def test_rollback_to_what_is_not_valid_now_changes_nothing(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    needs_variable = place.write({"backends.two.api_key": "${K}"})
    place.remember(needs_variable)
    place.write()
    before = place.path.read_text()
    assert place.run("rollback", needs_variable) == 1
    shown = capsys.readouterr().out
    assert "the environment variable `K` is not set - at backends.two.api_key" in shown
    assert place.path.read_text() == before


def test_rollback_to_an_unknown_hash_is_one_sentence(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    place.write()
    assert place.run("rollback", "abcdef") == 1
    assert capsys.readouterr().err == (
        "gateway: no configuration in the history has a hash that begins with abcdef\n"
    )


def test_show_prints_a_text_with_secrets_masked(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    hash_ = place.write({"backends.two.api_key": "sk-old"})
    place.remember(hash_)
    assert place.run("show", hash_) == 0
    shown = capsys.readouterr().out
    assert "api_key: ***" in shown
    assert "sk-old" not in shown


def test_show_without_a_hash_prints_the_one_applied_last(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    place.write()
    assert place.run("show") == 1
    assert "no configuration was applied yet" in capsys.readouterr().err
    place.remember(place.write({"routes.chat.priority": 1}))
    place.remember(place.write({"routes.chat.priority": 2}), "refused")
    assert place.run("show") == 0
    assert "priority: 1" in capsys.readouterr().out


@pytest.mark.parametrize("verb", [["history"], ["diff"], ["show"], ["rollback", "abcdef"]])
def test_looking_makes_no_state(verb: list[str], tmp_path: Path) -> None:
    (tmp_path / "gateway.yaml").write_text(yaml.safe_dump(varied(state=str(tmp_path / "state"))))
    with pytest.raises(SystemExit):
        main(["config", *verb, "-c", str(tmp_path / "gateway.yaml")])
    assert [path.name for path in tmp_path.iterdir()] == ["gateway.yaml"]


def test_hash_names_the_plan_of_the_file(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    hash_ = place.write()
    assert place.run("hash") == 0
    assert capsys.readouterr().out == f"{hash_}\n"


def test_keys_prints_the_manual(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["config", "keys"])
    assert capsys.readouterr().out == manual()
