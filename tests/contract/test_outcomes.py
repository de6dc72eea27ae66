"""Every outcome of the compiled code has its one line in the table."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway.errors import OUTCOMES, Outcome

DECLARATION = Path("gateway/_fast/outcome.pxd")
BOARD = Path("gateway/_fast/board.pxd")


def declared() -> dict[str, int]:
    found = re.findall(r"^    OUTCOME_(\w+) = (\d+)", DECLARATION.read_text(), re.MULTILINE)
    return {name.lower(): int(value) for name, value in found}


def documented_statuses() -> dict[str, int]:
    pattern = r"^    OUTCOME_(\w+) = \d+ +# (\d{3})\b"
    found = re.findall(pattern, DECLARATION.read_text(), re.MULTILINE)
    return {name.lower(): int(status) for name, status in found}


def test_table_has_each_value_of_the_enum_in_its_order() -> None:
    values = declared()
    count = values.pop("count")
    assert [outcome.name for outcome in OUTCOMES] == sorted(values, key=values.__getitem__)
    assert sorted(values.values()) == list(range(count))
    assert len(OUTCOMES) == count


def test_statuses_are_those_of_the_declaration() -> None:
    for name, status in documented_statuses().items():
        assert OUTCOMES[declared()[name]].status == status, name


def test_outcomes_fit_into_a_board_row() -> None:
    slots = re.search(r"OUTCOME_SLOTS = (\d+)", BOARD.read_text())
    assert slots is not None
    assert len(OUTCOMES) <= int(slots[1])


def test_reasons_are_distinct_tokens() -> None:
    reasons = [outcome.reason for outcome in OUTCOMES]
    assert len(set(reasons)) == len(reasons)
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", reason) for reason in reasons)


@pytest.mark.parametrize("outcome", OUTCOMES[1:], ids=lambda outcome: outcome.name)
def test_sentence_is_one_for_a_client(outcome: Outcome) -> None:
    assert re.fullmatch(r"[A-Z].*\.", outcome.sentence)
    assert outcome.sentence.isascii()


@pytest.mark.parametrize("outcome", OUTCOMES[1:], ids=lambda outcome: outcome.name)
def test_status_is_an_error_or_passed_on(outcome: Outcome) -> None:
    assert outcome.status == 0 or 400 <= outcome.status <= 599


def test_only_what_a_backend_did_can_be_tried_elsewhere() -> None:
    assert {outcome.fault for outcome in OUTCOMES if outcome.retryable} == {"upstream"}
