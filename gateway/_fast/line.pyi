from typing import TypeAlias, final

# What `build` takes: bytes as they are, a number, or a kind and a value.
_Part: TypeAlias = (
    bytes | int | tuple[str, bytes] | tuple[str, float] | tuple[str, tuple[float, int]]
)

@final
class Line:
    def build(self, *parts: _Part) -> bytes: ...

def utf8_of(text: bytes) -> int: ...
