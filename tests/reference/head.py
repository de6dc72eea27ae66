"""Heads by definition: one regular expression over the complete message, then what it means.

RFC 9112 2 to 5 and RFC 9110 5 to 7, RFC 3986 3.2.2 for hosts; and where the RFCs leave a
proxy the choice, head.pxd Rule 1: what two readers could understand differently is refused.
"""

import ipaddress
import re
from typing import Any

TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
FIELD = rb"(?:" + TOKEN + rb":[\t\x20-\x7e\x80-\xff]*\r\n)"
REQUEST = re.compile(
    rb"(?P<method>" + TOKEN + rb") (?P<target>[\x21\x22\x24-\x7e]+) HTTP/1\.(?P<minor>[01])\r\n"
    rb"(?P<fields>" + FIELD + rb"*)\r\n"
)
RESPONSE = re.compile(
    rb"HTTP/1\.(?P<minor>[01]) (?P<status>[1-5][0-9]{2})(?: [\t\x20-\x7e\x80-\xff]*)?\r\n"
    rb"(?P<fields>" + FIELD + rb"*)\r\n"
)
HOST = re.compile(
    rb"(?P<name>\[(?P<ipv6>[0-9A-Fa-f:.]+)\]|(?:[A-Za-z0-9\-._~!$&'()*+,;=]|%[0-9A-Fa-f]{2})+)"
    rb"(?::[0-9]{0,5})?"
)
LENGTH = re.compile(rb"[0-9]{1,18}")
CLIMBING = re.compile(rb"/(?:\.|%2[eE]){1,2}(?=/|$)")
HOPS = re.compile(rb"keep-alive|proxy-.*|te|trailer|x-accel-buffering")
# A client may not have these dropped by naming them in Connection.
PROTECTED = re.compile(
    rb"host|content-(?:length|type|encoding)|transfer-encoding|connection|expect|authorization|"
    rb"(?:x-)?api-key|x-goog-api-key|cookie|set-cookie|forwarded|x-forwarded-.*|x-real-ip|"
    rb"x-request-id|traceparent|x-gateway-.*|accept-encoding|retry-after(?:-ms)?|origin|server|"
    rb"via|x-powered-by|alt-svc|strict-transport-security|date|openai-(?:organization|project)|"
    rb"x-should-retry|access-control-.*|cache-control|.*_.*"
)


def request(data: bytes, fields_limit: int = 100) -> dict[str, Any] | None:
    """What the head says; None: it is refused."""
    found = REQUEST.fullmatch(data)
    fields = fields_of(found["fields"], fields_limit) if found else None
    made = framing(fields, int(found["minor"])) if found and fields is not None else None
    if found is None or fields is None or made is None:
        return None
    hosts = [value for name, value in fields if name.lower() == b"host"]
    if len(hosts) > 1 or not all(map(is_host, hosts)) or (not hosts and found["minor"] == b"1"):
        return None
    expected = [value.lower() for name, value in fields if name.lower() == b"expect"]
    target = origin_form(found["method"], found["target"], hosts)
    if target is None or any(value != b"100-continue" for value in expected):
        return None
    upgrades = [value.lower() for name, value in fields if name.lower() == b"upgrade"]
    made["upgrade"] = bool("upgrade" in made.pop("options") and upgrades)
    made["websocket"] = made["upgrade"] and upgrades[-1] == b"websocket"
    made["expect_continue"] = bool(expected) and found["minor"] == b"1"
    path = target.partition(b"?")[0] if target.startswith(b"/") else target
    return made | {"method": found["method"], "target": target, "path": path}


def response(data: bytes, fields_limit: int = 100) -> dict[str, Any] | None:
    found = RESPONSE.fullmatch(data)
    fields = fields_of(found["fields"], fields_limit) if found else None
    made = framing(fields, int(found["minor"])) if found and fields is not None else None
    if found is None or made is None:
        return None
    del made["options"]
    return made | {"status": int(found["status"])}


def fields_of(text: bytes, limit: int) -> list[tuple[bytes, bytes]] | None:
    lines = text.split(b"\r\n")[:-1]
    pairs = [line.partition(b":") for line in lines]
    return (
        [(name, value.strip(b" \t")) for name, _, value in pairs] if len(lines) <= limit else None
    )


def framing(fields: list[tuple[bytes, bytes]], minor: int) -> dict[str, Any] | None:
    lengths = [value for name, value in fields if name.lower() == b"content-length"]
    codings = [value.lower() for name, value in fields if name.lower() == b"transfer-encoding"]
    named = [value for name, value in fields if name.lower() == b"connection"]
    options = [part.strip(b" \t").lower() for value in named for part in value.split(b",")]
    options = [option for option in options if option]
    if len(lengths) + len(codings) > 1 or (codings and minor == 0):
        return None
    if not all(map(LENGTH.fullmatch, lengths)) or any(coding != b"chunked" for coding in codings):
        return None
    if not all(map(may_be_named, options)):
        return None
    return {
        "minor": minor,
        "fields": fields,
        "content_length": int(lengths[0]) if lengths else -1,
        "chunked": bool(codings),
        "keep_alive": b"close" not in options and (minor == 1 or b"keep-alive" in options),
        "options": {option.decode() for option in options},
    }


def may_be_named(option: bytes) -> bool:
    is_known = option in (b"close", b"keep-alive", b"upgrade") or HOPS.fullmatch(option)
    return bool(is_known or (re.fullmatch(TOKEN, option) and not PROTECTED.fullmatch(option)))


def is_host(value: bytes) -> bool:
    found = HOST.fullmatch(value)
    if found is None or len(value) > 261:
        return False
    if found["ipv6"]:
        try:
            ipaddress.IPv6Address(found["ipv6"].decode())
        except ValueError:
            return False
    return True


def origin_form(method: bytes, target: bytes, hosts: list[bytes]) -> bytes | None:
    """Path and query; an absolute form gives its own, if it names the same host."""
    absolute = re.fullmatch(rb"(?i:https?)://(?P<host>[^/]*)(?P<rest>/.*)", target)
    if not target.startswith(b"/"):
        if method == b"CONNECT" or (method == b"OPTIONS" and target == b"*"):
            return target
        if absolute is None or [absolute["host"].lower()] != [host.lower() for host in hosts]:
            return None
        target = absolute["rest"]
    return None if CLIMBING.search(target.partition(b"?")[0]) else target
