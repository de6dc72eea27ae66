from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway._fast import splice
from tests.reference.splice import Pairs, decode
from tests.support.json_text import NAMES, encodings, members_of


def changed(pairs: Pairs, data: bytes, names: list[str], operations: list[str]) -> list[Any]:
    """The edits, made to the pairs as well."""
    edits = []
    for name, operation in zip(names, operations, strict=True):
        (member,) = members_of(data, name)
        if member[5] != 1:
            continue
        at = [key for key, _ in pairs].index(name)
        if operation == "replace":
            edits.append(splice.replaced(data, member, b'["new"]'))
            pairs[at] = (name, ["new"])
        elif operation == "swap":
            edits.append(splice.swapped(data, member, b'"new":[1]'))
            pairs[at] = ("new", ["1"])
        else:
            edits.append(splice.removed(data, member))
            del pairs[at]
    return edits


@given(
    encodings(),
    st.permutations(NAMES),
    st.lists(st.sampled_from(["replace", "swap", "remove"]), max_size=4),
    st.booleans(),
)
def test_edits_equal_decoding_changing_and_encoding(
    data: bytes, names: list[str], operations: list[str], is_inserting: bool
) -> None:
    pairs = decode(data)
    first = pairs[0][0] if pairs else None
    edits = changed(pairs, data, names[: len(operations)], operations)
    if is_inserting:
        edits.append(splice.inserted(data, data.index(b"{"), b'"put":true,'))
        pairs.insert(0, ("put", True))
    try:
        out = splice.apply_edits(data, edits)
    except ValueError:
        # Only where the first member goes together with its neighbour on either side.
        touching = [operation for operation in operations if operation != "replace"]
        assert len(touching) + is_inserting > 1
        assert first in names[: len(operations)]
        return
    assert decode(out) == pairs


@pytest.mark.parametrize("data", [b"{}", b"{ \n}", b'{"a":1}', b' \n{ "a":1}', b'{"a":{}}'])
def test_a_member_is_inserted_first(data: bytes) -> None:
    out = splice.apply_edits(data, [splice.inserted(data, data.index(b"{"), b'"k":"v",')])
    assert decode(out) == [("k", "v"), *decode(data)]


@pytest.mark.parametrize(
    "data, expected",
    [
        (b'{"user":1}', b"{}"),
        (b'{ "user" : 1 }', b"{}"),
        (b'{"user":1,"b":2}', b'{"b":2}'),
        (b'{"a":0,"user":1}', b'{"a":0}'),
        (b'{"a":0 , "user":1 , "b":2}', b'{"a":0  , "b":2}'),
        (b'{"a":{},"user":[1,{}]}', b'{"a":{}}'),
    ],
)
def test_a_member_is_removed_with_its_comma(data: bytes, expected: bytes) -> None:
    edit = splice.removed(data, members_of(data, "user")[0])
    assert splice.apply_edits(data, [edit]) == expected


@pytest.mark.parametrize(
    "edits",
    [
        [(0, 2, b""), (1, 1, b"")], [(1, 0, b"x"), (1, 1, b"")], [(1, 0, b"x"), (1, 0, b"y")],
        [(5, 2, b"")], [(7, 0, b"")], [(0, 7, b"")], [(0, 6, b""), (2, 1, b"x")],
    ],
)  # fmt: skip
def test_edits_that_overlap_or_lie_outside_are_refused(edits: list[tuple[int, int, bytes]]) -> None:
    with pytest.raises(ValueError, match="edits overlap"):
        splice.apply_edits(b"abcdef", edits)


def test_edits_that_only_touch_are_applied() -> None:
    assert splice.apply_edits(b"abcdef", [(2, 2, b""), (0, 2, b"xyz"), (6, 0, b"!")]) == b"xyzef!"


def test_too_many_edits_are_refused() -> None:
    with pytest.raises(ValueError, match="at most 64"):
        splice.apply_edits(b"a" * 100, [(n, 0, b"") for n in range(65)])
