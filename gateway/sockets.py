"""Listening sockets, opened once and handed to the processes that accept on them.

One socket a worker for the data port (SO_REUSEPORT: the kernel spreads connections by
their addresses), one for a Unix path, one for the admin port. They stay open in the
process that opened them, so a worker that ends resets nobody.

Rule 1: a port that another program listens on is an error, although SO_REUSEPORT would
        share it with a second gateway of the same user without a word.
Rule 2: a Unix path is replaced only if it is a socket that nobody answers.
"""

from __future__ import annotations

import errno
import socket
import stat
from pathlib import Path

from gateway.errors import GatewayError

V6_ANY = "::"


class ListenError(GatewayError):
    """An address cannot be listened on."""

    reason = "listen"


def tcp_sockets(host: str, port: int, backlog: int, count: int) -> list[socket.socket]:
    """So many sockets on one address; port 0 takes a free one, the same for all."""
    family, address = _resolved(host, port)
    _refuse_if_taken(family, address, host, port)
    opened: list[socket.socket] = []
    try:
        for _ in range(count):
            opened.append(_listening(family, address, backlog))
            address = (address[0], opened[0].getsockname()[1], *address[2:])
    except OSError as error:
        for each in opened:
            each.close()
        raise _sentence(error, host, port) from None
    return opened


def unix_socket(path: Path, backlog: int) -> socket.socket:
    """A socket at this path."""
    _remove_if_dead(path)
    made = socket.socket(socket.AF_UNIX)
    try:
        made.bind(str(path))
        made.listen(backlog)
    except OSError as error:
        made.close()
        raise ListenError(f"cannot listen on {path}: {error.strerror or error}") from None
    return made


def address_of(listener: socket.socket) -> str:
    """As people write it: `127.0.0.1:8080`, `[::]:8080`, `/run/gateway.sock`."""
    name = listener.getsockname()
    if not isinstance(name, tuple):
        return str(name)
    return f"[{name[0]}]:{name[1]}" if ":" in name[0] else f"{name[0]}:{name[1]}"


def _resolved(host: str, port: int) -> tuple[int, tuple[str, int]]:
    try:
        found = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | socket.AI_ADDRCONFIG
        )
    except OSError as error:
        raise ListenError(f"cannot listen on {host}: {error.strerror or error}") from None
    family, _kind, _protocol, _name, address = found[0]
    return family, address[:2]  # type: ignore[return-value]


def _refuse_if_taken(family: int, address: tuple[str, int], host: str, port: int) -> None:
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        _take_both_families(probe, address)
        try:
            probe.bind(address)
        except OSError as error:
            raise _sentence(error, host, port) from None


def _listening(family: int, address: tuple[str, int], backlog: int) -> socket.socket:
    made = socket.socket(family)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        _take_both_families(made, address)
        made.bind(address)
        made.listen(backlog)
        made.setblocking(False)
    except OSError:
        made.close()
        raise
    return made


def _take_both_families(made: socket.socket, address: tuple[str, int]) -> None:
    if made.family == socket.AF_INET6 and address[0] == V6_ANY:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)


def _sentence(error: OSError, host: str, port: int) -> ListenError:
    if error.errno == errno.EADDRINUSE:
        return ListenError(f"port {port} on {host} is in use by another program")
    if error.errno == errno.EACCES:
        return ListenError(f"port {port} on {host} may not be used without more privileges")
    return ListenError(f"cannot listen on {host} port {port}: {error.strerror or error}")


def _remove_if_dead(path: Path) -> None:
    try:
        mode = path.stat().st_mode
    except OSError:
        return  # not there, or not to be reached: binding will say so
    if not stat.S_ISSOCK(mode):
        raise ListenError(f"cannot listen on {path}: it is there and is no socket")
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            path.unlink()
        else:
            raise ListenError(f"cannot listen on {path}: another program does")
