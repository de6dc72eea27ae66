import pytest

from gateway._fast.shape import Shape
from tests.support.json_text import OK, members_of, span


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
