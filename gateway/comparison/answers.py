"""One answer as it is compared: how it ended, what it cost, its body."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Form = Literal["whole", "sse", "ndjson"]


class Answer(Struct, frozen=True, kw_only=True):
    """The client's answer, or a copy's."""

    outcome: str  # reason token of errors.OUTCOMES
    status: int
    backend: str  # whose answer it is; "" the gateway's own
    body: bytes | None  # None: not kept, or not readable
    form: Form = "whole"
    total_ns: int = 0
    first_byte_ns: int = 0  # 0 never
    nano_usd: int = 0
    output_tokens: int = -1  # -1 unknown

    @property
    def is_good(self) -> bool:
        """Whether there is anything to compare."""
        return self.outcome == "ok" and self.status < 400
