"""What the board says, added up over the workers, as plain Structs.

Counters are seen through numpy structured arrays over the mapping, which copy nothing;
only the rows, gauges and cells of the plan in force are read. Histograms are read with
pread, since touching a page of them that nobody wrote would make it exist. Workers
write while we read, so two figures of one row may be a request apart; each by itself
is whole.

Cost: the counters of 50 routes with 8 backends on two workers take a few milliseconds, a
row's histograms 0.1 ms.
Rule 1: label sets come from the plan alone.
Rule 2: during a change of plan a row may mean different things to different workers; only
        those count that agree with the worker whose plan is the newest.
Knows nothing of HTTP or of metric names; `exposition`, `recent` and `overview` call it.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, TypedDict

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from gateway.contracts.anomalies import slots
from gateway.control.buckets import midpoints
from gateway.edges import COARSE_SHIFT
from gateway.errors import OUTCOMES
from gateway.plan import BackendPlan, Plan, RoutePlan
from gateway.telemetry import SKIPS

HISTOGRAMS = ("total_ns", "first_byte_ns", "gap_ns", "queue_ns", "overhead_ns")
WINDOW_SLOT_NS = 4_000_000_000  # as `_fast/histogram.pxd` has it


class TableLayout(TypedDict):
    """Where one of the board's tables is."""

    offset: int
    shape: tuple[int, ...]
    item: Any  # what `np.dtype` takes: names, formats, offsets, itemsize


class BoardSource(Protocol):
    """The board as `_fast` offers it."""

    @property
    def fd(self) -> int: ...
    @property
    def buffer(self) -> memoryview: ...
    def layout(self) -> Mapping[str, TableLayout]: ...


class RowLabel(Struct, frozen=True):
    """Whose row it is; no backend: the route's own."""

    row: int
    route: str
    backend: str = ""
    arm: str = ""  # of a variant of the route; "" it is the route as configured


class SeatFigures(Struct):
    """Counters of the seats, all workers together; fields are the board's."""

    records: int
    record_bytes: int
    records_dropped: int
    refused: list[int]  # by Outcome


class RowFigures(Struct):
    """One row of the board, all workers together; fields are the board's."""

    requests: int = 0
    outcomes: Sequence[int] = (0,) * len(OUTCOMES)
    statuses: Sequence[int] = (0,) * 6
    retries: int = 0
    hedges: int = 0
    fallbacks: int = 0
    streams: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cost_nano_usd: int = 0
    request_bytes: int = 0
    answer_bytes: int = 0
    in_flight: int = 0
    queued: int = 0
    skips: Sequence[int] = (0,) * len(SKIPS)
    uncompared: int = 0
    # of a route's or variant's own row only
    finishes: Sequence[int] = (0,) * 8  # by finish reason
    recorded: int = 0
    recovered: int = 0  # answered well, but not by the first attempt
    invalid: int = 0  # answers that are not what the request's schema asked for
    anomalies: Sequence[int] = (0,) * len(slots())  # of contracts, by side and name
    cost_squares: float = 0.0  # USD²
    input_squares: float = 0.0  # tokens²
    output_squares: float = 0.0

    @property
    def rescued(self) -> int:
        """Of a challenger's row: requests that the champion answered in its place."""
        return self.fallbacks


class Histogram(Struct):
    """One fine histogram, all workers together; good until the next one is read."""

    counts: NDArray[np.uint64]
    sum: int


class BackendRaw(Struct):
    """One backend's cell and the sum of its gauges; fields are the board's."""

    open_until_ns: int = 0
    ejections: int = 0
    cooldown_until_ns: int = 0
    unhealthy: int = 0
    healthy_since_ns: int = 0
    limit: int = 0
    failure_share: float = 0.0
    bytes_per_token: float = 0.0
    output_tokens_mean: float = 0.0
    in_flight: int = 0
    connections: int = 0
    idle: int = 0


_CELL_FIELDS = BackendRaw.__struct_fields__[:9]
_GAUGE_FIELDS = BackendRaw.__struct_fields__[9:]


def route_labels(plan: Plan) -> list[RowLabel]:
    """The routes' own rows and their variants', in the plan's order."""
    return [
        RowLabel(each.row, each.name, arm=each.arm)
        for route in plan.routes
        for each in family(route)
    ]


