"""Adds segments, and makes few large volumes of many small ones.

A segment becomes a volume of its own. When a day has MANY small ones, or is over, its
volumes are joined, those that are next to each other in time, up to LARGE_BYTES: reading is
quick when volumes are few, and a joined volume is not written again many times.

Rule: a segment that was added once is never added again, whatever its file holds then.

Cost: adding takes about 14 µs a record, on one core; joining about 8.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

from gateway.log.files import why
from gateway.log.names import SegmentName
from gateway.store.changes import Changes
from gateway.store.columns import TABLES
from gateway.store.database import Connection, StoreError
from gateway.store.forgetting import bury_late_lines
from gateway.store.look import PARQUET
from gateway.store.moments import day_of
from gateway.store.rows import PARSED, Rows, load
from gateway.store.volume import Volume

LARGE_BYTES = 256 << 20
LARGE_ROWS = 2_000_000
MANY = 16  # small volumes of a day that is not over

_FIRST = "SELECT epoch_us(min(t.time)) FROM parsed"


def add_segment(changes: Changes, connection: Connection, path: Path, now_us: int) -> bool:
    """Make a volume of a sealed segment; False where the store has it already."""
    name = SegmentName.parse(path.name)
    if name is None or name.state != "sealed":
        raise StoreError(f"{path.name} is no sealed segment")
    with changes.begun(connection):
        if changes.catalog.volume_of(name.segment):
            return False
        bury_late_lines(changes, connection, path)
        data = _read(path)
        data = data[: data.rfind(b"\n") + 1]
        lines = load(connection, data, name.segment)
        if not lines:
            return False
        [(first_us,)] = connection.execute(_FIRST).fetchall()
        changes.write(connection, day_of(first_us or now_us), PARSED, {name.segment: lines})
    return True


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {why(error)}") from None


def join_volumes(changes: Changes, connection: Connection, now_us: int) -> bool:
    """Make one volume of some small ones; False where there is nothing to join."""
    with changes.begun(connection):
        small = next(groups_to_join(changes.catalog.volumes(), day_of(now_us)), None)
        if small is None:
            return False
        segments = changes.catalog.segments_of(small)
        changes.write(
            connection,
            small[0].day,
            _joined(changes.directory, small),
            segments,
            instead_of=small,
        )
    return True


def _joined(directory: Path, volumes: Sequence[Volume]) -> dict[str, Rows]:
    """The rows of all of them, by table."""
    tables: dict[str, Rows] = {}
    for table in TABLES:
        having = [each for each in volumes if table == "records" or each.has(table)]
        files = [str(each.path(directory, f"{table}.parquet")) for each in having]
        if files:
            tables[table] = Rows(f"SELECT * FROM {PARQUET}", {"files": files})
    return tables


def groups_to_join(volumes: Sequence[Volume], today: str) -> Iterator[list[Volume]]:
    """Volumes of one day, in their order in time, that are to be one."""
    by_age = sorted(volumes, key=lambda each: (each.day, each.first_us, each.number))
    for day, of_day in itertools.groupby(by_age, key=lambda each: each.day):
        small = [each for each in of_day if each.bytes < LARGE_BYTES // 2]
        if len(small) >= (MANY if day >= today else 2):
            group = _first_that_fit(small)
            if len(group) > 1:
                yield group


def _first_that_fit(volumes: Sequence[Volume]) -> list[Volume]:
    sizes = itertools.accumulate(each.bytes for each in volumes)
    rows = itertools.accumulate(each.records for each in volumes)
    fits = (b <= LARGE_BYTES and r <= LARGE_ROWS for b, r in zip(sizes, rows, strict=True))
    return list(volumes[: max(2, sum(itertools.takewhile(bool, fits)))])
