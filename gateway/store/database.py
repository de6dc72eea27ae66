"""DuckDB connections, and its errors as sentences.

DuckDB runs inside the process, in memory; the Parquet files are all it reads and writes.
Nothing is fetched from the network: extensions are neither installed nor loaded.

Cost: importing takes about 0.1 s and opening 20 ms, so it is imported when first needed.

Rule 1: a result is fetched to its end: until then, its connection can do nothing else.
Rule 2: values reach SQL as bound parameters only; what is put together as text are names of
        columns, from `columns`.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias

from gateway.errors import GatewayError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    Connection: TypeAlias = DuckDBPyConnection
else:
    Connection = object  # slow to import

MEMORY = "2GB"


class StoreError(GatewayError):
    """The local store cannot do what was asked; the sentence says why."""

    reason = "store"


class WrongQuestion(StoreError):
    """What was asked for means nothing; the fault of who asks."""

    reason = "wrong_question"


def connect(*, threads: int = 0) -> Connection:
    """A database in memory; threads: 0 as many as there are cores."""
    import duckdb  # noqa: PLC0415  slow to import

    config: dict[str, str | bool | int | float | list[str]] = {
        "threads": threads or os.cpu_count() or 1,
        "memory_limit": MEMORY,
        "temp_directory": "",
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    connection = duckdb.connect(config=config)
    connection.execute("SET enable_progress_bar = false")
    return connection


@contextmanager
def connected(*, threads: int = 0) -> Iterator[Connection]:
    """The same, closed afterwards; what DuckDB cannot do is a StoreError."""
    connection = connect(threads=threads)
    try:
        yield connection
    except failures() as error:
        raise StoreError(sentence_of(error)) from None
    finally:
        connection.close()


class Database:
    """One database for many questions, opened at the first."""

    def __init__(self, *, threads: int = 0) -> None:
        self._threads = threads
        self._root: Connection | None = None
        self._opening = threading.Lock()

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """A connection of its own, for one thread; its temporary tables go with it."""
        with self._opening:
            if self._root is None:
                self._root = connect(threads=self._threads)
            cursor = self._root.cursor()
        try:
            yield cursor
        except failures() as error:
            raise StoreError(sentence_of(error)) from None
        finally:
            cursor.close()

    def close(self) -> None:
        with self._opening:
            if self._root is not None:
                self._root.close()
                self._root = None


def failures() -> type[Exception]:
    """What DuckDB raises."""
    import duckdb  # noqa: PLC0415  slow to import

    return duckdb.Error


def sentence_of(error: Exception) -> str:
    """The first line of what DuckDB says, without what may be data of a record."""
    first = str(error).strip().partition("\n")[0]
    return first.partition(" Input:")[0].rstrip(".")
