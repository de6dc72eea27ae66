from typing import final

@final
class Unit:
    def __init__(self, name: str, user_header: bytes = b"") -> None: ...
    @property
    def name(self) -> str: ...

@final
class Asked:
    def __call__(self, field: str) -> str | float | bool | None: ...
