"""Bodies of forms: fields by name, `multipart/form-data` or percent-encoded.

A field is a member of a flat document: a pointer `/prompt` leads to the field `prompt`.
Files are left out, whatever is in them.

Rule 1: what cannot be read as the form that it says it is, is not kept.

RFC 7578; URL Standard, application/x-www-form-urlencoded.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import quote_plus, unquote_plus

from gateway.payloads.patterns import Patterns
from gateway.payloads.pointers import MARK, Pointer
from gateway.payloads.texts import Texts, mark_of

LEFT_OUT = b"[left out]"
_BOUNDARY = re.compile(rb"""(?i);\s*boundary=(?:"([^"]{1,200})"|([^\s;"]{1,200}))""")
_NAME = re.compile(rb"""(?i);\s*name="([^"\r\n]*)\"""")
_FILE = re.compile(rb"(?im);\s*filename\*?=|^content-transfer-encoding:\s*(?:base64|binary)")
_TEXT_TYPES = (b"text/", b"application/json")
_TYPE = re.compile(rb"(?im)^content-type:\s*([^\r\n;]+)")


class Form:
    """What forms are cleaned with."""

    def __init__(self, pointers: Sequence[Pointer], patterns: Patterns) -> None:
        self._pointers = pointers
        self._patterns = patterns

    def multipart(self, data: bytes, content_type: bytes, texts: Texts) -> tuple[bytes, int] | None:
        """The cleaned body and how much was taken out; None it is not what it says."""
        match = _BOUNDARY.search(content_type)
        if match is None:
            return None
        edge = b"--" + (match[1] or match[2])
        parts = (b"\r\n" + data).split(b"\r\n" + edge)
        if len(parts) < 2:
            return None
        taken = 0
        result = [b""]  # Why: what stands before the first edge is nobody's field
        for part in parts[1:]:
            cleaned, count = self._part(part, texts)
            result.append(cleaned)
            taken += count
        return (b"\r\n" + edge).join(result)[2:], taken

    def _part(self, part: bytes, texts: Texts) -> tuple[bytes, int]:
        head, gap, body = part.partition(b"\r\n\r\n")
        if not gap:  # behind the last edge
            return (b"--" if part.startswith(b"--") else b""), 0
        kind = _TYPE.search(head)
        is_text = kind is None or kind[1].strip().lower().startswith(_TEXT_TYPES)
        named = _NAME.search(head)
        name = named[1].decode("utf-8", "replace") if named else ""
        lines, head_count = self._plain(head.decode("utf-8", "replace"), texts)
        if _FILE.search(head) or not is_text:
            body, count = LEFT_OUT, 1
        else:
            value, count = self._value(name, body.decode("utf-8", "replace"), texts)
            body = value.encode()
        return lines.encode() + gap + body, head_count + count

    def encoded(self, data: bytes, texts: Texts) -> tuple[bytes, int]:
        """The cleaned fields of a percent-encoded form, and how much was taken out."""
        taken = 0
        result = []
        for pair in data.decode("utf-8", "replace").split("&"):
            written, equals, value = pair.partition("=")
            name = unquote_plus(written)
            plain_name, name_count = self._plain(name, texts)
            plain = unquote_plus(value)
            cleaned, count = self._value(name, plain, texts)
            taken += name_count + count
            written = quote_plus(plain_name) if name_count else written
            result.append(written + equals + (quote_plus(cleaned) if count else value))
        return "&".join(result).encode(), taken

    def _value(self, name: str, value: str, texts: Texts) -> tuple[str, int]:
        if any(pointer.is_name(name) for pointer in self._pointers):
            return (value, 0) if value == MARK else (MARK, 1)
        rule = self._patterns.rule_of(name, value)
        if rule:
            return mark_of(rule), 1
        return self._plain(value, texts)

    def _plain(self, text: str, texts: Texts) -> tuple[str, int]:
        before = texts.redacted
        found = texts.clean([text])
        return found.get(0, text), texts.redacted - before
