"""A reference learned of the first traffic of a route, for rules that compare traffic with traffic.

Rule: bounded; what was learned from is not counted, since it is what the fields were frozen on.
"""

from __future__ import annotations

import msgspec

from gateway.config.watching import DriftConsumer
from gateway.profiles.recorded import Line, from_lines
from gateway.profiles.reference import Reference

LEARN_LINES, LEARN_MINUTES, LEAST_LINES = 10_000, 10, 500
LEARN_BYTES = 32 * 2**20


class Learner:
    """Lines of one route until they are enough for a reference; bounded.

    Enough are LEARN_LINES or LEARN_BYTES; or LEAST_LINES once LEARN_MINUTES have passed.
    """

    def __init__(self, route: str, consumer: DriftConsumer | None = None) -> None:
        self._route, self._consumer = route, consumer or DriftConsumer()
        self._kept: list[bytes] = []
        self._bytes = 0
        self._since = 0  # minute of the first

    def add(self, data: bytes, now_minute: int) -> Reference | None:
        """Whole lines of the log, of any route; the reference once there are enough.

        The caller puts it on the shelf, `put(learned_name(route), reference.encode())`, and
        takes what the shelf answers (`decode`), which another process may have put first.
        """
        for line in data.split(b"\n"):
            if self._is_full:
                break
            if line and self._is_ours(line):
                self._kept.append(line)
                self._bytes += len(line)
                self._since = self._since or now_minute
        has_waited = now_minute - self._since >= LEARN_MINUTES
        if not self._is_full and not (has_waited and len(self._kept) >= LEAST_LINES):
            return None
        return from_lines(
            self._kept,
            self._route,
            source=f"the first traffic of {self._route}",
            bins=self._consumer.bins,
            top=self._consumer.top,
            most=self._consumer.fields,
        )

    @property
    def _is_full(self) -> bool:
        return len(self._kept) >= LEARN_LINES or self._bytes >= LEARN_BYTES

    def _is_ours(self, line: bytes) -> bool:
        try:
            read = msgspec.json.decode(line, type=Line)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return False
        return read.kind == "prediction" and read.route == self._route
