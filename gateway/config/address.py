"""A backend's URL, taken apart once and strictly.

Rule: one parser, and no userinfo, query or fragment, so that nothing else can read
another host out of the same text.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Literal, cast
from urllib.parse import urlsplit

from msgspec import Struct

Scheme = Literal["http", "https", "unix"]

_VISIBLE = re.compile(r"[!-~]+", re.ASCII)
_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9._-]{0,251}[A-Za-z0-9_.])?", re.ASCII)
_DEFAULT_PORTS = {"http": 80, "https": 443}


class Address(Struct, frozen=True, kw_only=True):
    """Where a backend is."""

    scheme: Scheme
    host: str  # name or IP address; for `unix` the socket's path
    port: int
    base_path: str  # no trailing slash
    authority: str  # for the Host header


def address_of(url: str) -> Address:
    """The parts of a backend's URL; ValueError says what is wrong with it."""
    if not _VISIBLE.fullmatch(url):
        raise ValueError("a URL holds no spaces or other than ASCII characters")
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https", "unix"}:
        raise ValueError("expected a URL such as http://host:8000/v1 or unix:///path.sock:/v1")
    if "?" in url or "#" in url:
        raise ValueError("the URL of a backend has no query and no fragment")
    if parts.scheme == "unix":
        return _unix(parts.netloc, parts.path)
    if "@" in parts.netloc:
        raise ValueError("credentials do not belong into the URL; use `api_key` or `headers`")
    return _tcp(cast("Scheme", parts.scheme), parts.netloc, parts.path)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach, or be, the host."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _unix(netloc: str, path: str) -> Address:
    socket, _, base = path.partition(":")
    if netloc or not socket.startswith("/") or socket.endswith("/"):
        raise ValueError("expected unix:///path/to.sock, or unix:///path/to.sock:/base")
    if base and not base.startswith("/"):
        raise ValueError("the base path after the socket's `:` begins with `/`")
    return Address(
        scheme="unix", host=socket, port=0, base_path=base.rstrip("/"), authority="localhost"
    )


def _tcp(scheme: Scheme, netloc: str, path: str) -> Address:
    match = re.fullmatch(r"(\[[^\]]*\]|[^:]*)(?::(\d{0,6}))?", netloc)
    if match is None:
        raise ValueError("the host and port of the URL are malformed")
    host, digits = match[1], match[2]
    default = _DEFAULT_PORTS[scheme]
    port = int(digits) if digits else default
    if not 1 <= port <= 65535:
        raise ValueError("the port of the URL is not from 1 to 65535")
    if host.startswith("["):
        name = str(ipaddress.IPv6Address(host[1:-1]))
    elif _HOST.fullmatch(host):
        name = host.lower()
    else:
        raise ValueError("the URL names no valid host")
    shown = f"[{name}]" if host.startswith("[") else name
    return Address(
        scheme=scheme,
        host=name,
        port=port,
        base_path=path.rstrip("/"),
        authority=shown if port == default else f"{shown}:{port}",
    )
