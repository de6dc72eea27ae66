from typing import final

from gateway._fast.pool import Borrower
from gateway._fast.table import Turn

class Caller(Turn): ...

@final
class Attempt(Borrower):
    @property
    def position(self) -> int: ...
    @property
    def number(self) -> int: ...
    @property
    def outcome(self) -> int: ...
    @property
    def status(self) -> int: ...
