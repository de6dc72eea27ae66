"""What a record may keep of bodies, headers and texts of one route.

A `Redactor` takes a body as it came and returns the finished JSON of a `messages.Payload`.
In this order: no more is read than is needed; what pointers and patterns name is taken out;
then it is cut to the route's limit; then it is encrypted, if that is wished.

Cost: a body without a hint of anything costs 3 us a KiB, a stream 12; what must be taken
apart 15, a stream 100 (bench/micro/payloads.py). At most WINDOW times the route's limit and
READ_AHEAD are read, which bounds a call.

Rule 1: nothing is cut before it was searched, so that half a secret does not stay.
Rule 2: a body that cannot be searched (binary, malformed) is not kept while the route wants
        anything taken out; its size is.
Rule 3: a hash is given only of a body that was searched whole and kept as it was: the hash
        of a text that was taken out would betray it to whoever can guess it.
Rule 4: nothing here raises for what a client or backend sent.

The data plane calls it; knows nothing of records and routes.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Literal, NamedTuple
from urllib.parse import unquote

import msgspec

from gateway._fast import hash_of
from gateway.config.recording_relations import is_credential_header
from gateway.messages import Payload
from gateway.payloads.credentials import SECRETS
from gateway.payloads.documents import Document, decoded
from gateway.payloads.encryption import Sealer, sealed_payload
from gateway.payloads.forms import Form
from gateway.payloads.identifiers import CARD, EMAIL, IBAN, PHONE, require_phone_numbers
from gateway.payloads.patterns import Patterns
from gateway.payloads.pointers import MARK, Pointer
from gateway.payloads.streams import Stream, goes_on, may_hold
from gateway.payloads.texts import Texts, cut, safe_end, unspelled
from gateway.plan import RecordPlan

WINDOW = 2  # times the limit: so much of a body is read, as taking out may make it shorter
READ_AHEAD = 4096  # bytes more

RULES = {rule.name: rule for rule in (SECRETS, EMAIL, PHONE, CARD, IBAN)}
Kind = Literal["json", "events", "lines", "form", "multipart", "text", "binary"]
_JSON_START = re.compile(rb"\s*[\[{\"]")
_ON_ONE_LINE = bytes.maketrans(b"\r\n", b"  ")
_TEXT_TYPES = (b"text/", b"application/xml", b"application/yaml", b"application/javascript")
_BINARY_TYPES = (b"image/", b"audio/", b"video/", b"font/", b"application/zip", b"application/pdf")


class Kept(NamedTuple):
    """What stays of a body, before it is encrypted."""

    type: str  # as in Payload
    data: bytes = b""  # JSON, UTF-8 text, or any bytes
    is_cut: bool = False
    redacted: int = 0
    is_original: bool = False  # the whole body, searched and as it came


NOTHING = Kept("", redacted=1, is_cut=True)


# What is taken out of texts that belong to no route.
_EVERYTHING = ("secrets", "email", "card", "iban")


class Redactor:
    """The payload policy of one route."""

    @classmethod
    def of_texts(cls, patterns: tuple[str, ...] = _EVERYTHING) -> Redactor:
        """For texts that belong to no route; it keeps no bodies."""
        return cls(
            RecordPlan(
                payload="none",
                sample_ppm=0,
                max_bytes=0,
                headers=(),
                features="",
                predictions="",
                redact_pointers=(),
                redact_headers=(),
                redact_patterns=patterns,
                is_encrypted=False,
            )
        )

    def __init__(self, record: RecordPlan, key: bytes = b"") -> None:
        self._limit = record.max_bytes
        # Rule: credentials are not recorded, whatever the configuration says.
        self._headers = frozenset(name for name in record.headers if not is_credential_header(name))
        self._hidden_headers = frozenset(record.redact_headers)
        self._pointers = tuple(map(Pointer, record.redact_pointers))
        self._features = Pointer(record.features) if record.features else None
        self._predictions = Pointer(record.predictions) if record.predictions else None
        self._patterns = Patterns([RULES[name] for name in record.redact_patterns])
        if "phone" in record.redact_patterns:
            require_phone_numbers()
        self._form = Form(self._pointers, self._patterns)
        self._sealer = Sealer(key) if key else None
        self._is_strict = bool(self._pointers or self._patterns)

    @property
    def wanted_bytes(self) -> int:
        """How much of a body is of use here; more is never read."""
        return WINDOW * self._limit + READ_AHEAD

    def payload(
        self,
        body: bytes,
        content_type: bytes,
        total_bytes: int,
        is_whole: bool,
        bound: bytes = b"",
    ) -> bytes:
        """The body as the JSON of a Payload, on one line.

        `body` is the beginning of one of `total_bytes`; `bound` is what encryption binds it
        to (encryption.bound_to).
        """
        window = bytes(body[: self.wanted_bytes])
        is_cut = not is_whole or len(window) < len(body)
        kept = self._kept(window, content_type, is_cut) if window else Kept("", is_cut=is_cut)
        payload = Payload(
            bytes=total_bytes,
            xxh3=f"{hash_of(window):016x}" if kept.is_original and not is_cut else "",
            type=kept.type,
            body=_body_of(kept),
            truncated=kept.is_cut,
            redacted=kept.redacted,
        )
        if self._sealer:
            payload = sealed_payload(payload, self._sealer, bound)
        return msgspec.json.encode(payload)

    def text(self, value: str) -> str:
        """A text, such as a path or a message, without what patterns find in it.

        What is percent-encoded is read as what it means, and returned so if need be.
        """
        for read in (value, unquote(value)):
            if self._patterns.may_be_in(read.encode("utf-8", "replace")):
                found = Texts(self._patterns).clean([read])
                if found:
                    return found[0]
        return value

    def headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Of these headers those that are to be recorded, cleaned; names in lower case."""
        kept = ((name.lower(), value) for name, value in headers.items())
        return {
            name: MARK if name in self._hidden_headers else self.text(value)
            for name, value in kept
            if name in self._headers
        }

    def leaves(self, body: bytes) -> bool:
        """Whether all of a JSON body stays as it is: cheap, and sometimes wrongly no."""
        if self._pointers or self._sealer or len(body) > self.wanted_bytes:
            return False
        return not self._patterns.may_be_in(body)

    def features(self, body: bytes, bound: bytes = b"") -> bytes | None:
        """The inputs of a prediction as JSON; None there are none, or they are too large."""
        return self._part(self._features, body, bound)

    def predictions(self, body: bytes, bound: bytes = b"") -> bytes | None:
        """What the model answered, likewise."""
        return self._part(self._predictions, body, bound)

    def _part(self, pointer: Pointer | None, body: bytes, bound: bytes) -> bytes | None:
        if pointer is None or len(body) > self.wanted_bytes:
            return None
        document = decoded(bytes(body))
        if document is None:
            return None
        self._clean(document)
        found = pointer.find(document.root)
        if found is None:
            return None
        result = Document(found).encoded()
        if len(result) > self._limit:
            return None
        return msgspec.json.encode(self._sealer.seal(result, bound)) if self._sealer else result

    def _kept(self, window: bytes, content_type: bytes, is_cut: bool) -> Kept:
        kind = kind_of(content_type, window)
        if kind == "binary":
            return NOTHING if self._is_strict else self._binary(window, is_cut)
        if kind == "json":
            return self._json(window, is_cut)
        if kind in {"events", "lines"}:
            return self._stream(window, is_cut, is_lines=kind == "lines")
        if kind in {"form", "multipart"} and self._is_strict:
            return self._fields(window, content_type, is_cut, kind)
        return self._text(window, is_cut)

    def _binary(self, window: bytes, is_cut: bool) -> Kept:
        data = window[: self._limit]
        return Kept("base64", data, is_cut or len(data) < len(window), is_original=not is_cut)

    def _json(self, window: bytes, is_cut: bool) -> Kept:
        if is_cut and not self._pointers and not self._patterns.may_be_in(window):
            return self._untouched("text", window, is_cut)
        document = decoded(window, is_cut=is_cut)
        if document is None:
            # Why: a pointer leads nowhere in what cannot be read
            return NOTHING if self._pointers else self._text(window, is_cut)
        taken = document.take_out(self._pointers)
        if self._patterns.may_be_in(window):
            taken += self._clean_texts(document)
        if not taken:
            return self._untouched("text" if is_cut else "json", window, is_cut)
        data = document.encoded()
        if is_cut:
            # Why: what closes the containers is not the client's
            return self._cut_text(data.rstrip(b'"]} '), is_cut, taken)
        if len(data) > self._limit:
            return self._cut_text(data, is_cut, taken)
        return Kept("json", data, is_cut, taken)

    def _clean(self, document: Document) -> None:
        document.take_out(self._pointers)
        if self._patterns:
            self._clean_texts(document)

    def _clean_texts(self, document: Document) -> int:
        texts = Texts(self._patterns)
        found = document.survey()
        named = document.take_out_named(found.secret_names(self._patterns), self._patterns)
        for number, text in texts.clean([place.text for place in found.places]).items():
            found.places[number].put(text)
        changed = texts.clean_names(found.names)
        if changed:
            document.rename(changed)
        taken = texts.redacted + named
        return taken + (document.take_out_repeats() if taken else 0)

    def _stream(self, window: bytes, is_cut: bool, *, is_lines: bool) -> Kept:
        is_clean = not self._patterns or not may_hold(window, self._patterns)
        if is_clean and not self._pointers and not (is_cut and self._patterns):
            return self._untouched("text", window, is_cut)
        if is_clean and not self._pointers and goes_on(window, self._limit):
            data = cut(window, self._limit)
            return self._cut_text(data, is_cut, is_safe=True)
        stream = Stream(window, is_lines=is_lines, is_cut=is_cut)
        taken = stream.take_out(self._pointers)
        taken += stream.clean(Texts(self._patterns), self._patterns)
        if not taken and not is_cut:
            return self._untouched("text", window, is_cut)
        if is_cut and self._patterns:
            stream.cut()
        return self._cut_text(stream.encoded(), is_cut, taken, is_safe=True)

    def _fields(self, window: bytes, content_type: bytes, is_cut: bool, kind: Kind) -> Kept:
        texts = Texts(self._patterns)
        if kind == "multipart":
            found = self._form.multipart(window, content_type, texts)
            if found is None:
                return NOTHING
            data, taken = found
        else:
            data, taken = self._form.encoded(window, texts)
        if not taken:
            return self._untouched("text", window, is_cut)
        return self._cut_text(data, is_cut, taken)

    def _text(self, window: bytes, is_cut: bool) -> Kept:
        if not self._patterns.may_be_in(window):
            return self._untouched("text", window, is_cut)
        texts = Texts(self._patterns)
        text = unspelled(window.decode("utf-8", "replace"))
        found = texts.clean([text]).get(0)
        if found is None:
            return self._untouched("text", window, is_cut)
        return self._cut_text(found.encode(), is_cut, texts.redacted)

    def _untouched(self, kind: str, window: bytes, is_cut: bool) -> Kept:
        """A body in which nothing was found, within the limit."""
        if len(window) <= self._limit and not is_cut:
            return Kept(kind, window, is_original=True)
        return self._cut_text(window, is_cut)._replace(is_original=not is_cut)

    def _cut_text(
        self, data: bytes, is_cut: bool, taken: int = 0, *, is_safe: bool = False
    ) -> Kept:
        """A cleaned text within the limit; `is_safe`: its end is no half of anything."""
        if is_cut and self._patterns and not is_safe:
            data = data[: safe_end(data)]
        kept = cut(data, self._limit)
        return Kept("text", kept, is_cut or len(kept) < len(data), taken)


