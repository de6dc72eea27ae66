"""Every configuration that was applied or refused: who, when, which hash, what text.

Texts are the YAML as written, `${NAME}` not replaced. Bounded: the oldest entries go
when there are more than `MOST_ENTRIES`, but never the last one that was applied.

Knows nothing of YAML; the controller appends, the command line and the admin API read.
"""

from __future__ import annotations

from typing import Literal

import msgspec
import sqlalchemy as sa
from msgspec import Struct

from gateway.errors import StateError
from gateway.messages import Delivery
from gateway.state.database import READ_ONLY

MOST_ENTRIES = 1000
SHORTEST_PREFIX = 4

Result = Literal["applied", "refused"]

_history = sa.Table(
    "config_history",
    sa.MetaData(),
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("at_ms", sa.BigInteger),
    sa.Column("author", sa.Text),
    sa.Column("hash", sa.Text),
    sa.Column("outcome", sa.Text),
    sa.Column("detail", sa.Text),
    sa.Column("text", sa.Text),
    sa.Column("delivery", sa.Text),
)


class Entry(Struct, frozen=True, kw_only=True):
    """One configuration that was offered to the gateway."""

    id: int = 0  # 0: not in the history yet
    at_ms: int  # Unix time
    author: str  # `file`, `signal`, `api:…`, a user's name
    hash: str
    outcome: Result
    detail: str = ""  # why it was refused; what was switched, forced or moved
    text: str
    delivery: str | None = None  # JSON of messages.Delivery: where rollouts and switches stood


def delivery_of(entry: Entry) -> Delivery:
    """Where rollouts and switches stood under this entry."""
    if entry.delivery is None:
        return Delivery()
    return msgspec.json.decode(entry.delivery, type=Delivery)


class ConfigHistory:
    """The table `config_history`."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def append(self, entry: Entry) -> None:
        """Add an entry; its id is given here."""
        values = msgspec.structs.asdict(entry)
        del values["id"]
        with self._engine.begin() as connection:
            connection.execute(_history.insert().values(values))
            self._prune(connection)

    def latest(self, limit: int = 50) -> list[Entry]:
        """The latest entries, newest first."""
        return self._select(sa.true(), limit)

    def get(self, prefix: str) -> Entry:
        """The latest entry whose hash begins so; StateError if there is none or not only one."""
        if len(prefix) < SHORTEST_PREFIX or not prefix.isalnum():
            raise StateError(f"give at least {SHORTEST_PREFIX} characters of the hash")
        found = self._select(_history.c.hash.startswith(prefix), MOST_ENTRIES)
        hashes = {entry.hash for entry in found}
        if not hashes:
            raise StateError(
                f"no configuration in the history has a hash that begins with {prefix}"
            )
        if len(hashes) > 1:
            raise StateError(f"{len(hashes)} configurations have a hash that begins with {prefix}")
        return found[0]

    def latest_good(self) -> Entry | None:
        """The configuration applied last."""
        found = self._select(_history.c.outcome == "applied", 1)
        return found[0] if found else None

    def _select(self, where: sa.ColumnElement[bool], limit: int) -> list[Entry]:
        query = sa.select(_history).where(where).order_by(_history.c.id.desc()).limit(limit)
        with self._engine.connect().execution_options(**READ_ONLY) as connection:
            return [Entry(**row) for row in connection.execute(query).mappings()]

    def _prune(self, connection: sa.Connection) -> None:
        ids = sa.select(_history.c.id).order_by(_history.c.id.desc()).limit(MOST_ENTRIES)
        good = sa.select(sa.func.coalesce(sa.func.max(_history.c.id), 0)).where(
            _history.c.outcome == "applied"
        )
        oldest = ids.scalar_subquery()
        connection.execute(
            _history.delete().where(
                _history.c.id.not_in(oldest), _history.c.id != good.scalar_subquery()
            )
        )
