"""Payloads at rest: AES-256-GCM under keys that are derived from the configured one.

A sealed text is `gcm1.KEY_ID.SALT.NONCE.DATA`, the last three in base64url; `gcm1b` where
it is bound to something. Each `Sealer`
draws a salt and derives a key of its own from it (HKDF-SHA256), then counts nonces.
Why: random nonces under one key for all would be used up, by the birthday bound, after
2**32 payloads, which is a month of a busy gateway; salts of 128 bits are not.

The key id says which configured key it was; it is derived, and tells nothing of the key.
What a payload is *bound* to (the record's id and the place in it) is authenticated with it:
put into another record, it cannot be read.

Rule 1: no key and no plain text appears in a message or a repr.

NIST SP 800-38D; RFC 5869. Knows nothing of records; `Keyring` is for those who read them.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import hmac
import itertools
import os
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import msgspec

from gateway.messages import Payload, Record
from gateway.payloads.faults import PayloadError

KEY_BYTES = 32
_FORMAT, _BOUND_FORMAT = "gcm1", "gcm1b"
_SALT_BYTES = 16
_NONCE_BYTES = 12
_PURPOSE = b"gateway payload"
_NO_LIBRARY = (
    "payloads cannot be encrypted or read because `cryptography` is not installed; "
    "run `pip install 'inference-gateway[encryption]'`"
)


def key_id_of(key: bytes) -> str:
    """A short name of a key, which tells nothing of it."""
    return hmac.digest(key, _PURPOSE + b" key id", hashlib.sha256)[:4].hex()


class _Library(NamedTuple):
    cipher: Callable[[bytes], Any]  # AES-GCM with a key
    refusal: type[Exception]  # what was sealed is not what is read


@functools.cache
def _library() -> _Library:
    try:
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415  # an extra
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415
    except ImportError as error:
        raise PayloadError(_NO_LIBRARY) from error
    return _Library(AESGCM, InvalidTag)


def _derived(key: bytes, salt: bytes) -> Any:
    """The cipher under the key that belongs to a salt: HKDF-SHA256, one block of it."""
    extracted = hmac.digest(salt, key, hashlib.sha256)
    return _library().cipher(hmac.digest(extracted, _PURPOSE + b"\x01", hashlib.sha256))


class Sealer:
    """Encrypts payloads; one a process and route."""

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise PayloadError(f"a key for payloads has {KEY_BYTES} bytes")
        salt = os.urandom(_SALT_BYTES)
        self._cipher = _derived(key, salt)
        self._nonces = itertools.count(1)
        self._origin = f"{key_id_of(key)}.{_text(salt)}"

    def seal(self, plain: bytes, bound_to: bytes = b"") -> str:
        """The sealed text of these bytes."""
        nonce = next(self._nonces).to_bytes(_NONCE_BYTES, "big")
        data = self._cipher.encrypt(nonce, plain, bound_to)
        form = _BOUND_FORMAT if bound_to else _FORMAT
        return f"{form}.{self._origin}.{_text(nonce)}.{_text(data)}"


class Keyring:
    """The key in use and those before it: reads what any of them sealed."""

    def __init__(self, keys: Iterable[bytes]) -> None:
        self._keys = {key_id_of(key): key for key in keys}
        self._ciphers = functools.lru_cache(maxsize=1024)(self._cipher)

    def _cipher(self, key_id: str, salt: bytes) -> Any:
        if key_id not in self._keys:
            raise PayloadError(f"the key {key_id} that this was encrypted with is not configured")
        return _derived(self._keys[key_id], salt)

    def open(self, sealed: str, bound_to: bytes = b"") -> bytes:
        """What was sealed."""
        form, *parts = sealed.split(".")
        if form not in {_FORMAT, _BOUND_FORMAT} or len(parts) != 4:
            raise PayloadError("this is no encrypted payload")
        key_id, *rest = parts
        try:
            salt, nonce, data = map(_bytes, rest)
        except ValueError:
            raise PayloadError("this encrypted payload is damaged") from None
        cipher = self._ciphers(key_id, salt)
        try:
            plain: bytes = cipher.decrypt(nonce, data, bound_to if form == _BOUND_FORMAT else b"")
        except _library().refusal:
            raise PayloadError(
                "this payload was changed, or belongs to another record, or the key is wrong"
            ) from None
        return plain


def bound_to(record_id: str, place: str) -> bytes:
    """What a payload is bound to: `request`, `response`, `features` or `predictions`."""
    return f"{record_id}/{place}".encode()


def sealed_payload(payload: Payload, sealer: Sealer, bound: bytes = b"") -> Payload:
    """The payload with its body sealed; sizes and marks stay readable, hashes do not."""
    if not payload.type:
        return payload
    plain = msgspec.json.encode(Payload(bytes=0, type=payload.type, body=payload.body))
    body = msgspec.Raw(msgspec.json.encode(sealer.seal(plain, bound)))
    return msgspec.structs.replace(payload, type="encrypted", body=body, xxh3="")


def decrypt_payload(payload: Payload, keys: Keyring, bound: bytes = b"") -> Payload:
    """The payload as it was before it was sealed; one that was not is returned as it is."""
    if payload.type != "encrypted":
        return payload
    sealed = msgspec.json.decode(payload.body or b'""', type=str)
    plain = msgspec.json.decode(keys.open(sealed, bound), type=Payload)
    return msgspec.structs.replace(payload, type=plain.type, body=plain.body)


def decrypt_record(record: Record, keys: Keyring) -> Record:
    """The record with its payloads, features and predictions readable."""
    changed: dict[str, object] = {
        place: decrypt_payload(getattr(record, place), keys, bound_to(record.id, place))
        for place in ("request", "response")
    }
    for place in ("features", "predictions"):
        value = getattr(record, place)
        if value is not msgspec.UNSET and is_sealed(bytes(value)):
            sealed = msgspec.json.decode(value, type=str)
            changed[place] = msgspec.Raw(keys.open(sealed, bound_to(record.id, place)))
    return msgspec.structs.replace(record, **changed)


def is_sealed(value: bytes) -> bool:
    """Whether a JSON value is a sealed text."""
    return value.startswith((b'"gcm1.', b'"gcm1b.'))


def key_of(text: str) -> bytes:
    """The key that a configuration spells in base64."""
    try:
        key = base64.b64decode(text, validate=True)
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise PayloadError(f"a key for payloads is {KEY_BYTES} bytes in base64")
    return key


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