def attempt_labels(plan: Plan) -> list[RowLabel]:
    """The rows of all backends that routes may ask, and of those that get copies."""
    asked = [
        RowLabel(row, each.name, plan.backends[index].name, each.arm)
        for route in plan.routes
        for each in family(route)
        for index, row in _attempt_rows(each).items()
    ]
    return asked + shadow_labels(plan)


def family(route: RoutePlan) -> tuple[RoutePlan, ...]:
    """A route and its variants."""
    return (route, *route.variants)


def attempt_rows(route: RoutePlan) -> dict[int, int]:
    """The row of each backend the route may ask, the first of its family's that has one."""
    found: dict[int, int] = {}
    for each in family(route):
        found = _attempt_rows(each) | found
    return found


def parts_of(route: RoutePlan) -> dict[int, list[int]]:
    """By each row of `rows_of` and `copy_rows`: all rows of the same thing, to be added up.

    Whom the champion rescued is counted twice: with the challenger, and with the route.
    """
    parts = {route.row: [each.row for each in family(route)]}
    for index, row in attempt_rows(route).items():
        found = (_attempt_rows(each).get(index) for each in family(route))
        parts[row] = list(dict.fromkeys(one for one in found if one is not None))
    return parts | {row: [row] for row in copy_rows(route).values()}


def _attempt_rows(route: RoutePlan) -> dict[int, int]:
    steps = [step for step in route.fallback if step.kind == "backend"]
    return dict(
        (
            *zip(route.candidates, route.rows, strict=True),
            *zip(route.larger_context, route.larger_context_rows, strict=True),
            *zip(route.content_filter, route.content_filter_rows, strict=True),
            *((step.index, step.row) for step in steps),
        )
    )


def copy_rows(route: RoutePlan) -> dict[int, int]:
    """The row of each backend that gets copies of its requests: no part of what clients cost."""
    return {shadow.backend: shadow.row for each in family(route) for shadow in each.shadows}


def shadow_labels(plan: Plan) -> list[RowLabel]:
    """The rows of copies."""
    return [
        RowLabel(row, route.name, plan.backends[index].name)
        for route in plan.routes
        for index, row in copy_rows(route).items()
    ]


def rows_of(route: RoutePlan) -> list[int]:
    """All rows of one route: its own, then its backends'."""
    return [route.row, *attempt_rows(route).values()]


