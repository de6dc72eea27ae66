from typing import TypeAlias, final

# (kind, start, end, key_start, member_end, count, escaped)
_Member: TypeAlias = tuple[int, int, int, int, int, int, bool]

@final
class Pointer:
    def __init__(self, text: str) -> None: ...
    @property
    def text(self) -> str: ...
    def look(self, data: bytes) -> tuple[int, _Member]: ...
