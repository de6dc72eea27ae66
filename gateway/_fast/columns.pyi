from collections.abc import Sequence
from typing import TypeAlias, final

import numpy as np
from numpy.typing import NDArray

from gateway._fast.rows import Rows

_Arrays: TypeAlias = tuple[
    NDArray[np.uint8],
    NDArray[np.float64],
    NDArray[np.uint64],
    NDArray[np.uint32],
    NDArray[np.uint32],
]
_Said: TypeAlias = tuple[int, int, int, list[bytes], int]

@final
class Columns:
    @property
    def places(self) -> tuple[tuple[str, int], ...]: ...
    @property
    def rows(self) -> tuple[Rows, ...]: ...
    @property
    def compared(self) -> int: ...
    def __init__(self, places: Sequence[tuple[str, int]], rows: Sequence[Rows] = ...) -> None: ...
    def read(
        self,
        data: bytes | bytearray,
        start: int,
        lines: _Arrays,
        rows: Sequence[tuple[_Arrays, NDArray[np.int32]]] = ...,
    ) -> tuple[int, int, list[tuple[int, int]], list[_Said]]: ...
