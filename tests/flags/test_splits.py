"""Weights as parts of the buckets."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.flags.splits import part_at, split_of
from gateway.plan import PPM

split_weights = st.lists(st.integers(0, 1_000_000), min_size=1, max_size=8).filter(any)


@given(split_weights)
def test_a_split_covers_every_bucket_once(numbers: list[int]) -> None:
    parts = split_of([(str(at), number) for at, number in enumerate(numbers)])
    ends = [until for _name, until in parts]
    assert ends == sorted(ends)
    assert ends[-1] == PPM
    assert len(parts) == sum(1 for number in numbers if number)


@given(split_weights, st.integers(0, PPM - 1))
def test_a_split_is_flagd_s_where_its_weights_are(numbers: list[int], bucket: int) -> None:
    """The first part whose weights, summed up, are beyond the bucket's share of the total."""
    expected, sum_so_far = "", 0
    for at, number in enumerate(numbers):
        sum_so_far += number
        if bucket * sum(numbers) < sum_so_far * PPM:
            expected = str(at)
            break
    assert part_at(split_of([(str(a), n) for a, n in enumerate(numbers)]), bucket) == expected
