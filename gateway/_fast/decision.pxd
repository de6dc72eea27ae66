# One choice as it was made, kept until the exchange is recorded: what was asked, what was
# known of each candidate, what was drawn.
#
# Rule: a copy. What the candidates find out is overwritten by the next choice of anybody.

cimport cython
from libc.stdint cimport uint64_t
from gateway._fast.policies cimport Wish
from gateway._fast.routes cimport Candidates, Choice

@cython.final
cdef class Decision:
    cdef Candidates candidates
    cdef Choice choice
    cdef Wish wish
    cdef uint64_t draw                  # state of the generator before it
    cdef bytes found                    # of each of `columns`, a double a candidate
    cdef int columns                    # policies.columns_of(wish)
    cdef uint64_t stale                 # who had no fresh prediction
    cdef list names                     # of the candidates, quoted
    cdef bytes route_fields             # its name, quoted, and what arm it is

    cdef inline const double* figures(self) noexcept:
        # Column by column, in the order of Column.
        # Safety: `found` was made of exactly candidates.length doubles for each.
        return <const double*><const char*>self.found

cdef Decision new_decision(
    bytes route_fields, list names, Candidates candidates, const Wish* wish, const Choice* choice, uint64_t draw
)
