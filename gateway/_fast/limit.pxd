# How many attempts a backend gets at once: a fixed limit, an adaptive one, or both.
#
# The adaptive limit is Gradient2 (Netflix concurrency-limits): while the recent median
# first-byte time is no worse than `tolerance` × its long average, the limit grows by a
# share of `queue` each update; when it is worse the limit shrinks by the ratio. A 429 or
# an overload answer takes a tenth off (AIMD). In-flight is the sum of the workers' gauges.
#
# Rule 1: floor <= adaptive limit <= ceiling, and never above the fixed one.
# Rule 2: whoever moves limit_at_ns forward by CAS makes the update; the others go on.
#         A worker killed in between loses that update, and the next is 100 ms away.
# Rule 3: workers check and then send, so W workers may overshoot by W - 1 attempts.

cimport cython
from libc.stdint cimport UINT64_MAX, uint64_t
from gateway._fast.board cimport Board, Cell, atomic_load
from gateway._fast.learned cimport Gauges

cdef enum:
    LIMIT_INTERVAL_NS = 100_000_000
    LIMIT_SAMPLES = 10                  # a median of fewer is not taken

cdef struct AdaptiveTerms:              # of an AdaptivePlan; all zeros: not adaptive
    uint64_t initial                    # until the first update; 0 = not adaptive
    double floor
    double ceiling
    double queue                        # attempts the backend may hold waiting
    double tolerance
    double smoothing                    # share of the new value in the next limit

cdef inline uint64_t limit_of(const Cell* cell, uint64_t maximum, uint64_t initial) noexcept nogil:
    # UINT64_MAX when there is none. `maximum` 0: no fixed limit; `initial` 0: not adaptive.
    cdef uint64_t limit = initial
    if initial:
        limit = atomic_load(&cell.limit)
        if limit == 0:
            limit = initial
    if maximum and (limit == 0 or limit > maximum):
        limit = maximum
    return limit if limit else UINT64_MAX

# The next limit; moves *long_rtt. Pure.
cdef double gradient_next(
    double limit, double* long_rtt, double short_rtt, uint64_t in_flight,
    const AdaptiveTerms* terms,
) noexcept nogil

# One update if it is time; after any attempt. True when it did.
cdef bint limit_update(
    Cell* cell, const AdaptiveTerms* terms, const Gauges* gauges, uint64_t now_ns
) noexcept nogil

# After a 429 or an overload answer: at most once per interval. True when it did.
cdef bint limit_decrease(Cell* cell, const AdaptiveTerms* terms, uint64_t now_ns) noexcept nogil

cdef int read_adaptive(AdaptiveTerms* terms, object plan) except -1    # AdaptivePlan or None


@cython.final
cdef class AdaptiveLimit:               # AdaptiveLimit(board, backend, plan)
    # The limit of one cell as an object: for readers and tests.
    cdef Board board                    # keeps the memory mapped
    cdef Cell* cell
    cdef Gauges gauges
    cdef AdaptiveTerms terms
