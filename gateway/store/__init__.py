"""The local store: sealed segments of the prediction log as Parquet, searched with DuckDB.

    store        the door: what the shipper, the command line and the admin API call
    columns      which members of a line become columns, and how
    database     DuckDB connections, and its errors as sentences
    rows         lines as rows of a DuckDB table
    volume       the files of one volume: written beside, checked, renamed
    ids          where the record with this id is: sorted hashes, searched without DuckDB
    catalog      which volumes there are and which segments they hold (SQLite)
    filters      what is searched for, as SQL with bound parameters
    moments      times as people write them
    live         what is not in the store yet, from the log's own files
    look         one question over volumes and live segments; what is damaged is left out, and said
    search       records that match, the newest first
    stats        counts, quantiles, tokens, cost and feedback by route, backend, …
    labelled     predictions beside what was said of each
    export       records that match, as NDJSON, CSV or Parquet
    upkeep       adds segments, makes few large volumes of many small ones
    orders       legal holds and orders to forget, on disk
    forgetting   tombstones in place of lines
    retention    what is too old or too much goes

    state/store/catalog.sqlite
    state/store/orders.json
    state/store/2026-11-21/00000042.records.parquet    one row a record; `line` is its exact line
    state/store/2026-11-21/00000042.feedback.parquet   the same for feedback, where there is any
    state/store/2026-11-21/00000042.records.ids

Rule 1: a volume is there when the catalog says so; files it does not name are a crash's leftovers.
Rule 2: a segment is in one volume at most, whole: its bytes can be rebuilt from the rows.
Rule 3: the catalog is only an index of the files, and is made anew from them when it is damaged.
Rule 4: whoever changes the store holds the lock on `store.lock`; readers never wait for it.
"""

from gateway.store.store import Store

__all__ = ["Store"]
