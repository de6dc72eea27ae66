"""Where rollouts stand, and every decision about them, so that a controller that died goes on.

`rollout_states` has one row a rollout; `rollout_decisions` only grows. Both are texts
to this module: the desk reads and writes what is in them.

Rule 1: what follows from one look is one transaction: states, and the decisions that say why.
Rule 2: who has not seen the latest entry cannot add one (its number is taken), and who has
        not seen the latest state cannot replace it.
Rule 3: there is no way to change or delete a decision.

Knows nothing of rollouts.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from msgspec import Struct

from gateway.errors import StateError
from gateway.state.database import READ_ONLY

_METADATA = sa.MetaData()
_states = sa.Table(
    "rollout_states",
    _METADATA,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("version", sa.BigInteger),
    sa.Column("text", sa.Text),
)
_decisions = sa.Table(
    "rollout_decisions",
    _METADATA,
    sa.Column("n", sa.BigInteger, primary_key=True),
    sa.Column("rollout", sa.Text),
    sa.Column("at_ms", sa.BigInteger),
    sa.Column("event", sa.Text),
    sa.Column("text", sa.Text),
    sa.Column("hash", sa.Text),
)


class KeptState(Struct, frozen=True):
    """Where one rollout stands."""

    name: str
    version: int  # grows by one with each change; 1 is the first
    text: str


class KeptDecision(Struct, frozen=True):
    """One entry of the decision log."""

    n: int
    rollout: str
    at_ms: int
    event: str
    text: str
    hash: str


class RolloutStates:
    """The tables `rollout_states` and `rollout_decisions`."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def states(self) -> list[KeptState]:
        """Of all rollouts there ever were, by name."""
        query = sa.select(_states).order_by(_states.c.name)
        with self._engine.connect().execution_options(**READ_ONLY) as connection:
            return [KeptState(**row) for row in connection.execute(query).mappings()]

    def last(self) -> tuple[int, str]:
        """Number and hash of the latest entry; (0, "") where there is none."""
        query = sa.select(_decisions.c.n, _decisions.c.hash).order_by(_decisions.c.n.desc())
        with self._engine.connect().execution_options(**READ_ONLY) as connection:
            found = connection.execute(query.limit(1)).one_or_none()
        return (found.n, found.hash) if found is not None else (0, "")

    def decisions(
        self, *, rollout: str = "", after: int = 0, limit: int = 1000
    ) -> list[KeptDecision]:
        """Entries behind number `after`, the oldest first."""
        query = sa.select(_decisions).where(_decisions.c.n > after)
        if rollout:
            query = query.where(_decisions.c.rollout == rollout)
        query = query.order_by(_decisions.c.n).limit(limit)
        with self._engine.connect().execution_options(**READ_ONLY) as connection:
            return [KeptDecision(**row) for row in connection.execute(query).mappings()]

    def save(self, states: Sequence[KeptState], decisions: Sequence[KeptDecision] = ()) -> None:
        """All of it or nothing; StateError where somebody else was faster."""
        try:
            with self._engine.begin() as connection:
                for state in states:
                    self._replace(connection, state)
                for decision in decisions:
                    row = {name: getattr(decision, name) for name in decision.__struct_fields__}
                    connection.execute(_decisions.insert().values(row))
        except sa.exc.IntegrityError:
            raise StateError(
                "another controller has decided meanwhile; this one reads again"
            ) from None
        except sa.exc.DBAPIError as error:
            raise StateError(f"rollouts cannot be written down: {error.orig}") from None

    @staticmethod
    def _replace(connection: sa.Connection, state: KeptState) -> None:
        values = {"name": state.name, "version": state.version, "text": state.text}
        if state.version == 1:
            connection.execute(_states.insert().values(values))
            return
        is_next = (_states.c.name == state.name) & (_states.c.version == state.version - 1)
        if connection.execute(_states.update().where(is_next).values(values)).rowcount != 1:
            raise StateError("another controller has decided meanwhile; this one reads again")
