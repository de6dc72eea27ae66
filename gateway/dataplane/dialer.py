"""Connections to backends: names resolved, addresses tried in turn, TLS agreed.

A dial is the one thing of the data plane that runs as a task: it awaits the network
before any request does. Its result, a compiled Upstream, goes to the backend's pool.

Rule 1: a name is looked up again when its time is over; meanwhile its addresses take
        turns, and one that refused comes last.
Rule 2: whatever goes wrong becomes an Outcome here, and nothing but that leaves.
Rule 3: certificates are verified, always; a backend's own CA replaces the system's.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

from gateway._fast import Backend, Upstream, Worker, monotonic_ns
from gateway.errors import OUTCOMES
from gateway.plan import BackendPlan, TlsPlan
from gateway.threads import in_thread

_NUMBER = {outcome.name: number for number, outcome in enumerate(OUTCOMES)}
CONNECT_FAILED = _NUMBER["connect_failed"]
CONNECT_TIMEOUT = _NUMBER["connect_timeout"]
TLS_FAILED = _NUMBER["tls_failed"]

_NS_PER_S = 1_000_000_000
_FOR_EVER_NS = 2**63
_IPV4 = 4


class Dialer:
    """One worker's; call it with a Backend whose pool wants a connection."""

    def __init__(self, worker: Worker, loop: asyncio.AbstractEventLoop) -> None:
        self._worker = worker
        self._loop = loop
        self._addresses: dict[tuple[str, int], _Addresses] = {}
        self._contexts: dict[TlsPlan, _Context] = {}
        self._dials: set[asyncio.Task[None]] = set()

    def __call__(self, backend: Backend) -> None:
        """Begin a dial; the backend hears peer_made from the Upstream, or dial_failed."""
        task = self._loop.create_task(self._dial(backend))
        self._dials.add(task)
        task.add_done_callback(self._dials.discard)

    async def close(self) -> None:
        """Cancel what is under way."""
        for task in tuple(self._dials):
            task.cancel()
        await asyncio.gather(*self._dials, return_exceptions=True)

    async def _dial(self, backend: Backend) -> None:
        made: list[Upstream] = []

        def protocol() -> Upstream:
            made.append(Upstream(self._worker, backend))
            return made[-1]

        try:
            async with asyncio.timeout(backend.plan.connect_ns / _NS_PER_S or None):
                await self.connect(backend.plan, protocol)
        except asyncio.CancelledError:
            backend.dial_failed(CONNECT_FAILED)
            raise
        except (OSError, TimeoutError, ValueError) as error:
            # Why: a connection that was made has told the pool so itself, even if it is gone.
            if not any(peer.made for peer in made):
                backend.dial_failed(outcome_of(error))

    async def connect(
        self, plan: BackendPlan, protocol: Callable[[], asyncio.BaseProtocol]
    ) -> None:
        """Connect `protocol` to the place the plan names, by the first address that answers."""
        if plan.scheme == "unix":
            await self._loop.create_unix_connection(protocol, plan.host)
            return
        tls = self._context(plan.tls or TlsPlan()) if plan.scheme == "https" else None
        name = None
        if tls is not None:
            name = plan.tls.server_name if plan.tls and plan.tls.server_name else plan.host
        addresses = await self._resolve(plan)
        failure: OSError | None = None
        for family, address in addresses.in_turn():
            try:
                await self._connect_one(protocol, family, address, tls, name)
            except OSError as error:
                failure = error
                addresses.put_last((family, address))
            else:
                return
        raise failure or OSError(f"{plan.host} has no address")

    async def _connect_one(
        self,
        protocol: Callable[[], asyncio.BaseProtocol],
        family: int,
        address: tuple[str, int],
        tls: ssl.SSLContext | None,
        name: str | None,
    ) -> None:
        # Why by literal address: with a socket of ours uvloop would resolve it once more, in a
        # pool of threads that stays (gateway/threads.py). TCP_NODELAY is uvloop's default.
        host, port = address
        await self._loop.create_connection(
            protocol, host, port, family=family, ssl=tls, server_hostname=name
        )

    async def _resolve(self, plan: BackendPlan) -> _Addresses:
        key = (plan.host, plan.port)
        known = self._addresses.get(key)
        now_ns = monotonic_ns()
        if known is not None and now_ns < known.good_until_ns:
            return known
        literal = _literal(plan.host, plan.port)
        if literal is not None:
            self._addresses[key] = literal
            return literal
        try:
            found = await self._look_up(plan.host, plan.port)
        except OSError:
            # Why: with DNS dead, the addresses that worked are better than none.
            if known is None:
                raise
            known.good_until_ns = now_ns + _NS_PER_S
            return known
        fresh = _Addresses(found)
        fresh.good_until_ns = now_ns + plan.dns_ttl_ns
        self._addresses[key] = fresh
        return fresh

    async def _look_up(self, host: str, port: int) -> list[tuple[int, tuple[str, int]]]:
        """Ask the system's resolver."""
        rows = await in_thread(
            lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM), name="resolver"
        )
        return [(int(family), (str(at[0]), int(at[1]))) for family, _, _, _, at in rows]

    def _context(self, tls: TlsPlan) -> ssl.SSLContext:
        context = self._contexts.get(tls)
        if context is None or context.is_stale():
            context = self._contexts[tls] = _Context(tls)
        return context.ssl


class _Addresses:
    """The addresses of one name; each dial begins at the next one."""

    def __init__(self, addresses: list[tuple[int, tuple[str, int]]]) -> None:
        self._addresses = list(dict.fromkeys(addresses))
        self._next = 0
        self.good_until_ns = 0

    def in_turn(self) -> list[tuple[int, tuple[str, int]]]:
        start = self._next % max(1, len(self._addresses))
        self._next += 1
        return self._addresses[start:] + self._addresses[:start]

    def put_last(self, address: tuple[int, tuple[str, int]]) -> None:
        if address in self._addresses:
            self._addresses.remove(address)
            self._addresses.append(address)
            self._next = 0


def _literal(host: str, port: int) -> _Addresses | None:
    """The one address a literal names; None for a name."""
    try:
        version = ipaddress.ip_address(host).version
    except ValueError:
        return None
    addresses = _Addresses(
        [(socket.AF_INET if version == _IPV4 else socket.AF_INET6, (host, port))]
    )
    addresses.good_until_ns = _FOR_EVER_NS
    return addresses


class _Context:
    """A TLS context and the times of the files it was made from."""

    def __init__(self, tls: TlsPlan) -> None:
        self._files = [Path(name) for name in (tls.ca, tls.certificate, tls.key) if name]
        self._times = self._read_times()
        self.ssl = ssl.create_default_context(cafile=tls.ca or None)
        self.ssl.minimum_version = ssl.TLSVersion.TLSv1_2
        if tls.certificate:
            self.ssl.load_cert_chain(tls.certificate, tls.key or None)

    def is_stale(self) -> bool:
        """Whether a file was renewed since."""
        return self._read_times() != self._times

    def _read_times(self) -> list[int]:
        return [file.stat().st_mtime_ns for file in self._files]


def outcome_of(error: BaseException) -> int:
    """The Outcome of a dial that failed."""
    if isinstance(error, ssl.SSLError):
        return TLS_FAILED
    if isinstance(error, TimeoutError):
        return CONNECT_TIMEOUT
    return CONNECT_FAILED
