from collections.abc import Callable
from typing import Any, Final, final

REASONS: Final[tuple[str, ...]]

# `plan` is a LayerPlan, or anything with its attributes.
@final
class Layer:
    def __init__(
        self,
        plan: Any,
        user_header: bytes = b"",
        bucket_of: Callable[[bytes], int] | None = None,
    ) -> None: ...
    @property
    def plan(self) -> Any: ...
    @property
    def arms(self) -> int: ...
    def arm_of(self, unit: bytes) -> tuple[int, int]: ...

@final
class Assignments:
    @property
    def variant(self) -> int: ...