def _body_of(kept: Kept) -> msgspec.Raw | msgspec.UnsetType:
    if not kept.type:
        return msgspec.UNSET
    if kept.type == "json":
        return msgspec.Raw(kept.data.translate(_ON_ONE_LINE))
    if kept.type == "base64":
        return msgspec.Raw(b'"' + base64.b64encode(kept.data) + b'"')
    return msgspec.Raw(msgspec.json.encode(kept.data.decode("utf-8", "replace")))


def kind_of(content_type: bytes, data: bytes) -> Kind:
    """How a body is to be read: as its type says, or as it looks if that says nothing."""
    plain = content_type.partition(b";")[0].strip().lower()
    by_type: dict[bytes, Kind] = {
        b"text/event-stream": "events",
        b"application/x-ndjson": "lines",
        b"application/jsonl": "lines",
        b"application/x-jsonlines": "lines",
        b"application/x-www-form-urlencoded": "form",
        b"multipart/form-data": "multipart",
    }
    if not is_text(data):
        return "multipart" if plain == b"multipart/form-data" else "binary"
    if plain in by_type:
        return by_type[plain]
    if plain == b"application/json" or plain.endswith(b"+json") or _JSON_START.match(data):
        return "json"
    return "binary" if plain.startswith(_BINARY_TYPES) else "text"


def is_text(data: bytes) -> bool:
    """Whether it is UTF-8, which may have been cut within a character."""
    if b"\0" in data:
        return False
    try:
        data.decode()
    except UnicodeDecodeError as error:
        return error.reason == "unexpected end of data" and error.end == len(data)
    return True
