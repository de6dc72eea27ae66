from typing import final

from gateway._fast.attempt import Caller

@final
class Exchange(Caller):
    @property
    def outcome(self) -> int: ...
