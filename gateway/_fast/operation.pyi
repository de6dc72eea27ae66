from collections.abc import Mapping, Sequence
from typing import Final, final

from gateway._fast.marks import Marks

NAMES: Final[tuple[bytes, ...]]
BODY_MARKS: Final[tuple[tuple[bytes, bytes], ...]]

@final
class Operation:
    def __init__(
        self,
        name: str,
        *,
        protocol: str,
        before: str,
        after: str = "",
        needs: Sequence[str] = (),
        capabilities: Mapping[str, int],
        has_path_model: bool = False,
        has_body_model: bool = False,
        is_body_optional: bool = False,
        adds_usage: bool = False,
        is_generation: bool = False,
        needs_end: bool = False,
        marks: Marks | None = None,
        answer_marks: Marks | None = None,
    ) -> None: ...
    @property
    def name(self) -> str: ...
    @property
    def protocol(self) -> str: ...
    @property
    def before(self) -> bytes: ...
    @property
    def after(self) -> bytes: ...
    @property
    def capability(self) -> int: ...
    @property
    def has_path_model(self) -> bool: ...
    @property
    def has_body_model(self) -> bool: ...
    @property
    def is_body_optional(self) -> bool: ...
    @property
    def adds_usage(self) -> bool: ...
    @property
    def is_generation(self) -> bool: ...
    @property
    def needs_end(self) -> bool: ...
    @property
    def marks(self) -> Marks | None: ...
    @property
    def answer_marks(self) -> Marks | None: ...
