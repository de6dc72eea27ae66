"""Collecting problems and guessing words."""

from __future__ import annotations

import pytest

from gateway.config.problems import MOST_PROBLEMS, Problems, meant
from gateway.errors import ConfigError


def test_a_problem_is_told_once_and_not_without_end() -> None:
    problems = Problems()
    for number in [1, 1, *range(2 * MOST_PROBLEMS)]:
        problems.add(f"wrong {number}")
    with pytest.raises(ConfigError) as caught:
        problems.raise_if_any()
    assert len(caught.value.problems) == MOST_PROBLEMS
    assert caught.value.problems[0].message == "wrong 1"


def test_meant_names_the_close_word_else_the_few_known_ones() -> None:
    assert meant("fastst", ["fastest", "cheapest"]) == ", did you mean `fastest`?"
    assert meant("zzz", ["a", "b"]) == "; known: a, b"
    assert meant("zzz", [f"word{i}" for i in range(30)]) == ""
    assert meant("zzz", []) == ""
