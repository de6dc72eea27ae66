"""Forgets one person: that user's records, and the feedback on them, become tombstones.

In volumes and in sealed segments that wait in the log this happens at once; in segments
that are being written when they are added to the store. The manifest gets an entry for
each segment: the log still verifies, and says that lines were taken out.

Rule 1: what a hold covers stays.
Rule 2: the order is written down first; what a crash interrupts is done at the next upkeep, and
        doing it twice changes nothing.

Out of reach: Kafka topics, objects, what was printed or exported, and backups.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from gateway.log.names import list_segments
from gateway.store.changes import Changes
from gateway.store.database import Connection, StoreError
from gateway.store.filters import Filter, Where, any_of, where
from gateway.store.graves import Conditions, bury_in_segment, bury_in_volume, loaded_places
from gateway.store.live import LiveSegment, live_segments, without
from gateway.store.orders import ForgetOrder, new_id
from gateway.store.rows import PARSED, load
from gateway.store.volume import Volume

FORGET = "forget"
KEPT_US = 2 * 86_400 * 1_000_000  # an order that was carried out, for lines that end late

_KEYS = """
SELECT DISTINCT unnest([md5_number_lower(id), md5_number_lower(request_id)])
FROM {records} WHERE {where}
"""


class Forgotten(Struct, frozen=True, kw_only=True):
    """What became of an order to forget."""

    records: int = 0  # replaced by tombstones
    feedback: int = 0
    held: int = 0  # records that a hold keeps
    waiting: int = 0  # lines of segments that are being written; they go when these are sealed
    notes: tuple[str, ...] = ()  # what could not be done, in sentences


def forget(changes: Changes, connection: Connection, user: str, now_us: int) -> Forgotten:
    """Forget everything up to now of a user."""
    if not user:
        raise StoreError("name the user whose records are to be forgotten")
    with changes.begun(connection):
        order = ForgetOrder(id=new_id(), at_us=now_us, user=user)
        changes.order(changes.orders().with_forget(order))
        return _carry_out(changes, connection, order)


def resume_orders(changes: Changes, connection: Connection, now_us: int) -> None:
    """Carry out what a crash interrupted, and drop orders that nothing can be left of."""
    with changes.begun(connection):
        orders = changes.orders()
        for order in orders.forgets:
            if not order.is_done:
                _carry_out(changes, connection, order)
        changes.tell_manifest(connection)
        oldest_ms = _oldest_live_ms(changes)
        kept = [
            each
            for each in changes.orders().forgets
            if not each.is_done
            or now_us - each.at_us < KEPT_US
            or (oldest_ms is not None and oldest_ms * 1000 < each.at_us + KEPT_US)
        ]
        if len(kept) < len(orders.forgets):
            changes.order(changes.orders().keeping(kept))


def bury_late_lines(changes: Changes, connection: Connection, path: Path) -> None:
    """Lines of who was forgotten while this segment was written become tombstones."""
    orders = changes.orders()
    for order in orders.forgets:
        bury_in_segment(changes, connection, path, _about(connection, order, orders.held), FORGET)
    if orders.forgets:
        changes.tell_manifest(connection)


def held_or_not(held: Sequence[Filter]) -> Where:
    """Records that a hold covers, as a condition that is never NULL."""
    found = any_of(held, "h")
    return Where(f"coalesce({found.sql}, false)", found.parameters)


def _carry_out(changes: Changes, connection: Connection, order: ForgetOrder) -> Forgotten:
    held = changes.orders().held
    order = replace(order, keys=tuple(_keys(changes, connection, order, held)))
    changes.order(changes.orders().with_forget(order))
    about = _about(connection, order, held)
    lost = Counter[str]()
    # Why all volumes: feedback may be much younger than what it is about.
    for volume in changes.catalog.volumes():
        lost += bury_in_volume(changes, connection, volume, about, FORGET)
    for name, path in list_segments(changes.log_directory):
        if name.state == "sealed":
            buried = bury_in_segment(changes, connection, path, about, FORGET)
            lost += Counter() if changes.catalog.volume_of(name.segment) else buried
    problems = changes.tell_manifest(connection)
    changes.order(changes.orders().with_forget(replace(order, is_done=True)))
    return Forgotten(
        records=lost["records"],
        feedback=lost["feedback"],
        held=_count_held(changes, connection, order, held),
        waiting=_count_waiting(changes, connection, about),
        notes=tuple(problems),
    )


def _of_user(order: ForgetOrder) -> Where:
    return where(Filter(user=(order.user,), until_us=order.at_us + 1), "u")


def _to_go(order: ForgetOrder, held: Sequence[Filter]) -> Where:
    records, kept = _of_user(order), held_or_not(held)
    return Where(f"{records.sql} AND NOT {kept.sql}", records.parameters | kept.parameters)


def _about(connection: Connection, order: ForgetOrder, held: Sequence[Filter]) -> Conditions:
    """Which lines of each table an order is about."""
    connection.execute("CREATE OR REPLACE TEMP TABLE keys (hash UBIGINT)")
    connection.execute(
        "INSERT INTO keys SELECT unnest($keys::UBIGINT[])", {"keys": list(order.keys)}
    )
    about = "kind = 'feedback' AND md5_number_lower(request_id) IN (SELECT hash FROM keys)"
    return {"records": _to_go(order, held), "feedback": Where(about, {})}


def _volumes_of(changes: Changes, order: ForgetOrder) -> Iterable[Volume]:
    wanted = Filter(until_us=order.at_us + 1)
    return (
        each for each in changes.catalog.volumes() if wanted.overlaps(each.first_us, each.last_us)
    )


def _keys(
    changes: Changes, connection: Connection, order: ForgetOrder, held: Sequence[Filter]
) -> list[int]:
    """Hashes of the ids of the records that go."""
    condition, found = _to_go(order, held), set[int](order.keys)
    stored = _KEYS.format(records="read_parquet($file)", where=condition.sql)
    for volume in _volumes_of(changes, order):
        file = {"file": str(volume.path(changes.directory, "records.parquet"))}
        rows = connection.execute(stored, condition.parameters | file).fetchall()
        found |= {row[0] for row in rows}
    loaded = _KEYS.format(records=f"({PARSED['records'].sql})", where=condition.sql)
    with live_segments(changes.log_directory) as live:
        for segment in _not_stored(changes, live):
            load(connection, segment.data(), segment.segment)
            rows = connection.execute(loaded, condition.parameters).fetchall()
            found |= {row[0] for row in rows}
    return sorted(found)


def _count_held(
    changes: Changes, connection: Connection, order: ForgetOrder, held: Sequence[Filter]
) -> int:
    if not held:
        return 0
    records, kept = _of_user(order), held_or_not(held)
    sql = f"SELECT count(*) FROM read_parquet($file) WHERE {records.sql} AND {kept.sql}"
    count = 0
    for volume in _volumes_of(changes, order):
        bound: dict[str, Any] = {"file": str(volume.path(changes.directory, "records.parquet"))}
        bound |= records.parameters | kept.parameters
        count += connection.execute(sql, bound).fetchall()[0][0]
    return count


def _count_waiting(changes: Changes, connection: Connection, about: Conditions) -> int:
    count = 0
    with live_segments(changes.log_directory) as live:
        for segment in _not_stored(changes, live):
            load(connection, segment.data(), segment.segment)
            count += sum(map(len, loaded_places(connection, about).values()))
    return count


def _not_stored(changes: Changes, live: Sequence[LiveSegment]) -> list[LiveSegment]:
    _, known = changes.catalog.snapshot({each.segment for each in live})
    return without(live, known)


def _oldest_live_ms(changes: Changes) -> int | None:
    """When the oldest line that is not in the store may have begun; None where there is none."""
    with live_segments(changes.log_directory) as live:
        return min((each.first_ms for each in _not_stored(changes, live)), default=None)
