from collections.abc import Sequence
from typing import Any, Final, final

from gateway._fast.board import Board

POLICIES: Final[tuple[str, ...]]
EXCLUDED: Final[tuple[str, ...]]
METRICS: Final[tuple[str, ...]]

# `route` and `backends` are a RoutePlan and BackendPlans, or anything with their attributes.
# `asked` is what a request needs: now_ns, and any of capabilities, input_bytes, output_tokens,
# sticky, tried, required (int) and policy (str).
@final
class Candidates:
    def __init__(
        self,
        route: Any,
        backends: Sequence[Any],
        board: Board,
        cells: Sequence[int],
        *,
        seed: int = 0,
    ) -> None: ...
    def __len__(self) -> int: ...
    @property
    def length(self) -> int: ...
    @property
    def names(self) -> tuple[str, ...]: ...
    def disable(self, position: int, disabled: bool = True) -> None: ...
    def choose_once(self, **asked: Any) -> dict[str, Any]: ...
    def choose_often(self, times: int, **asked: Any) -> list[int]: ...
    def explain(self, **asked: Any) -> list[dict[str, Any]]: ...
