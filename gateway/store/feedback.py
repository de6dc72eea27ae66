"""Feedback as a table to join records with: `said`, one row a signal.

A signal is about the record whose `id` or `request_id` it names. It may come long after the
record, never before it. A signal that was sent twice has one id, and counts once.
"""

from __future__ import annotations

from gateway.store.filters import ANY, Filter, Where
from gateway.store.look import PARQUET, Look
from gateway.store.rows import FEEDBACK_PARSED, load

_COLUMNS = """
id, request_id AS about, "time", signal, line,
CASE value::VARCHAR WHEN 'true' THEN 1.0 WHEN 'false' THEN 0.0
     ELSE coalesce(TRY_CAST(value::VARCHAR AS DOUBLE),
                   TRY_CAST(value ->> '$.score' AS DOUBLE)) END AS value
"""
_CREATE = """
CREATE OR REPLACE TEMP TABLE heard (
    id VARCHAR, about VARCHAR, "time" TIMESTAMP, signal VARCHAR, line VARCHAR, value DOUBLE
)
"""
_SAID = """
CREATE OR REPLACE TEMP TABLE said AS
SELECT *, (len($signals) = 0 OR list_contains($signals, signal)) AS is_wanted FROM heard
WHERE about IS NOT NULL
QUALIFY row_number() OVER (PARTITION BY coalesce(id, line) ORDER BY "time") = 1
"""


def load_feedback(look: Look, wanted: Filter) -> None:
    """Make the table `said`: what was said since the records that are wanted."""
    connection = look.connection
    connection.execute(_CREATE)
    for segment in look.live_since:
        load(connection, segment.data(), segment.segment)
        connection.execute(f"INSERT INTO heard SELECT {_COLUMNS} FROM ({FEEDBACK_PARSED.sql})")
    insert = f"INSERT INTO heard SELECT {_COLUMNS} FROM {PARQUET}"
    look.ask(look.volumes_since, "feedback", insert, {})
    signals = [] if ANY in wanted.feedback else list(wanted.feedback)
    connection.execute(_SAID, {"signals": signals})


def with_feedback_of(condition: Where, wanted: Filter) -> Where:
    """The condition, and that such feedback was given where the filter wants it."""
    if not wanted.feedback:
        return condition
    said = "SELECT about FROM said WHERE is_wanted"
    sql = f"{condition.sql} AND (id IN ({said}) OR request_id IN ({said}))"
    return Where(sql, condition.parameters)
