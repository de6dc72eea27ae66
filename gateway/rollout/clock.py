"""The desk's clock: milliseconds since 1970 that never go back.

While the process lives it is the monotonic clock, so that somebody who sets the machine's
time makes no step shorter or longer; across a restart it is the machine's time, but
never before what was written down last.

Why not the machine's time alone: a minimum of five minutes must be five minutes.
"""

from __future__ import annotations

import time
from collections.abc import Callable

NS_PER_MS = 10**6


class Clock:
    """Reads both clocks once, and one of them from then on."""

    def __init__(
        self,
        *,
        wall_s: Callable[[], float] = time.time,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.wall_s, self.monotonic_ns = wall_s, monotonic_ns
        self._began_ms, self._began_ns = int(wall_s() * 1000), monotonic_ns()

    def now_ms(self) -> int:
        return self._began_ms + (self.monotonic_ns() - self._began_ns) // NS_PER_MS

    def not_before(self, at_ms: int) -> None:
        """This was written down: it is no earlier than that now."""
        self._began_ms += max(0, at_ms - self.now_ms())
