"""What the kernel counts is what numpy counts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from gateway._fast import bins

SPECIALS = 7


@given(
    arrays.arrays(np.float64, st.integers(0, 50), elements=st.floats(width=64)),
    st.lists(st.floats(-1e6, 1e6), max_size=40, unique=True),
)
def test_numbers_fall_where_searchsorted_puts_them(
    values: np.ndarray[tuple[int], np.dtype[np.float64]], given_edges: list[float]
) -> None:
    edges = np.unique(np.array(given_edges, np.float64))
    room = 1
    while room < edges.size + 1:
        room *= 2
    padded = np.full(max(room, 2) - 1, np.inf)
    padded[: edges.size] = edges
    counts = np.zeros(edges.size + 1 + SPECIALS, np.int64)
    _, _, low, high = bins.count_numbers(values, None, padded, 0.0, 1.0, counts)
    finite = values[np.isfinite(values)]
    wanted = np.bincount(np.searchsorted(edges, finite, "right"), minlength=edges.size + 1)
    assert np.array_equal(counts[: edges.size + 1], wanted)
    special = counts[edges.size + 1 :].tolist()
    assert special == [
        0,
        0,
        np.isnan(values).sum(),
        (values == np.inf).sum(),
        (values == -np.inf).sum(),
        0,
        0,
    ]
    assert (low, high) == (finite.min(initial=np.inf), finite.max(initial=-np.inf))


def test_sums_go_past_sixty_four_bits() -> None:
    values = np.full(1000, 2.0**42)
    counts = np.zeros(2 + SPECIALS, np.int64)
    edges = np.array([0.0])
    total, squares, _, _ = bins.count_numbers(values, None, edges, 0.0, 1.0, counts)
    assert total == 1000 * 2**42
    assert squares == 1000 * 2**84
    total, _, _, _ = bins.count_numbers(-values, None, edges, 0.0, 1.0, counts)
    assert total == -1000 * 2**42


@pytest.mark.parametrize("edges, cells", [(4, 5), (1, 3), (7, 0)])
def test_edges_that_do_not_fit_are_refused(edges: int, cells: int) -> None:
    counts = np.zeros(cells + SPECIALS, np.int64)
    with pytest.raises(ValueError, match="edges"):
        bins.count_numbers(np.zeros(1), None, np.zeros(edges), 0.0, 1.0, counts)
    with pytest.raises(ValueError, match="kind"):
        bins.count_numbers(
            np.zeros(2),
            np.zeros(1, np.uint8),
            np.zeros(1),
            0.0,
            1.0,
            np.zeros(2 + SPECIALS, np.int64),
        )
