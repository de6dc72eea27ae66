"""Where in a Parquet file the row with this id is: sorted hashes, searched without DuckDB.

One file beside each Parquet file: 8 bytes that name the format, the number of entries,
then the entries' hashes in order (64 bits each), then their row numbers (32 bits each),
all little-endian. The hash is the lower half of the MD5, which DuckDB computes for a
whole column. A record has an entry for its `id`, and one more for its `request_id` where the
client chose that.

Cost: 12 bytes an entry; a look-up reads about 20 of them, wherever they are.

Rule: an entry is a hint: whoever follows it compares the row's own id. A file that is missing or
      damaged costs time, never an answer.
"""

from __future__ import annotations

import hashlib
import mmap
import struct
import sys
from bisect import bisect_left
from pathlib import Path

from gateway.store.database import Connection

MAGIC = b"GWIDS\0\0\1"
_HEAD = struct.Struct("<8sQ")
_ENTRY_BYTES = 12

# Each row's own id, and the client's where there is another one.
_ENTRIES = """
SELECT hash, row FROM (
    SELECT md5_number_lower(id) AS hash, file_row_number AS row
    FROM read_parquet($file, file_row_number = true) WHERE id IS NOT NULL
    UNION ALL
    SELECT md5_number_lower(request_id), file_row_number
    FROM read_parquet($file, file_row_number = true)
    WHERE request_id IS NOT NULL AND request_id IS DISTINCT FROM id
) ORDER BY hash, row
"""


def hash_of(key: str) -> int:
    digest = hashlib.md5(key.encode(), usedforsecurity=False).digest()
    return int.from_bytes(digest[8:], "little")


def index_of(connection: Connection, parquet: Path) -> bytes:
    """The content of the index of a file."""
    found = connection.execute(_ENTRIES, {"file": str(parquet)}).fetchnumpy()
    hashes, rows = found["hash"].astype("<u8"), found["row"].astype("<u4")
    return _HEAD.pack(MAGIC, len(hashes)) + hashes.tobytes() + rows.tobytes()


def rows_of(path: Path, key: str) -> list[int] | None:
    """Rows that may have this id; None where the index cannot be used."""
    if sys.byteorder != "little":
        return None
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as map_:
            return _looked_up(map_, hash_of(key))
    except (OSError, ValueError):
        return None


def _looked_up(map_: mmap.mmap, wanted: int) -> list[int] | None:
    if len(map_) < _HEAD.size:
        return None
    magic, count = _HEAD.unpack_from(map_)
    middle = _HEAD.size + 8 * count
    if magic != MAGIC or len(map_) != _HEAD.size + _ENTRY_BYTES * count:
        return None
    with (
        memoryview(map_) as all_,
        all_[_HEAD.size : middle] as first,
        all_[middle:] as second,
        first.cast("Q") as hashes,
        second.cast("I") as rows,
    ):
        place = bisect_left(hashes, wanted)
        found = []
        while place < count and hashes[place] == wanted:
            found.append(rows[place])
            place += 1
        return found
