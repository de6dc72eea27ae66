import json
from typing import Any

import pytest

from gateway._fast.marks import Marks
from tests.support.marks import ANTHROPIC, OLLAMA, USAGE

LENGTH = 2


# Whole answers.


def test_the_usage_of_a_whole_answer_is_read_by_the_same_marks() -> None:
    choices = [{"index": 0, "message": {"content": "hi"}, "finish_reason": "length"}]
    answer = json.dumps({"choices": choices, "usage": USAGE}, indent=1).encode()
    assert Marks().usage_in(answer) == (0, 12, 34, 5, LENGTH, False)
    assert Marks().usage_in(b'{"error":{"message":"no"}}') == (0, -1, -1, -1, 0, True)
    assert Marks().usage_in(b'{"choices":[]}') == (0, -1, -1, -1, 0, False)
    assert Marks(**ANTHROPIC).usage_in(b'{"usage":{"input_tokens":4}}')[1] == 4
    assert Marks(**OLLAMA).usage_in(b'{"eval_count":4}')[2] == 4


@pytest.mark.parametrize("data, code", [(b'{"usage":', -4), (b"[]", -1), (b"{]", -2), (b"", -4)])
def test_a_whole_answer_that_is_malformed_says_so(data: bytes, code: int) -> None:
    assert Marks().usage_in(data) == (code, -1, -1, -1, 0, False)


# Marks.


def test_words_that_cannot_be_searched_for_make_every_event_scanned() -> None:
    assert not Marks().validate
    for odd in (
        Marks(usage=("/größe",)),
        Marks(ended={'say "bye"': "stop"}),
        Marks(usage=("/a", "/b", "/c", "/d"), ended=dict.fromkeys("ghijk", "")),
    ):
        assert odd.validate


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        ({"usage": ("usage",)}, "begins with '/'"),
        ({"input_tokens": ("",)}, "begins with '/'"),
        ({"input_tokens": ("/a",) * 5}, "at most 4 places"),
        ({"failing": tuple("abcdefghi")}, "at most 8 event names"),
    ],
)
def test_marks_refuse_what_they_cannot_hold(arguments: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        Marks(**arguments)
