# Where copies of a route's requests go, and what stands in their way: a ShadowPlan as a
# worker sees it.
#
# Rule 1: every copy that was drawn and not sent is counted, by its reason (Row.skips).
# Rule 2: at most max_concurrency copies are under way, all workers together: W workers that
#         look and then send may overshoot by W - 1.
# Rule 3: nothing is reserved of a day's money; what is under way when it is spent is paid.
# Rule 4: what is held for copies is counted before it is held (Gauge.held_bytes).
# Concurrency, memory and money are of the backend as copies see it (`shadow:NAME`), so
# that routes which copy to the same one share them.

cimport cython
from libc.stdint cimport uint32_t, uint64_t
from gateway._fast.backend cimport Backend
from gateway._fast.board cimport Board, Cell, Row, atomic_cas, atomic_load

cdef enum Skip:                         # the order of SKIPS and of telemetry.SKIPS
    SKIP_NONE = -1
    SKIP_NOT_KEPT = 0                   # an upload that was relayed, a tunnel
    SKIP_TOO_LONG = 1                   # a longer body than max_body
    SKIP_NOT_CAPABLE = 2                # the backend cannot do what is asked
    SKIP_DRAINING = 3                   # the worker ends
    SKIP_LOG_FULL = 4                   # what is left of it is for clients' records
    SKIP_UNHEALTHY = 5
    SKIP_BREAKER = 6                    # open, or the backend asked for a pause
    SKIP_CONCURRENCY = 7
    SKIP_MEMORY = 8
    SKIP_MONEY = 9
    SKIP_DEFECT = 10                    # of the gateway
    SKIP_COUNT = 11

cdef enum:
    NANO_BITS = 48                      # of Cell.spent: the money; above it the day, modulo 2^16
    DAY_S = 86400

cdef extern from *:
    """
    #define FAST_NANO_MASK ((UINT64_C(1) << 48) - 1)
    """
    const uint64_t NANO_MASK "FAST_NANO_MASK"

cdef inline bint is_of_day(uint64_t spent, uint64_t day) noexcept nogil:
    # Why tomorrow's too: another worker may have seen midnight a moment earlier.
    return (spent >> NANO_BITS) == (day & 0xFFFF) or (spent >> NANO_BITS) == ((day + 1) & 0xFFFF)

cdef inline uint64_t spent_on(const Cell* cell, uint64_t day) noexcept nogil:
    # Nano-USD that copies have cost on this UTC day, all workers together.
    cdef uint64_t spent = atomic_load(&cell.spent)
    return spent & NANO_MASK if is_of_day(spent, day) else 0

cdef inline void spend(Cell* cell, uint64_t day, uint64_t nano_usd) noexcept nogil:
    cdef uint64_t found, made
    while True:
        found = atomic_load(&cell.spent)
        made = (day & 0xFFFF) << NANO_BITS | min(nano_usd, NANO_MASK)
        if is_of_day(found, day):
            made = found + min(nano_usd, NANO_MASK - (found & NANO_MASK))
        if atomic_cas(&cell.spent, found, made):
            return

@cython.final
cdef class Mirror:                      # Mirror(ShadowPlan, board, slot, backend)
    cdef readonly object plan
    cdef readonly Backend backend       # `shadow:NAME`
    cdef Board board                    # Safety: keeps the row's memory
    cdef Row* row                       # (route, `shadow:NAME`)
    cdef uint32_t sample_ppm
    cdef uint64_t max_concurrency
    cdef uint64_t max_bytes             # of a request, and of an answer
    cdef uint64_t memory_bytes
    cdef uint64_t day_nano_usd          # 0: no limit
    cdef uint64_t total_ns
    cdef bint is_patched                # the body is changed before it is sent

    # What stands in the way of one more copy, but for the breaker; SKIP_NONE: nothing.
    cdef Skip obstacle(self, uint64_t held_bytes, uint64_t day, uint64_t now_ns) noexcept
    # The breaker's word. It may take a probe, which the attempt gives back: one must follow.
    cdef Skip admit(self, uint64_t now_ns) noexcept
