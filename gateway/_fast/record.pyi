from collections.abc import Mapping, Sequence
from typing import final

from gateway._fast.segment import Stream
from gateway._fast.shadow import Shadow

@final
class Recorder:
    def __init__(
        self,
        stream: Stream,
        gateway: str,
        worker: int,
        outcomes: Sequence[str],
        capabilities: Mapping[str, int],
    ) -> None: ...
    @property
    def stream(self) -> Stream: ...
    def write_copy(self, shadow: Shadow, comparison: bytes) -> None: ...
