"""What a judge is asked, and what his words mean."""

from __future__ import annotations

import json

import pytest

from gateway.comparison.judgement import PART_CHARS, case_of, question_of, verdict_of


def said(text: object) -> bytes:
    return json.dumps({"choices": [{"message": {"content": text}}]}).encode()


@pytest.mark.parametrize(
    "text, plain, swapped",
    [
        ("A", "client", "shadow"),
        ("B", "shadow", "client"),
        ("**b**.", "shadow", "client"),
        ("tie", "tie", "tie"),
        ("Tie.", "tie", "tie"),
        ("A is nice, but the better one is B", "shadow", "client"),
        ("neither", "", ""),
        (None, "", ""),
        (7, "", ""),
    ],
)
def test_word_of_the_judge_is_read(text: object, plain: str, swapped: str) -> None:
    assert verdict_of(said(text), swaps=False) == plain
    assert verdict_of(said(text), swaps=True) == swapped


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"choices": []}', b'{"choices": [{}]}'])
def test_answer_of_another_form_says_nothing(body: bytes) -> None:
    assert verdict_of(body, swaps=False) == ""


def test_case_shows_both_answers_in_the_order_that_was_drawn() -> None:
    asked = json.dumps({"messages": [{"role": "user", "content": "why?"}]}).encode()
    for swaps, first, second in ((False, "clients", "shadows"), (True, "shadows", "clients")):
        case = json.loads(case_of("judge", "", asked, "clients", "shadows", swaps=swaps))
        text = case["messages"][1]["content"]
        assert case["model"] == "judge"
        assert text.index("user: why?") < text.index(first) < text.index(second)
    assert json.loads(case_of("j", "Be strict.", asked, "a", "b", swaps=False))["messages"][0] == {
        "role": "system",
        "content": "Be strict.",
    }


@pytest.mark.parametrize(
    "asked, text",
    [
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": "hm"}]}]}, "user: hm"),
        ({"input": "hello"}, "hello"),
        ({"input": [{"role": "user", "content": "hi"}]}, "user: hi"),
        ({"prompt": "once"}, "once"),
        ({}, ""),
        ([1], "[1]"),
        ({"messages": [{"role": "user", "content": "x" * 99_999}]}, "x" * PART_CHARS),
    ],
)
def test_question_is_what_the_client_wrote(asked: object, text: str) -> None:
    assert question_of(json.dumps(asked).encode()) == text
    assert question_of(b"no json") == "no json"
