import numpy as np
from numpy.typing import NDArray

def count_numbers(
    values: NDArray[np.float64],
    kinds: NDArray[np.uint8] | None,
    edges: NDArray[np.float64],
    center: float,
    per_unit: float,
    counts: NDArray[np.int64],
) -> tuple[int, int, float, float]: ...
