"""Alerts, what is watched, what is still to be told, and what was done: over restarts.

`alerts` has one row an alert, `alert_symptoms` one a symptom that is in none, `alert_parcels`
one a message and receiver until it is told, and `alert_deeds` only grows.

Rule 1: what follows from one look is one transaction.
Rule 2: bounded: the oldest resolved alerts go, and the oldest messages.
Rule 3: there is no way to change or delete a deed.

Knows nothing of alerts: all is text here.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from msgspec import Struct
from msgspec.structs import asdict

from gateway.errors import StateError
from gateway.state.database import READ_ONLY

MOST_ALERTS = 10_000
MOST_PARCELS = 2_000

_METADATA = sa.MetaData()
_alerts = sa.Table(
    "alerts",
    _METADATA,
    sa.Column("id", sa.BigInteger, primary_key=True),
    sa.Column("is_live", sa.Boolean),
    sa.Column("text", sa.Text),
)
_symptoms = sa.Table(
    "alert_symptoms",
    _METADATA,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("text", sa.Text),
)
_parcels = sa.Table(
    "alert_parcels",
    _METADATA,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("receiver", sa.Text, primary_key=True),
    sa.Column("at_ms", sa.BigInteger),
    sa.Column("text", sa.Text),
)
_deeds = sa.Table(
    "alert_deeds",
    _METADATA,
    sa.Column("n", sa.BigInteger, primary_key=True),
    sa.Column("alert", sa.BigInteger),
    sa.Column("text", sa.Text),
    sa.Column("hash", sa.Text),
)


class KeptAlert(Struct, frozen=True):
    """One alert."""

    id: int
    is_live: bool  # it is open, or its end is not told
    text: str


class KeptParcel(Struct, frozen=True):
    """One message to one receiver that is not told yet."""

    key: str
    receiver: str
    at_ms: int
    text: str


class KeptDeed(Struct, frozen=True):
    """One entry of the log of actions."""

    n: int
    alert: int
    text: str
    hash: str


class Changes(Struct, kw_only=True):
    """What is written together."""

    alerts: Sequence[KeptAlert] = ()
    symptoms: dict[str, str | None] = {}  # by key; None: gone
    parcels: Sequence[KeptParcel] = ()
    told: Sequence[tuple[str, str]] = ()  # key and receiver of parcels
    deeds: Sequence[KeptDeed] = ()


class AlertStates:
    """The tables of alerts."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def live(self) -> list[KeptAlert]:
        return self._alerts(_alerts.c.is_live, MOST_ALERTS)

    def latest(self, limit: int) -> list[KeptAlert]:
        """The newest first."""
        return self._alerts(sa.true(), limit)

    def alert(self, number: int) -> KeptAlert | None:
        found = self._alerts(_alerts.c.id == number, 1)
        return found[0] if found else None

    def last_id(self) -> int:
        with self._reading() as connection:
            return connection.execute(sa.select(sa.func.max(_alerts.c.id))).scalar() or 0

    def symptoms(self) -> dict[str, str]:
        with self._reading() as connection:
            return {row.key: row.text for row in connection.execute(sa.select(_symptoms))}

    def parcels(self) -> list[KeptParcel]:
        query = sa.select(_parcels).order_by(_parcels.c.at_ms, _parcels.c.key)
        with self._reading() as connection:
            return [KeptParcel(**row) for row in connection.execute(query).mappings()]

    def deeds(self, *, alert: int = 0, after: int = 0, limit: int = 1000) -> list[KeptDeed]:
        """The oldest first."""
        query = sa.select(_deeds).where(_deeds.c.n > after)
        if alert:
            query = query.where(_deeds.c.alert == alert)
        with self._reading() as connection:
            found = connection.execute(query.order_by(_deeds.c.n).limit(limit))
            return [KeptDeed(**row) for row in found.mappings()]

    def last_deed(self) -> tuple[int, str]:
        """Number and hash of the latest; (0, "") where there is none."""
        query = sa.select(_deeds.c.n, _deeds.c.hash).order_by(_deeds.c.n.desc()).limit(1)
        with self._reading() as connection:
            found = connection.execute(query).one_or_none()
        return (found.n, found.hash) if found is not None else (0, "")

    def save(self, changes: Changes) -> None:
        """All of it or nothing."""
        try:
            with self._engine.begin() as connection:
                _write(connection, changes)
        except sa.exc.DBAPIError as error:
            raise StateError(f"alerts cannot be written down: {error.orig}") from None

    def _alerts(self, where: sa.ColumnElement[bool], limit: int) -> list[KeptAlert]:
        query = sa.select(_alerts).where(where).order_by(_alerts.c.id.desc()).limit(limit)
        with self._reading() as connection:
            return [KeptAlert(**row) for row in connection.execute(query).mappings()]

    def _reading(self) -> sa.Connection:
        return self._engine.connect().execution_options(**READ_ONLY)


def _write(connection: sa.Connection, changes: Changes) -> None:
    for alert in changes.alerts:
        connection.execute(_alerts.delete().where(_alerts.c.id == alert.id))
        connection.execute(_alerts.insert().values(asdict(alert)))
    for key, text in changes.symptoms.items():
        connection.execute(_symptoms.delete().where(_symptoms.c.key == key))
        if text is not None:
            connection.execute(_symptoms.insert().values(key=key, text=text))
    for parcel in changes.parcels:
        connection.execute(_parcels.insert().values(asdict(parcel)))
    for key, receiver in changes.told:
        is_it = (_parcels.c.key == key) & (_parcels.c.receiver == receiver)
        connection.execute(_parcels.delete().where(is_it))
    for deed in changes.deeds:
        connection.execute(_deeds.insert().values(asdict(deed)))
    _prune(connection)


def _prune(connection: sa.Connection) -> None:
    newest = sa.select(_alerts.c.id).order_by(_alerts.c.id.desc()).limit(MOST_ALERTS)
    is_old = _alerts.c.id.not_in(newest.scalar_subquery()) & ~_alerts.c.is_live
    connection.execute(_alerts.delete().where(is_old))
    latest = sa.select(_parcels.c.at_ms).order_by(_parcels.c.at_ms.desc())
    bound = latest.offset(MOST_PARCELS).limit(1).scalar_subquery()
    connection.execute(_parcels.delete().where(_parcels.c.at_ms <= bound))
