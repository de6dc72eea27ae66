"""Host names that exist for one test: what the system's resolver would say of them.

Replaces `socket.getaddrinfo` for the names it knows, so it serves gateways that run in
this process. A name may change its addresses, or stop resolving, while a test runs.
"""

from __future__ import annotations

import socket
from typing import Any

import pytest


class Names:
    def __init__(self) -> None:
        self.addresses: dict[str, list[str]] = {}
        self.dead: set[str] = set()
        self.look_ups = 0
        self._real = socket.getaddrinfo

    def look_up(self, host: Any, port: Any, *more: Any, **named: Any) -> list[Any]:
        if host not in self.addresses:
            return list(self._real(host, port, *more, **named))
        self.look_ups += 1
        if host in self.dead:
            raise socket.gaierror(socket.EAI_AGAIN, "the resolver is dead")
        return [_row(address, port) for address in self.addresses[host]]


def _row(address: str, port: int) -> tuple[Any, ...]:
    if ":" in address:
        return socket.AF_INET6, socket.SOCK_STREAM, 6, "", (address, port, 0, 0)
    return socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    made = Names()
    monkeypatch.setattr(socket, "getaddrinfo", made.look_up)
    return made
