import pytest
from hypothesis import given

from gateway._fast.shape import Shape
from tests.support.json_text import NAMES, OK, encodings, members_of, span


def test_an_object_inside_is_scanned_with_the_same_offsets() -> None:
    data = b'{"a":1, "user" : {"model": "x", "stream":true} }'
    (outer,) = members_of(data, "user")
    code, _, _, members = Shape(["model", "stream"]).look(data, outer[1], outer[2])
    assert code == OK
    assert [span(data, member) for member in members] == [b'"x"', b"true"]


def test_a_shape_refuses_more_than_it_can_hold() -> None:
    with pytest.raises(ValueError, match="at most 32 names"):
        Shape([str(n) for n in range(33)])
    with pytest.raises(ValueError, match="at most 32 names and 16 marks"):
        Shape([], [("a", "b")] * 17)
    with pytest.raises(ValueError, match="given twice"):
        Shape(["a", "a"])


@given(encodings())
def test_a_second_look_at_checked_text_finds_what_the_scan_found(data: bytes) -> None:
    shape = Shape(NAMES)
    behind, members = shape.look_again(data)
    assert members == shape.look(data)[3]
    assert not data[behind:].strip()


@pytest.mark.parametrize("size", range(34))
def test_a_second_look_is_right_wherever_a_block_ends(size: int) -> None:
    text = b"x" * size
    data = b'{"%b":{"y":["%b}",{"z":"\\"%b"}]},"a":"%b\\\\","b" : -1 ,"a\\u0062":[]}' % (
        (text,) * 4
    )
    shape = Shape(["a", "b", "ab", "y"])
    behind, members = shape.look_again(data)
    assert behind == len(data)
    assert members == shape.look(data)[3]
    assert [span(data, member) for member in members[:3]] == [b'"%b\\\\"' % text, b"-1", b"[]"]


def test_a_second_look_wants_checked_text() -> None:
    with pytest.raises(ValueError, match="no checked text"):
        Shape(["a"]).look_again(b'{"a":1')
