"""One choice as it was made: see decision.pxd."""

import cython

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport uint64_t
from gateway._fast.policies cimport Candidate, Wish
from gateway._fast.routes cimport Candidates, Choice


@cython.final
@cython.freelist(64)
cdef class Decision:
    """Made by new_decision only."""


cdef Decision new_decision(
    bytes route_fields, list names, Candidates candidates, const Wish* wish, const Choice* choice, uint64_t draw
):
    """Cost: two allocations and a copy of 40 bytes a candidate."""
    cdef Decision decision = Decision.__new__(Decision)
    decision.route_fields = route_fields
    decision.names = names
    decision.candidates = candidates
    decision.choice = choice[0]
    decision.wish = wish[0]
    decision.draw = draw
    decision.found = PyBytes_FromStringAndSize(
        <const char*>candidates.roster.found, candidates.length * <Py_ssize_t>sizeof(Candidate)
    )
    return decision