class BoardView:
    """Reads the board of a running gateway."""

    def __init__(self, board: BoardSource) -> None:
        layout = board.layout()
        self._fd = board.fd
        self._rows_layout = layout["rows"]
        self._seats, self._rows, self._gauges, self._recents, self._cells = (
            _array(board, layout[name]) for name in ("seats", "rows", "gauges", "recents", "cells")
        )
        self._histograms_at = _offset_of(self._rows.dtype, HISTOGRAMS[0])
        # Why one for each worker: what was read stays while the next is read.
        self._images = np.empty(len(self._seats), _slice_of(self._rows.dtype, self._histograms_at))
        self.fine_buckets: int = self._rows.dtype[HISTOGRAMS[0]]["counts"].shape[0]
        coarse_buckets = self._recents["total"]["slots"]["counts"].shape[-1]
        self.coarse_values = midpoints(coarse_buckets, COARSE_SHIFT)

    def rows(self, wanted: Iterable[int]) -> list[RowFigures]:
        """The figures of these rows."""
        at = np.fromiter(wanted, dtype=np.intp)
        counts = self._agreeing(at)
        sums = (_summed(self._rows[name], at, counts) for name in RowFigures.__struct_fields__)
        return [RowFigures(*values) for values in zip(*sums, strict=True)]

    def sums(self, wanted: Sequence[Sequence[int]]) -> list[RowFigures]:
        """The figures of these rows, each group of them added up."""
        figures = iter(self.rows(itertools.chain.from_iterable(wanted)))
        return [_added([next(figures) for _ in group]) for group in wanted]

    def seats(self) -> SeatFigures:
        """What all workers together have counted on their seats."""
        sums = (self._seats[name].sum(axis=0).tolist() for name in SeatFigures.__struct_fields__)
        return SeatFigures(*sums)

    def keys(self, wanted: Iterable[int]) -> list[int]:
        """Whose rows these are now: a key changes when a row is given to another."""
        keys: list[int] = self._rows["key"][self._lead()][np.fromiter(wanted, np.intp)].tolist()
        return keys

    def histograms(self, row: int, names: Sequence[str] = HISTOGRAMS) -> dict[str, Histogram]:
        """Of these histograms of one row those that hold anything."""
        is_meant = self._agreeing(np.array([row]))[:, 0] & (self._rows["requests"][:, row] > 0)
        workers = np.flatnonzero(is_meant).tolist()
        for at, worker in enumerate(workers):
            self._read_image(at, worker, row, 1 + max(map(HISTOGRAMS.index, names)))
        merged: dict[str, Histogram] = {}
        for name in names if workers else ():
            parts = self._images[name][: len(workers)]
            if parts["total"].any():
                counts = parts["counts"].sum(axis=0) if len(workers) > 1 else parts["counts"][0]
                merged[name] = Histogram(counts, int(parts["sum"].sum()))
        return merged

    def backends(self, backends: Sequence[BackendPlan]) -> list[BackendRaw]:
        """The state of these backends."""
        at = np.fromiter((backend.cell for backend in backends), dtype=np.intp)
        cells = (self._cells[name][at].tolist() for name in _CELL_FIELDS)
        gauges = (_summed(self._gauges[name], at) for name in _GAUGE_FIELDS)
        return [BackendRaw(*values) for values in zip(*cells, *gauges, strict=True)]

    def window(self, backend: BackendPlan, name: str, now_ns: int) -> NDArray[np.uint64]:
        """What was counted in the last half minute, by coarse bucket."""
        slots = self._recents[name]["slots"][:, backend.cell]
        epoch = now_ns // WINDOW_SLOT_NS
        ages = epoch - slots["epoch"].astype(np.int64)
        is_live = (ages >= 0) & (ages < slots.shape[1]) & (slots["total"] > 0)
        counts: NDArray[np.uint64] = slots["counts"][is_live].sum(axis=0, dtype=np.uint64)
        return counts

    def _lead(self) -> int:
        """The worker with the newest plan."""
        return int(self._seats["plan_generation"].argmax())

    def _agreeing(self, at: NDArray[np.intp]) -> NDArray[np.bool_]:
        """By worker and row: whether the worker's row is the one that is meant."""
        keys = self._rows["key"][:, at]
        agreeing: NDArray[np.bool_] = keys == keys[self._lead()]
        return agreeing

    def _read_image(self, at: int, worker: int, row: int, histograms: int) -> None:
        """The first so many histograms of one worker's row into `_images[at]`."""
        index = worker * self._rows_layout["shape"][1] + row
        start = self._rows_layout["offset"] + index * self._rows.dtype.itemsize
        size = histograms * self._images.dtype[0].itemsize
        target: Any = self._images[at : at + 1].view(np.uint8)[
            :size
        ]  # Why Any: before 3.12 no Buffer
        os.preadv(self._fd, [target], start + self._histograms_at)


def _added(rows: Sequence[RowFigures]) -> RowFigures:
    if len(rows) == 1:
        return rows[0]
    sums: dict[str, Any] = {}
    for name in RowFigures.__struct_fields__:
        values = [getattr(row, name) for row in rows]
        is_list = isinstance(values[0], Sequence)
        sums[name] = [sum(slot) for slot in zip(*values, strict=True)] if is_list else sum(values)
    return RowFigures(**sums)


def _array(board: BoardSource, table: TableLayout) -> NDArray[Any]:
    """A read-only view of one table."""
    array: NDArray[Any] = np.ndarray(
        table["shape"], np.dtype(table["item"]), board.buffer, table["offset"]
    )
    array.flags.writeable = False
    return array


def _offset_of(row: np.dtype[Any], name: str) -> int:
    fields: Any = row.fields
    return int(fields[name][1])


def _slice_of(row: np.dtype[Any], start: int) -> np.dtype[Any]:
    """The part of a row that its histograms take."""
    return np.dtype(
        {
            "names": list(HISTOGRAMS),
            "formats": [row[name] for name in HISTOGRAMS],
            "offsets": [_offset_of(row, name) - start for name in HISTOGRAMS],
            "itemsize": row.itemsize - start,
        }
    )


def _summed(
    values: NDArray[Any], at: NDArray[np.intp], counts: NDArray[np.bool_] | None = None
) -> list[Any]:
    """Of a (worker, index) table the columns at these indexes, workers added up that count."""
    wanted = values[:, at]
    if counts is not None:
        wanted = wanted * counts.reshape(counts.shape + (1,) * (wanted.ndim - 2))
    summed: list[Any] = wanted.sum(axis=0).tolist()
    return summed
