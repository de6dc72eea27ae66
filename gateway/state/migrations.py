"""The schema of the state database, as the ordered steps that build it.

A step is never changed once released; a new table or column is a new step at the end.

Rule: steps use only what SQLite and PostgreSQL share.
"""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa

Migration = Callable[[sa.Connection], None]


def _create_config_history(connection: sa.Connection) -> None:
    sa.Table(
        "config_history",
        sa.MetaData(),
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("hash", sa.Text, nullable=False, index=True),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    ).create(connection)


def _add_delivery(connection: sa.Connection) -> None:
    connection.exec_driver_sql("ALTER TABLE config_history ADD COLUMN delivery TEXT")


def _create_rollouts(connection: sa.Connection) -> None:
    metadata = sa.MetaData()
    sa.Table(
        "rollout_states",
        metadata,
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
    )
    sa.Table(
        "rollout_decisions",
        metadata,
        sa.Column("n", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("rollout", sa.Text, nullable=False, index=True),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("event", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
    )
    metadata.create_all(connection)


def _create_alerts(connection: sa.Connection) -> None:
    metadata = sa.MetaData()
    sa.Table(
        "alerts",
        metadata,
        sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("is_live", sa.Boolean, nullable=False, index=True),
        sa.Column("text", sa.Text, nullable=False),
    )
    sa.Table(
        "alert_symptoms",
        metadata,
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("text", sa.Text, nullable=False),
    )
    sa.Table(
        "alert_parcels",
        metadata,
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("receiver", sa.Text, primary_key=True),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
    )
    sa.Table(
        "alert_deeds",
        metadata,
        sa.Column("n", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("alert", sa.BigInteger, nullable=False, index=True),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
    )
    metadata.create_all(connection)


MIGRATIONS: tuple[Migration, ...] = (
    _create_config_history,
    _add_delivery,
    _create_rollouts,
    _create_alerts,
)
