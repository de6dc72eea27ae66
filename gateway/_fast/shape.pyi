from collections.abc import Iterable
from typing import TypeAlias, final

# (kind, start, end, key_start, member_end, count, escaped)
_Member: TypeAlias = tuple[int, int, int, int, int, int, bool]

@final
class Shape:
    def __init__(
        self, names: Iterable[str | bytes], marks: Iterable[tuple[str | bytes, str | bytes]] = ()
    ) -> None: ...
    @property
    def names(self) -> tuple[bytes, ...]: ...
    @property
    def marks(self) -> tuple[tuple[bytes, bytes], ...]: ...
    def look(
        self, data: bytes, start: int = 0, end: int | None = None
    ) -> tuple[int, int, int, tuple[_Member, ...]]: ...
    def look_again(
        self, data: bytes, start: int = 0, end: int | None = None
    ) -> tuple[int, tuple[_Member, ...]]: ...
