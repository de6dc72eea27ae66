"""Values, lines and references for tests."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
MINUTE = 29_379_000  # since 1970
NOW = MINUTE + 1


def at(minute: int, second: float = 0.0) -> str:
    moment = datetime.fromtimestamp(minute * 60 + second, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def line(features: Any = None, *, minute: int = MINUTE, **more: Any) -> bytes:
    """A record of a prediction."""
    fields: dict[str, Any] = {
        "v": 1,
        "id": "a",
        "time": at(minute),
        "kind": "prediction",
        "outcome": "ok",
        "status": 200,
        "timing": {"total_us": 900, "first_byte_us": 800},
        "route": "iris",
        "version": "7",
    }
    if features is not None:
        fields["features"] = features
    return json.dumps({**fields, **more}, separators=(",", ":")).encode()


def lines(*rows: bytes) -> bytes:
    return b"".join(row + b"\n" for row in rows)


def tensor(name: str, data: Sequence[Any], shape: Sequence[int]) -> Mapping[str, Any]:
    return {"name": name, "datatype": "FP64", "shape": list(shape), "data": list(data)}


def normal(n: int, seed: int = 1, *, shift: float = 0.0, scale: float = 1.0) -> Floats:
    return np.random.default_rng(seed).normal(shift, scale, n)
