r"""A log that cannot be changed without its showing: entries, each with the hash of the one before.

    hash(n) = SHA-256(hash(n - 1) ‖ "\n" ‖ text(n)),   hash(0) = 64 zeros

A text is JSON with sorted keys, so that the same thing is always the same text.

Rule: a figure that JSON has no number for is written as the nearest that it has.
"""

from __future__ import annotations

import hashlib
import sys
from typing import Any

import msgspec
from msgspec import Struct

NOTHING = "0" * 64  # the hash before the first entry
_LARGEST = sys.float_info.max


def hash_of(prev: str, text: str) -> str:
    """The hash of the entry that stands behind the one whose hash is given."""
    return hashlib.sha256(f"{prev}\n{text}".encode()).hexdigest()


def canonical(entry: Struct) -> str:
    """Its text."""
    return msgspec.json.encode(
        _finite(msgspec.to_builtins(entry, str_keys=True)), order="sorted"
    ).decode()


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return max(-_LARGEST, min(value, _LARGEST)) if value == value else 0.0  # noqa: PLR0124  NaN
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
