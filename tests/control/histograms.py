"""The log-linear bucket of a value, from the definition."""

from typing import NamedTuple


class Shape(NamedTuple):
    shift: int
    buckets: int


FINE, COARSE = Shape(7, 4608), Shape(4, 624)


def bucket_of(value: int, shape: Shape) -> int:
    """Below 2**shift one value a bucket; above, the leading shift + 1 bits name it."""
    exponent = max(value.bit_length() - 1 - shape.shift, 0)
    return (exponent << shape.shift) + (value >> exponent)
