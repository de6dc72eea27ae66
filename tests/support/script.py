"""What a stub backend does on the wire: a script of steps, played byte-exactly.

A script is any iterable of steps; a generator makes one that never ends. An *answerer*
looks at the request and returns a script, so a backend's behaviour is one function and
bends by wrapping it in another (see `faults`).

Rule 1: bytes are sent exactly as written; nothing adds framing behind the script's back.
Rule 2: a script that ends without `Close`, `Reset` or `Hang` leaves the connection open
for the next request.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Send:
    data: bytes


@dataclass(frozen=True, slots=True)
class Pause:
    seconds: float


@dataclass(frozen=True, slots=True)
class Close:
    """Close in order, after everything sent has left."""


@dataclass(frozen=True, slots=True)
class HalfClose:
    """Send FIN and go on reading."""


@dataclass(frozen=True, slots=True)
class Reset:
    """Close with RST (SO_LINGER 0)."""


@dataclass(frozen=True, slots=True)
class Hang:
    """Say nothing more until the peer goes away."""


@dataclass(frozen=True, slots=True)
class AwaitBody:
    """Wait until the request's body is complete (for answers that start at its head)."""


Step = Send | Pause | Close | HalfClose | Reset | Hang | AwaitBody
Script = Iterable[Step]


@dataclass(slots=True)
class Received:
    """One request as the backend read it."""

    method: str
    target: str
    version: str
    headers: list[tuple[str, str]]  # names as sent
    connection: int  # which connection of the backend, from 0
    number: int  # which request of that connection, from 0
    at: float = field(default_factory=time.monotonic)
    body: bytes = b""
    trailers: list[tuple[str, str]] = field(default_factory=list)
    is_complete: bool = False
    answered_at: float = 0.0  # the script ran to its end
    abandoned_at: float = 0.0  # the peer left before that

    def header(self, name: str) -> str | None:
        values = self.values(name)
        assert len(values) < 2, f"{name} came {len(values)} times: {values}"
        return values[0] if values else None

    def values(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]


Answerer = Callable[[Received], Script]
