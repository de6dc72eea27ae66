"""Who may call the admin port, and what every answer of it says to browsers.

Three walls, in this order, around every route alike:
1. Host: on a loopback listener only local names are accepted, so that a web page whose
   name was rebound to 127.0.0.1 gets nothing (DNS rebinding).
2. Origin: a request that changes something must not come from a page of another origin.
3. Token: `Authorization: Bearer`, compared in constant time, wherever one is configured;
   without a token the listener must be on loopback.

Rule 1: a route is open to all only if it is declared `Role.PUBLIC`; the default is closed.
Rule 2: decisions use the route object and raw headers, never a URL rebuilt from Host.
Rule 3: there is no CORS; no answer allows another origin anything.
"""

from __future__ import annotations

import enum
import hmac
import ipaddress
import re
from collections.abc import Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.control.faults import Fault, fault_response
from gateway.errors import ConfigError, Problem

LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
SAFE_METHODS = frozenset({"GET", "HEAD"})
SECURITY_HEADERS = {
    "content-security-policy": "default-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
_HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(?P<port>\d{1,5}))?", re.ASCII)


class Role(enum.Enum):
    """What a caller must be allowed to do. One token grants all of them, for now."""

    PUBLIC = "public"  # nothing: health, and pages that hold no data
    READ = "read"
    OPERATE = "operate"  # change the configuration, drain


def is_loopback(host: str) -> bool:
    """Whether a listener on this host can be reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Access:
    """The rules of one admin listener."""

    def __init__(self, host: str, token: str) -> None:
        self._is_local = is_loopback(host)
        self._token = token.encode()
        self._hosts = LOCAL_NAMES | {host.lower()}
        if not token and not self._is_local:
            sentence = f"a token is required when the admin port is on {host}"
            raise ConfigError((Problem(sentence, "admin.token"),))

    def check_host(self, headers: Mapping[str, str]) -> None:
        """Refuses a Host that is malformed or, on loopback, not local."""
        match = _HOST.fullmatch(headers.get("host", ""))
        if match is None:
            raise Fault(400, "bad_host", "The Host header is missing or malformed.")
        if self._is_local and match["name"].strip("[]").lower() not in self._hosts:
            raise Fault(421, "bad_host", "This name is not one of the admin port's own.")

    def check_origin(self, method: str, headers: Mapping[str, str]) -> None:
        """Refuses a change that a page of another origin asks for."""
        if method in SAFE_METHODS:
            return
        origin = headers.get("origin")
        own = headers.get("host", "").lower()
        is_own = origin is None or origin.lower() in {f"http://{own}", f"https://{own}"}
        if not is_own or headers.get("sec-fetch-site", "none") not in {"none", "same-origin"}:
            raise Fault(403, "bad_origin", "A page of another origin may not ask for this.")

    def check_token(self, role: Role, headers: Mapping[str, str]) -> None:
        """Refuses whoever does not present the token, if there is one and the role needs it."""
        if role is Role.PUBLIC or not self._token:
            return
        scheme, _, given = headers.get("authorization", "").partition(" ")
        is_right = hmac.compare_digest(given.strip().encode("utf-8", "replace"), self._token)
        if scheme.lower() != "bearer" or not is_right:
            raise Fault(
                401,
                "unauthenticated",
                "The admin token is required: `Authorization: Bearer …`.",
                {"www-authenticate": "Bearer"},
            )


class Walls:
    """ASGI, outermost: Host and Origin are checked, and the security headers set, for all."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self.app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        headers = Headers(scope=scope)
        try:
            self._access.check_host(headers)
            self._access.check_origin(scope["method"], headers)
        except Fault as fault:
            await fault_response(fault)(scope, receive, send_guarded)
            return
        await self.app(scope, receive, send_guarded)
