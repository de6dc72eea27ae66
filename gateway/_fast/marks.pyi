from collections.abc import Mapping, Sequence
from typing import final

@final
class Marks:
    def __init__(
        self,
        *,
        done: str = "[DONE]",
        usage: Sequence[str] = ...,
        input_tokens: Sequence[str] = ...,
        output_tokens: Sequence[str] = ...,
        cached_tokens: Sequence[str] = ...,
        ended: Mapping[str, str] | None = None,
        failing: Sequence[str] = ("error",),
        done_member: str = "",
        finish_reason: bool = True,
        json: bool = True,
        validate: bool = False,
        limit: int = 262144,
    ) -> None: ...
    @property
    def limit(self) -> int: ...
    @property
    def validate(self) -> bool: ...
    @property
    def json(self) -> bool: ...
    def usage_in(self, data: bytes) -> tuple[int, int, int, int, int, bool]: ...
