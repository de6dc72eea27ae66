"""Payloads of records: what may be kept of a body, and how it is kept.

`Redactor` takes out, cuts and encrypts; `Keyring` and `decrypt_record` are for readers.
"""

from gateway.payloads.encryption import (
    Keyring,
    bound_to,
    decrypt_payload,
    decrypt_record,
    key_of,
)
from gateway.payloads.faults import PayloadError
from gateway.payloads.redaction import Redactor

__all__ = [
    "Keyring",
    "PayloadError",
    "Redactor",
    "bound_to",
    "decrypt_payload",
    "decrypt_record",
    "key_of",
]
