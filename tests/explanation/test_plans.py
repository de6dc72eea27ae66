from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest

from gateway.config import parse
from gateway.explanation.placeholders import parse_without_environment, undecided
from gateway.explanation.plans import InForce, Plans
from gateway.state.database import open_database
from gateway.state.history import ConfigHistory, Entry
from gateway.state.last_good import store_last_good

TEXT = """
backends:
  a: {protocol: openai, url: "http://${HOST}:${PORT}/v1", api_key: "${KEY}", price: {input: 1}}
  b: {protocol: openai, url: "http://127.0.0.1:1/v1", price: {input: "${PRICE:-2.5}"}}
routes:
  chat: {backends: [a, b], policy: cheapest}
log:
  encryption: {key: "${LOG_KEY}"}
"""
HASH = parse_without_environment(TEXT).hash


@pytest.fixture
def history(tmp_path: Path) -> Iterator[ConfigHistory]:
    engine = open_database(tmp_path)
    yield ConfigHistory(engine)
    engine.dispose()


def add(
    history: ConfigHistory,
    at_ms: int,
    *,
    author: str = "file",
    text: str = TEXT,
    outcome: Literal["applied", "refused"] = "applied",
) -> None:
    hash_ = parse_without_environment(text).hash if outcome == "applied" else "beef" * 16
    history.append(Entry(at_ms=at_ms, author=author, hash=hash_, outcome=outcome, text=text))


def test_stand_ins_fit_their_places_and_keep_the_hash() -> None:
    key = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
    real = parse(TEXT, {"HOST": "m.example", "PORT": "80", "KEY": "sk-1", "LOG_KEY": key})
    found = parse_without_environment(TEXT)
    assert found.hash == real.hash
    assert found.config.backends["b"].price.input == 2.5


def test_real_variables_are_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY", "sk-real")
    assert "sk-real" not in str(parse_without_environment(TEXT).config.backends["a"].api_key)


def test_places_that_choosing_looks_at_are_named() -> None:
    assert undecided(TEXT) == ("backends.b.price.input",)


def test_a_plan_is_found_by_its_hash(tmp_path: Path, history: ConfigHistory) -> None:
    add(history, 1000)
    found = Plans(tmp_path).find(HASH)
    assert found.plan is not None
    assert found.plan.hash == HASH
    assert [backend.input_usd for backend in found.plan.backends] == pytest.approx([1e-6, 2.5e-6])
    assert found.undecided == ("backends.b.price.input",)


def test_the_last_good_file_stands_in_for_the_history(tmp_path: Path) -> None:
    store_last_good(tmp_path, TEXT)
    assert Plans(tmp_path).find(HASH).plan is not None
    assert Plans(tmp_path).find("beef" * 16).plan is None
    assert not (tmp_path / "gateway.sqlite").exists()


def test_a_plan_that_is_gone_is_said_to_be(tmp_path: Path, history: ConfigHistory) -> None:
    add(history, 1000)
    found = Plans(tmp_path).find("beef" * 16)
    assert found.plan is None
    assert found.missing == "The configuration beefbeefbeef is no longer in the history."


def test_a_plan_that_comes_later_is_found_then(tmp_path: Path, history: ConfigHistory) -> None:
    plans = Plans(tmp_path)
    assert plans.find(HASH).plan is None
    add(history, 1000)
    found = plans.find(HASH)
    assert found.plan is not None
    assert plans.find(HASH) is found


def test_a_plan_that_does_not_compile_any_more_says_why(
    tmp_path: Path, history: ConfigHistory
) -> None:
    history.append(
        Entry(at_ms=1, author="file", hash="beef" * 16, outcome="applied", text="backends: 3")
    )
    missing = Plans(tmp_path).find("beef" * 16).missing
    assert missing.startswith("The configuration beefbeefbeef cannot be compiled any more: ")


def test_who_put_a_plan_in_force_and_until_when(tmp_path: Path, history: ConfigHistory) -> None:
    other = TEXT.replace("cheapest", "fastest")
    add(history, 1_000_000, author="file")
    add(history, 1_500_000, outcome="refused")
    add(history, 2_000_000, author="api:ann", text=other)
    add(history, 3_000_000, author="signal")
    plans = Plans(tmp_path)
    assert plans.in_force(HASH, 1_999_000) == InForce(1_000_000, "file", 2_000_000)
    assert plans.in_force(HASH, 3_500_000) == InForce(3_000_000, "signal")
    assert plans.in_force(HASH, 900_000) is None


def test_a_request_may_come_just_before_its_plan_is_written_down(
    tmp_path: Path, history: ConfigHistory
) -> None:
    add(history, 1_000_000, author="start")
    assert Plans(tmp_path).in_force(HASH, 999_000) == InForce(1_000_000, "start")
