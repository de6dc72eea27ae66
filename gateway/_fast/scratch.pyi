from typing import final

@final
class Scratch:
    @property
    def overflowed(self) -> bool: ...
    def build(self, *parts: bytes | int | tuple[str, int]) -> bytes: ...
