"""A board made by numpy alone, with the tables and fields of `_fast/board.pxd`.

The control plane reads any buffer that describes itself, so its tests need no compiler;
`test_figures` compares this layout with the compiled one where that is built.
"""

from __future__ import annotations

import mmap
import os
import tempfile
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.control.figures import TableLayout
from tests.control.histograms import COARSE, FINE, bucket_of

SEAT = np.dtype(
    [
        ("pid", "u8"),
        ("heartbeat_ns", "u8"),
        ("plan_generation", "u8"),
        ("records", "u8"),
        ("record_bytes", "u8"),
        ("records_dropped", "u8"),
        ("refused", "u8", 64),
    ]
)
COUNTS = np.dtype([("total", "u8"), ("sum", "u8"), ("counts", "u8", 4608)])
SLOT = np.dtype([("epoch", "u8"), ("total", "u8"), ("counts", "u4", 624)])
WINDOW = np.dtype([("slots", SLOT, 8)])
HISTOGRAMS = ("total_ns", "first_byte_ns", "gap_ns", "queue_ns", "overhead_ns")
ROW = np.dtype(
    [
        ("key", "u8"),
        ("requests", "u8"),
        ("outcomes", "u8", 64),
        ("statuses", "u8", 6),
        *((name, "u8") for name in ("retries", "hedges", "fallbacks", "streams")),
        *((name, "u8") for name in ("input_tokens", "output_tokens", "cached_tokens")),
        *((name, "u8") for name in ("cost_nano_usd", "request_bytes", "answer_bytes")),
        *((name, "u8") for name in ("in_flight", "queued")),
        ("finishes", "u8", 8),
        *((name, "u8") for name in ("recorded", "recovered", "invalid")),
        ("anomalies", "u8", 96),
        ("skips", "u8", 16),
        ("uncompared", "u8"),
        *((name, "f8") for name in ("cost_squares", "input_squares", "output_squares")),
        *((name, COUNTS) for name in HISTOGRAMS),
    ]
)
GAUGE = np.dtype(
    [
        *((name, "u8") for name in ("in_flight", "connections", "idle", "ewma_ns", "ewma_at_ns")),
        *((name, "u8") for name in ("input_bytes", "input_tokens", "output_tokens")),
        *((name, "u8") for name in ("answers", "failures", "held_bytes")),
    ]
)
RECENT = np.dtype([("first_byte", WINDOW), ("total", WINDOW)])
CELL = np.dtype(
    [
        *((name, "u8") for name in ("key", "state", "opened_at_ns", "open_until_ns")),
        *((name, "u8") for name in ("ejections", "cooldown_until_ns", "unhealthy")),
        *((name, "u8") for name in ("healthy_since_ns", "limit", "samples")),
        *((name, "f8") for name in ("bytes_per_token", "output_tokens_mean", "failure_share")),
    ]
)


class FakeBoard:
    """Tables in a file without a name; tests write through `rows`, `gauges` and `cells`."""

    def __init__(self, workers: int = 2, rows: int = 32, backends: int = 8) -> None:
        shapes = {
            "seats": (SEAT, (workers,)),
            "rows": (ROW, (workers, rows)),
            "gauges": (GAUGE, (workers, backends)),
            "recents": (RECENT, (workers, backends)),
            "cells": (CELL, (backends,)),
        }
        self._layout: dict[str, TableLayout] = {}
        end = 0
        for name, (item, shape) in shapes.items():
            self._layout[name] = {"offset": end, "shape": shape, "item": item}
            end += item.itemsize * int(np.prod(shape))
        self.fd, path = tempfile.mkstemp()
        weakref.finalize(self, os.close, self.fd)
        Path(path).unlink()
        os.truncate(self.fd, end)
        self._memory = mmap.mmap(self.fd, end)
        self.seats, self.rows, self.gauges, self.recents, self.cells = (
            self._table(name) for name in shapes
        )

    @property
    def buffer(self) -> memoryview:
        return memoryview(self._memory)

    def layout(self) -> Mapping[str, TableLayout]:
        return self._layout

    def _table(self, name: str) -> NDArray[Any]:
        at = self._layout[name]
        return np.ndarray(at["shape"], at["item"], self._memory, at["offset"])

    def observe(self, worker: int, row: int, name: str, *values_ns: int) -> None:
        """Counts values in a row's histogram; the row must have a request to be read."""
        counts = self.rows[name]
        for value in values_ns:
            counts["total"][worker, row] += 1
            counts["sum"][worker, row] += value
            counts["counts"][worker, row, bucket_of(value, FINE)] += 1

    def observe_recent(
        self, worker: int, cell: int, name: str, now_ns: int, *values_ns: int
    ) -> None:
        """Counts values in a backend's window."""
        epoch = now_ns // 4_000_000_000
        slots = self.recents[name]["slots"]
        slots["epoch"][worker, cell, epoch % 8] = epoch
        for value in values_ns:
            slots["total"][worker, cell, epoch % 8] += 1
            slots["counts"][worker, cell, epoch % 8, bucket_of(value, COARSE)] += 1
