"""The files of one volume: written beside, checked, then renamed to where they belong.

    <day>/<number>.records.parquet    sorted as given: segment after segment, line after line
    <day>/<number>.feedback.parquet   only where there is feedback
    <day>/<number>.<table>.ids        see `ids`

Rule 1: before it gets its name, each file is read back, counted, compared by hash and fsynced.
Rule 2: `records.parquet` gets its name last: where it is, the volume is whole.

Cost: about 8 µs a record, most of it zstd; a row group is about 16 MiB of lines, which is
what reading one record decompresses.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from gateway.log.files import PRIVATE, sync_directory, write_durably
from gateway.messages import RECORD_VERSION
from gateway.store.database import Connection, StoreError
from gateway.store.ids import index_of
from gateway.store.rows import Rows

ROW_GROUP_BYTES = 16 << 20
FEWEST_ROWS, MOST_ROWS = 2048, 16384  # of a row group; DuckDB makes them multiples of 2048
COMPRESSION_LEVEL = 1  # higher ones take two to four times as long and save nothing here

_COPY = """
COPY ({rows}) TO $file (
    FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL {level}, ROW_GROUP_SIZE {size},
    USE_TMP_FILE false
)
"""
_SUMS = """
SELECT count(*) AS rows,
       coalesce(sum(strlen(coalesce(line, ''))), 0)::BIGINT AS text_bytes,
       coalesce(sum(octet_length(coalesce(raw, ''::BLOB))), 0)::BIGINT AS raw_bytes,
       bit_xor(hash(segment, position, line, raw)) AS hash,
       epoch_us(min(time)) AS first_us,
       epoch_us(max(time)) AS last_us,
       count(*) FILTER (WHERE v > {version}) AS newer,
       count(*) FILTER (WHERE raw IS NOT NULL) AS damaged,
       count(*) FILTER (WHERE kind = 'forgotten') AS forgotten
FROM ({rows})
"""


class Sums(Struct, frozen=True):
    """What some rows amount to."""

    rows: int
    text_bytes: int
    raw_bytes: int
    hash: int | None
    first_us: int | None  # microseconds since 1970
    last_us: int | None
    newer: int  # rows of a version that this program does not know
    damaged: int
    forgotten: int


class Volume(Struct, frozen=True, kw_only=True):
    """One volume, as the catalog has it."""

    number: int
    day: str
    records: int  # rows, tombstones and damaged lines among them
    feedback: int
    bytes: int  # of its files
    first_us: int  # of the earliest line; 0 where none says when
    last_us: int
    newer: int
    damaged: int
    forgotten: int

    def path(self, directory: Path, ending: str) -> Path:
        """Endings: `records.parquet`, `feedback.parquet`, `records.ids`, `feedback.ids`."""
        return path_of(directory, self.day, self.number, ending)

    def has(self, table: str) -> bool:
        return bool(self.feedback if table == "feedback" else self.records)


ENDINGS = ("feedback.ids", "feedback.parquet", "records.ids", "records.parquet")


def path_of(directory: Path, day: str, number: int, ending: str) -> Path:
    return directory / day / f"{number:08d}.{ending}"


def write_volume(
    connection: Connection, directory: Path, day: str, number: int, tables: Mapping[str, Rows]
) -> Volume:
    """Write the rows of the tables as a new volume; nothing is left behind where that fails."""
    folder = directory / day
    folder.mkdir(mode=0o700, exist_ok=True)
    fresh: dict[Path, Path] = {}
    try:
        remove_files(directory, day, number)
        sums = {table: sums_of(connection, rows) for table, rows in tables.items()}
        for table, rows in tables.items():
            if sums[table].rows or table == "records":
                final = path_of(directory, day, number, f"{table}.parquet")
                fresh |= _written(connection, final, rows, sums[table])
        volume = _volume(day, number, sums, sum(path.stat().st_size for path in fresh))
        _rename(fresh, folder)
    except OSError as error:
        raise StoreError(f"cannot write to {folder}: {(error.strerror or '').lower()}") from None
    finally:
        for path in fresh:
            path.unlink(missing_ok=True)
    return volume


def volume_of(connection: Connection, directory: Path, day: str, number: int) -> Volume:
    """A volume as its files say it is; FileNotFoundError where it is not whole."""
    sums, size = {}, 0
    for table in ("records", "feedback"):
        path = path_of(directory, day, number, f"{table}.parquet")
        rows = Rows("SELECT * FROM read_parquet($file)", {"file": str(path)})
        if table == "records" or path.exists():
            size += path.stat().st_size
            sums[table] = sums_of(connection, rows)
    return _volume(day, number, sums, size)


def remove_files(directory: Path, day: str, number: int) -> None:
    """Delete a volume's files, the one that makes it whole first."""
    for ending in reversed(ENDINGS):
        path_of(directory, day, number, ending).unlink(missing_ok=True)


