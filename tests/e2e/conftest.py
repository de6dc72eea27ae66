"""End to end: real clients, real sockets, misbehaving backends."""

from __future__ import annotations

from tests.support.fixtures import (
    gate,
    make_backend,
    make_gateway,
    make_process,
    share_backend,
    share_process,
)
from tests.support.names import names
from tests.support.slowness import pytest_collection_modifyitems

__all__ = [
    "gate",
    "make_backend",
    "make_gateway",
    "make_process",
    "names",
    "pytest_collection_modifyitems",
    "share_backend",
    "share_process",
]
