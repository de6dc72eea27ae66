"""One choice as it was made: see decision.pxd."""

import cython

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport uint64_t
from libc.string cimport memcpy
from gateway._fast.policies cimport Wish, columns_of, lowest, size_of
from gateway._fast.routes cimport Candidates, Choice


@cython.final
@cython.freelist(64)
cdef class Decision:
    """Made by new_decision only."""


cdef Decision new_decision(
    bytes route_fields, list names, Candidates candidates, const Wish* wish, const Choice* choice, uint64_t draw
):
    """Cost: two allocations and a copy of 8 bytes a candidate, or 24 at most."""
    cdef Decision decision = Decision.__new__(Decision)
    cdef size_t column_bytes = <size_t>candidates.length * sizeof(double)
    cdef int columns = columns_of(wish)
    cdef char* at
    decision.route_fields = route_fields
    decision.names = names
    decision.candidates = candidates
    decision.choice = choice[0]
    decision.wish = wish[0]
    decision.draw = draw
    decision.columns = columns
    decision.stale = candidates.roster.stale
    decision.found = PyBytes_FromStringAndSize(
        NULL, <Py_ssize_t>(<size_t>size_of(<uint64_t>columns) * column_bytes)
    )
    # Safety: as many columns are copied as there is room for.
    at = PyBytes_AS_STRING(decision.found)
    while columns:
        memcpy(at, candidates.roster.found[lowest(<uint64_t>columns)], column_bytes)
        at += column_bytes
        columns &= columns - 1
    return decision
