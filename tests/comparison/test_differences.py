"""Where documents differ, against a slow and obvious way of finding out."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.comparison.differences import NODES, SHOWN, Differences
from gateway.comparison.pointers import MISSING, found, pointer_of, steps_of
from gateway.comparison.texts import CHARS, folded, measure, similarity

NAMES = st.sampled_from(["a", "b", "~", "/", ""])
VALUES = st.none() | st.booleans() | st.integers(-2, 2) | st.floats(-2, 2) | st.sampled_from("xy")
DOCUMENTS = st.recursive(
    VALUES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=12,
)


def leaves(value: Any, path: str = "") -> dict[str, Any]:
    """Every place of a document with what is there, containers by their kind alone."""
    places: dict[str, Any] = {path: value}
    if isinstance(value, dict):
        places[path] = dict
        for key, each in value.items():
            places |= leaves(each, f"{path}{pointer_of([key])}")
    elif isinstance(value, list):
        places[path] = list
        for index, each in enumerate(value):
            places |= leaves(each, f"{path}/{index}")
    return places


def same(one: Any, other: Any) -> bool:
    numbers = [
        isinstance(each, (int, float)) and not isinstance(each, bool) for each in (one, other)
    ]
    return one == other if all(numbers) else type(one) is type(other) and bool(one == other)


def expected(one: Any, other: Any) -> set[str]:
    """Places that differ, but those below another such place."""
    mine, theirs = leaves(one), leaves(other)
    differing = {
        path
        for path in mine.keys() | theirs.keys()
        if path not in mine or path not in theirs or not same(mine[path], theirs[path])
    }
    return {p for p in differing if not any(p.startswith(f"{above}/") for above in differing)}


@given(DOCUMENTS, DOCUMENTS)
def test_differences_are_those_of_the_reference(one: Any, other: Any) -> None:
    differences = Differences()
    differences.compare(one, other)
    assert differences.count == len(expected(one, other))
    assert set(differences.shown) <= expected(one, other)
    assert len(differences.shown) == min(SHOWN, differences.count)


@given(DOCUMENTS)
def test_document_does_not_differ_from_itself(one: Any) -> None:
    differences = Differences()
    differences.compare(one, one)
    assert differences.count == 0
    assert differences.is_complete


@pytest.mark.parametrize(
    "ignore, count",
    [
        ((), 3),
        (("/a/0/id", "/a/1/id"), 1),
        (("/a/*/id",), 1),
        (("/a",), 1),
        (("",), 0),
        (("/*",), 0),
    ],
)
def test_places_that_may_differ_are_passed_over(ignore: tuple[str, ...], count: int) -> None:
    one = {"a": [{"id": 1}, {"id": 2}], "b": 1}
    other = {"a": [{"id": 3}, {"id": 4}], "b": 2}
    differences = Differences(ignore=tuple(map(steps_of, ignore)))
    differences.compare(one, other)
    assert differences.count == count


def test_numbers_this_near_to_each_other_are_the_same() -> None:
    for tolerance, count in ((0.0, 2), (0.5, 1), (2.0, 0)):
        differences = Differences(tolerance)
        differences.compare([1.0, 1, True], [1.25, 2, True])
        assert differences.count == count


def test_more_nodes_than_are_looked_at_leave_it_open() -> None:
    differences = Differences()
    differences.compare([0] * (NODES + 1), [0] * (NODES + 1))
    assert not differences.is_complete


@given(st.lists(NAMES | st.just("10"), max_size=4))
def test_pointer_leads_back_to_its_steps(steps: list[str]) -> None:
    assert list(steps_of(pointer_of(steps))) == steps


def test_pointer_leads_into_texts_that_are_json() -> None:
    document = {"a": ['{"b": [1, 2]}', "plain"]}
    assert found(document, steps_of("/a/0/b/1")) == 2
    for missing in ("/a/1/b", "/a/7", "/a/x", "/b", "/a/0/b/1/c", "/a/-1"):
        assert found(document, steps_of(missing)) is MISSING
    assert found(document, ()) is document


def test_likeness_of_texts() -> None:
    known = measure()
    assert similarity("a  b\n", "a b", known) == 1.0
    assert similarity("", "a", known) == 0.0
    assert similarity("same start", "same end", known) == 0.5556
    assert similarity("abc", "abd", None) is None
    assert len(folded("x " * 99_999)) <= CHARS
