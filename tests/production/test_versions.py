"""Which version answers, where configuration and answers disagree."""

from __future__ import annotations

import pytest

from gateway.production.versions import version_in_force


@pytest.mark.parametrize(
    "configured,said,version,note",
    [
        ("1", {}, "1", ""),
        ("1", {"1": 9}, "1", ""),
        ("1", {"gpt-1": 9}, "1", ""),  # model and version in one word
        ("1", {"gpt": 9}, "1", ""),  # the model's name is no version
        ("1", {"2": 9}, "2", "configured 1, answers say 2"),
        ("1", {"2": 9, "1": 1}, "2", "configured 1, answers say 2 (90%)"),
        ("1", {"2": 1, "1": 9}, "1", "configured 1, answers say 2 (10%)"),
        ("1", {"2": 5, "3": 4, "1": 1}, "2", "configured 1, answers say 2 (50%), 3 (40%)"),
        ("", {"2": 9}, "2", "no version is configured, answers say 2"),
        ("", {"gpt": 9}, "", ""),
    ],
)
def test_what_answers_say_wins_where_most_say_it(
    configured: str, said: dict[str, int], version: str, note: str
) -> None:
    assert version_in_force(configured, "gpt", said) == (version, note)
