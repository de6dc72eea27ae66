"""Every value that crosses from one process of the gateway to another.

Between controller and workers, over the link: a worker says Hello, the controller
answers with the Offer in force where the worker has another, the worker answers
Applied or Declined, and says when it is Draining. The Offer is also the file that a worker
reads when it starts, so that it needs nobody.

Rule 1: an Offer holds the configuration as written, `${NAME}` not replaced: each process
        compiles it with the environment it inherited, so no secret travels.
Rule 2: places on the board travel along, so that the same name has the same place in
        every process, whenever it started.

Knows nothing of sockets; `link` moves these.
"""

from __future__ import annotations

from msgspec import Struct


class Places(Struct, frozen=True):
    """Where things are on the board."""

    cells: dict[str, int] = {}  # by backend
    rows: dict[str, dict[str, int]] = {}  # by route, then backend; "" is the route's own row


class Offer(Struct, frozen=True, kw_only=True, tag="offer"):
    """A configuration to serve on."""

    hash: str
    text: str
    places: Places
    generation: int  # grows by one with each that was accepted


class Hello(Struct, frozen=True, kw_only=True, tag="hello"):
    """A worker is there; the first message of each connection."""

    slot: int  # which of the configured workers it is
    seat: int  # its place on the board
    pid: int
    hash: str  # of the plan it serves on
    generation: int


class Applied(Struct, frozen=True, tag="applied"):
    """The worker serves on this plan from now on."""

    hash: str
    generation: int


class Declined(Struct, frozen=True, tag="declined"):
    """The worker goes on with the plan it has."""

    hash: str
    generation: int
    sentence: str  # why


class Draining(Struct, frozen=True, tag="draining"):
    """The worker finishes what it has and takes nothing new."""


FromWorker = Hello | Applied | Declined | Draining
FromController = Offer
