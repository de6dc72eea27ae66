from collections.abc import Sequence
from typing import TypeAlias, final

import numpy as np
from numpy.typing import NDArray

_Arrays: TypeAlias = tuple[
    NDArray[np.uint8],
    NDArray[np.float64],
    NDArray[np.uint64],
    NDArray[np.uint32],
    NDArray[np.uint32],
]

@final
class Columns:
    @property
    def places(self) -> tuple[tuple[str, int], ...]: ...
    @property
    def fields(self) -> tuple[tuple[str, int], ...]: ...
    def __init__(
        self,
        places: Sequence[tuple[str, int]],
        fields: Sequence[tuple[str, int]] = ...,
        features: str = ...,
    ) -> None: ...
    def read(
        self,
        data: bytes,
        start: int,
        lines: _Arrays,
        rows: _Arrays,
        row_lines: NDArray[np.int32],
    ) -> tuple[int, int, int, list[tuple[int, int]], int, int, list[bytes], int]: ...

def time_of(text: bytes) -> float: ...
