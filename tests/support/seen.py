"""A request as a reader understood it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Seen:
    method: str
    target: str
    body: bytes
