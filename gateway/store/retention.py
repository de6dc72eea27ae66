"""What is too old, or too much, goes: the oldest volumes first.

Rule 1: the manifest is told of each segment before its volume is deleted.
Rule 2: of a volume with records that a hold covers, these stay, with the feedback on them; the rest
        becomes tombstones.
Rule 3: a volume stays while a segment of it still waits in the log for another sink.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from msgspec import Struct

from gateway.log.files import LogError
from gateway.store.changes import Changes
from gateway.store.database import Connection, StoreError
from gateway.store.filters import Filter, Where
from gateway.store.forgetting import held_or_not
from gateway.store.graves import bury_in_volume
from gateway.store.volume import Volume

RETENTION = "retention"  # why lines and segments went, as the manifest says it
DAY_US = 86_400 * 1_000_000

_HELD_KEYS = """
INSERT INTO held_keys
SELECT DISTINCT unnest([md5_number_lower(id), md5_number_lower(request_id)])
FROM read_parquet($file) WHERE {where}
"""
_IS_ABOUT_HELD = "md5_number_lower(request_id) IN (SELECT hash FROM held_keys)"


class Expired(Struct, frozen=True, kw_only=True):
    """What retention took away, and what it could not."""

    volumes: int = 0
    records: int = 0
    held: int = 0  # volumes that stay, in part, for a hold
    waiting: int = 0  # volumes that stay until another sink has them
    bytes: int = 0  # that the store has now


def expire(
    changes: Changes, connection: Connection, now_us: int, keep_days: int, max_bytes: int
) -> Expired:
    """Delete what is older than so many days, and the oldest of what is more than so many bytes."""
    volumes = records = waiting = spared = 0
    with changes.begun(connection):
        held = changes.orders().held
        oldest = due(changes.catalog.volumes(), now_us - keep_days * DAY_US, max_bytes)
        _find_held_keys(changes, connection, held if oldest else ())
        for volume in oldest:
            segments = changes.catalog.segments_of([volume])
            if _still_wait(changes.log_directory, segments):
                waiting += 1
            elif _is_held(changes.directory, connection, volume, held):
                bury_in_volume(changes, connection, volume, _not_held(held), RETENTION)
                spared += 1
            else:
                _remove(changes, volume, segments)
                volumes, records = volumes + 1, records + volume.records
        changes.tell_manifest(connection)
        size = sum(each.bytes for each in changes.catalog.volumes())
    return Expired(volumes=volumes, records=records, held=spared, waiting=waiting, bytes=size)


def due(volumes: Sequence[Volume], before_us: int, max_bytes: int) -> list[Volume]:
    """Volumes that are to go, the oldest first."""
    by_age = sorted(volumes, key=lambda each: (each.last_us, each.number))
    size = sum(each.bytes for each in by_age)
    found: list[Volume] = []
    for volume in by_age:
        if volume.last_us >= before_us and size <= max_bytes:
            break
        found.append(volume)
        size -= volume.bytes
    return found


def _still_wait(log_directory: Path, segments: Iterable[str]) -> bool:
    return any((log_directory / segment).exists() for segment in segments)


def _remove(changes: Changes, volume: Volume, segments: dict[str, int]) -> None:
    manifest = changes.manifest()
    try:
        for segment, lines in segments.items():
            if manifest.find(segment):
                manifest.remove(segment, lines, RETENTION)
    except LogError as error:
        raise StoreError(str(error)) from None
    changes.catalog.drop([volume])
    changes.delete_files([volume])


def _find_held_keys(changes: Changes, connection: Connection, held: Sequence[Filter]) -> None:
    """Make the table `held_keys`: hashes of the ids of all records that are held."""
    connection.execute("CREATE OR REPLACE TEMP TABLE held_keys (hash UBIGINT)")
    if not held:
        return
    kept = held_or_not(held)
    sql = _HELD_KEYS.format(where=kept.sql)
    for volume in changes.catalog.volumes():
        if any(each.overlaps(volume.first_us, volume.last_us) for each in held):
            file = {"file": str(volume.path(changes.directory, "records.parquet"))}
            connection.execute(sql, kept.parameters | file)


def _is_held(
    directory: Path, connection: Connection, volume: Volume, held: Sequence[Filter]
) -> bool:
    if not held:
        return False
    kept = held_or_not(held)
    for table, condition in (("records", kept), ("feedback", Where(_IS_ABOUT_HELD, {}))):
        if volume.has(table):
            file = {"file": str(volume.path(directory, f"{table}.parquet"))}
            sql = f"SELECT 1 FROM read_parquet($file) WHERE {condition.sql} LIMIT 1"
            if connection.execute(sql, condition.parameters | file).fetchall():
                return True
    return False


def _not_held(held: Sequence[Filter]) -> dict[str, Where]:
    kept = held_or_not(held)
    records = Where(f"kind <> 'forgotten' AND NOT {kept.sql}", kept.parameters)
    about_others = f"kind <> 'forgotten' AND NOT coalesce({_IS_ABOUT_HELD}, false)"
    return {"records": records, "feedback": Where(about_others, {})}