def leftovers(directory: Path) -> Iterable[Path]:
    """Files that a crash left half-written."""
    return directory.glob("*/.*.new")


def sums_of(connection: Connection, rows: Rows) -> Sums:
    sql = _SUMS.format(rows=rows.sql, version=RECORD_VERSION)
    [row] = connection.execute(sql, rows.parameters).fetchall()
    return Sums(*row)


def _written(connection: Connection, final: Path, rows: Rows, sums: Sums) -> dict[Path, Path]:
    """The Parquet file and its index under temporary names, durable and compared: by final name."""
    parquet, ids = _beside(final), _beside(final.with_suffix(".ids"))
    parquet.unlink(missing_ok=True)
    try:
        os.close(os.open(parquet, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, PRIVATE))
        sql = _COPY.format(rows=rows.sql, level=COMPRESSION_LEVEL, size=_row_group(sums))
        connection.execute(sql, rows.parameters | {"file": str(parquet)}).fetchall()
        _compare(connection, parquet, sums)
        write_durably(ids, index_of(connection, parquet))
        _sync(parquet)
    except BaseException:
        parquet.unlink(missing_ok=True)
        ids.unlink(missing_ok=True)
        raise
    return {ids: final.with_suffix(".ids"), parquet: final}


def _compare(connection: Connection, parquet: Path, sums: Sums) -> None:
    """Read the file back; StoreError where it does not hold what was written."""
    back = Rows("SELECT * FROM read_parquet($file)", {"file": str(parquet)})
    if sums_of(connection, back) != sums:
        raise StoreError(f"{parquet.name} does not hold what was written to it")


def _row_group(sums: Sums) -> int:
    size = (sums.text_bytes + sums.raw_bytes) // max(sums.rows, 1)
    return min(max(ROW_GROUP_BYTES // max(size, 1), FEWEST_ROWS), MOST_ROWS)


def _volume(day: str, number: int, sums: Mapping[str, Sums], size: int) -> Volume:
    times = [t for s in sums.values() for t in (s.first_us, s.last_us) if t is not None]
    return Volume(
        number=number,
        day=day,
        records=sums["records"].rows,
        feedback=sums["feedback"].rows if "feedback" in sums else 0,
        bytes=size,
        first_us=min(times, default=0),
        last_us=max(times, default=0),
        newer=sum(each.newer for each in sums.values()),
        damaged=sum(each.damaged for each in sums.values()),
        forgotten=sum(each.forgotten for each in sums.values()),
    )


def _rename(fresh: dict[Path, Path], folder: Path) -> None:
    for beside, final in sorted(fresh.items(), key=lambda item: ENDINGS.index(_ending(item[1]))):
        beside.rename(final)
    sync_directory(folder)
    sync_directory(folder.parent)


def _ending(path: Path) -> str:
    return path.name.partition(".")[2]


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.new")


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def described(row: Any) -> Volume:
    """A volume from a row of the catalog."""
    return Volume(**dict(row))
