"""`GET /api/v1/production`: which model version answers, now or at any time.

Rule: it looks into files and counts, so it does so in a thread; the loop goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from gateway.control.faults import Fault
from gateway.control.parts import Parts
from gateway.production.answer import Production


async def show(parts: Parts, query: Mapping[str, str]) -> Production:
    """What is in production; all routes, unless the query names one."""
    found = parts.production
    if found is None:
        raise Fault(503, "no_history", "There is no history of the configuration to look in.")
    # Why a pool's thread: it is waited for at the end; DuckDB must not be cut off in a query.
    return await asyncio.to_thread(found.at, query.get("at", ""), query.get("route", ""))
