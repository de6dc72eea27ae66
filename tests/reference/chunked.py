"""A chunked body by definition (RFC 9112 7.1): one regular expression a chunk, over all of it."""

import re

TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
TEXT = rb"[\t\x20-\x7e\x80-\xff]*"
SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})(?:;(" + TEXT + rb"))?\r\n")
TRAILERS = re.compile(rb"((?:(" + TOKEN + rb"):" + TEXT + rb"\r\n)*)\r\n")
FRAMING = re.compile(rb"(?im)^(?:content-length|transfer-encoding|host):")
EXTENSION_MAX, TRAILER_MAX = 4096, 8192


def decode(data: bytes) -> tuple[bytes, bytes] | None:
    """(body, what stands behind it); None when the data is no whole chunked body."""
    body, at, extensions = b"", 0, 0
    while found := SIZE.match(data, at):
        size, start = int(found[1], 16), found.end()
        if found[2] is not None:
            extensions += len(found[2])
            if found[2] and extensions > EXTENSION_MAX:
                return None
            extensions += 1
        if size == 0:
            return end(body, data, start)
        if data[start + size : start + size + 2] != b"\r\n":
            return None
        body += data[start : start + size]
        at = start + size + 2
    return None


def end(body: bytes, data: bytes, at: int) -> tuple[bytes, bytes] | None:
    found = TRAILERS.match(data, at)
    if found is None or FRAMING.search(found[1]) or len(found[1]) + 1 > TRAILER_MAX:
        return None
    return body, data[found.end() :]
