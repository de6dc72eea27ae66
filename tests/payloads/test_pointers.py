"""JSON pointers with a wildcard."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.payloads.pointers import MARK, Pointer


@pytest.mark.parametrize(
    "pointer, document, expected, count",
    [
        ("/user", {"user": "ann", "a": 1}, {"user": MARK, "a": 1}, 1),
        ("/a/b", {"a": {"b": [1]}}, {"a": {"b": MARK}}, 1),
        ("/a/1", {"a": [1, 2]}, {"a": [1, MARK]}, 1),
        ("/a/*", {"a": [1, 2]}, {"a": [MARK, MARK]}, 2),
        ("/*", {"a": 1, "b": None}, {"a": MARK, "b": MARK}, 2),
        (
            "/m/*/c/*/u",
            {"m": [{"c": [{"u": 1}, {"v": 2}]}, {"c": "text"}, 3]},
            {"m": [{"c": [{"u": MARK}, {"v": 2}]}, {"c": "text"}, 3]},
            1,
        ),
        ("/a~1b/~0", {"a/b": {"~": 1}}, {"a/b": {"~": MARK}}, 1),
        ("/", {"": 1}, {"": MARK}, 1),
        ("", [1], MARK, 1),
        ("/missing", {"a": 1}, {"a": 1}, 0),
        ("/a/5", {"a": [1]}, {"a": [1]}, 0),
        ("/a/-1", {"a": [1]}, {"a": [1]}, 0),
        ("/a/x", {"a": [1]}, {"a": [1]}, 0),
        ("/a/99999999999999", {"a": [1]}, {"a": [1]}, 0),
        ("/a/\u0661", {"a": [1, 2]}, {"a": [1, 2]}, 0),
        ("/a/b", {"a": "text"}, {"a": "text"}, 0),
        ("/a", 5, 5, 0),
        ("/a", {"a": MARK}, {"a": MARK}, 0),
        ("", MARK, MARK, 0),
    ],
)
def test_pointer_takes_out_what_it_points_to(
    pointer: str, document: Any, expected: Any, count: int
) -> None:
    assert Pointer(pointer).take_out(document) == (expected, count)


def test_pointer_finds_the_first() -> None:
    assert Pointer("/a/*/b").find({"a": [{"c": 1}, {"b": 2}, {"b": 3}]}) == 2
    assert Pointer("/a/b").find({"a": 1}) is None
    assert Pointer("").find([1]) == [1]


def test_pointer_of_one_step_is_a_name_in_a_form() -> None:
    assert Pointer("/prompt").is_name("prompt")
    assert Pointer("/*").is_name("prompt")
    assert Pointer("").is_name("prompt")
    assert not Pointer("/prompt/0").is_name("prompt")
    assert not Pointer("/other").is_name("prompt")
