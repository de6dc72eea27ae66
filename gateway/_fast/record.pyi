from collections.abc import Mapping, Sequence
from typing import final

from gateway._fast.segment import Stream

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
