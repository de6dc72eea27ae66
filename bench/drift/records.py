"""Data that all are given: rows of twenty numbers, and the lines a gateway writes of them."""

from __future__ import annotations

import json

import numpy as np
from numpy.typing import NDArray

FEATURES = 20
SEED = 20_261_121
MINUTE = 29_379_200  # since 1970: 2025-11-10T05:20Z


def rows(count: int, seed: int = SEED) -> NDArray[np.float64]:
    """Normal numbers, a column a feature."""
    return np.random.default_rng(seed).normal(size=(count, FEATURES))


def line(number: int, features: dict[str, float]) -> bytes:
    """One record, about as long as the gateway's own with a decision and an attempt in it."""
    second = number // 100
    at = f"2025-11-10T05:{20 + second // 60 % 40:02d}:{second % 60:02d}.{number % 10**6:06d}Z"
    record = {
        "v": 1,
        "id": f"019a6c3e-0000-7000-8000-{number:012d}",
        "request_id": f"019a6c3e-0000-7000-8000-{number:012d}",
        "time": at,
        "kind": "prediction",
        "gateway": "gateway-0",
        "worker": 0,
        "stream": "w0-00000000000000aa",
        "seq": number + 1,
        "plan": "0123456789abcdef",
        "outcome": "ok",
        "status": 200,
        "timing": {
            "total_us": 5321 + number % 977,
            "upstream_us": 5200,
            "gateway_us": 121,
            "first_byte_us": 5000,
        },
        "request": {"bytes": 512, "xxh3": "0123456789abcdef"},
        "response": {"bytes": 128, "xxh3": "0123456789abcdef"},
        "route": "credit",
        "protocol": "http",
        "operation": "predict",
        "method": "POST",
        "model": "credit",
        "backend": "credit-1",
        "version": "7",
        "decisions": [
            {
                "route": "credit",
                "policy": "balanced",
                "at_us": 40,
                "candidates": [{"backend": "credit-1"}, {"backend": "credit-2"}],
                "chosen": "credit-1",
                "probability": 0.5,
            }
        ],
        "attempts": [
            {
                "backend": "credit-1",
                "outcome": "ok",
                "begun_us": 50,
                "ended_us": 5250,
                "status": 200,
                "reused": True,
            }
        ],
        "confidence": round(0.5 + number % 50 / 100, 2),
        "features": features,
    }
    return json.dumps(record, separators=(",", ":")).encode()


def lines(count: int) -> bytes:
    """As a batch from Kafka: whole lines, with six decimals as feature stores write them."""
    names = [f"feature_{at}" for at in range(FEATURES)]
    values = np.round(rows(count), 6).tolist()
    written = [
        line(number, dict(zip(names, row, strict=True))) for number, row in enumerate(values)
    ]
    return b"\n".join(written) + b"\n"
