from typing import final

import numpy as np
from numpy.typing import NDArray

# Rows of what Shifts and Shares find are in the order of the two lists in shifts.pxd.

@final
class Pooling:
    def __init__(
        self,
        begins: NDArray[np.intp],
        ends: NDArray[np.intp],
        sizes: NDArray[np.intp],
        p: NDArray[np.float64],
        log_p: NDArray[np.float64],
        half_freedom: NDArray[np.float64],
        voices: NDArray[np.float64],
    ) -> None: ...

@final
class Shifts:
    @property
    def fields(self) -> int: ...
    def __init__(
        self,
        first: NDArray[np.intp],
        bins: NDArray[np.intp],
        cells: NDArray[np.intp],
        below: NDArray[np.float64],
        widths: NDArray[np.float64],
        known: NDArray[np.float64],
    ) -> None: ...
    def measure(
        self, counts: NDArray[np.int64], pooling: Pooling, out: NDArray[np.float64]
    ) -> None: ...
    def judge(self, pooling: Pooling, out: NDArray[np.float64], least: float) -> None: ...

@final
class Shares:
    @property
    def fields(self) -> int: ...
    @property
    def kinds(self) -> int: ...
    def __init__(
        self,
        first: NDArray[np.intp],
        cells: NDArray[np.intp],
        begins: NDArray[np.intp],
        ends: NDArray[np.intp],
        outside: NDArray[np.intp],
        then: NDArray[np.float64],
        rows: NDArray[np.float64],
    ) -> None: ...
    def find(self, counts: NDArray[np.int64], least: float, out: NDArray[np.float64]) -> int: ...

def adjusted_into(
    out: NDArray[np.float64],
    p: NDArray[np.float64],
    count: int,
    factor: float,
    weights: NDArray[np.float64] | None = ...,
) -> None: ...
