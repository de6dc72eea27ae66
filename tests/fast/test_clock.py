import time
import uuid

from hypothesis import given
from hypothesis import strategies as st

from gateway._fast.clock import id_of


@given(st.integers(0, 2**64 - 1))
def test_an_id_is_a_uuid_of_version_7(seed: int) -> None:
    made = uuid.UUID(id_of(seed))
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert str(made)[24:] == id_of(seed)[24:], "its random part is the seed's"


def test_an_id_begins_with_the_time() -> None:
    before = time.time_ns() // 1_000_000
    made = uuid.UUID(id_of(1)).int >> 80
    assert before <= made <= time.time_ns() // 1_000_000


def test_ids_sort_by_time() -> None:
    """48 bits of milliseconds and 12 of their fraction stand before what is random."""
    made = [id_of(seed)[:18] for seed in range(2000)]
    assert made == sorted(made)
    assert made[0] < made[-1]


def test_ids_differ() -> None:
    assert len({id_of(seed) for seed in range(10_000)}) == 10_000
