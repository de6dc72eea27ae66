"""Opens the state database, making or upgrading it where needed.

SQLite in WAL mode: readers never wait for the writer. Transactions begin IMMEDIATE, so
that two processes that upgrade or append at once take turns instead of failing.

Rule 1: directory 0700, file 0600: the texts kept here may hold secrets.
Rule 2: a schema newer than this program is left alone and refused.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import sqlalchemy as sa

from gateway.errors import StateError
from gateway.state.directory import DATABASE, prepared
from gateway.state.migrations import MIGRATIONS

READ_ONLY = {"reads": True}  # execution option of a connection that will not write

_versions = sa.Table("schema_version", sa.MetaData(), sa.Column("version", sa.Integer))


def open_database(directory: Path) -> sa.Engine:
    """The database of a state directory, its schema up to date."""
    path = prepared(directory) / DATABASE
    engine = _engine(f"sqlite:///{path}")
    try:
        path.touch(mode=0o600)
        with engine.begin() as connection:
            _migrate(connection, path)
    except OSError as error:
        raise StateError(
            f"cannot write to the state directory {directory}: {error.strerror}"
        ) from None
    except sa.exc.DBAPIError as error:
        engine.dispose()
        raise StateError(f"cannot use the state database {path}: {error.orig}") from None
    except StateError:
        engine.dispose()
        raise
    return engine


def look_into_database(directory: Path) -> sa.Engine:
    """The same for whoever only looks: where there is none, an empty one that leaves no trace."""
    path = directory / DATABASE
    if path.exists():
        return open_database(directory)
    engine = _engine("sqlite://")
    with engine.begin() as connection:
        _migrate(connection, path)
    return engine


def _engine(url: str) -> sa.Engine:
    engine = sa.create_engine(url, connect_args={"timeout": 5.0})
    sa.event.listen(engine, "connect", _configure)
    sa.event.listen(engine, "begin", _begin)
    return engine


def _configure(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # Why: the driver would begin DEFERRED transactions itself
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: sa.Connection) -> None:
    reads = connection.get_execution_options().get("reads", False)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


def _migrate(connection: sa.Connection, path: Path) -> None:
    _versions.create(connection, checkfirst=True)
    version = connection.execute(sa.select(sa.func.max(_versions.c.version))).scalar() or 0
    if version > len(MIGRATIONS):
        raise StateError(
            f"{path} was written by a newer version (schema {version}, known {len(MIGRATIONS)})"
        )
    for number, migration in enumerate(MIGRATIONS[version:], version + 1):
        migration(connection)
        connection.execute(_versions.insert().values(version=number))
