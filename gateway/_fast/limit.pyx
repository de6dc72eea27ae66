"""Adaptive concurrency limits: Gradient2, and a tenth off when the backend says too much.

    long   the long average of the short RTT, moved by 2/601 of the difference an update
    next = (1 - smoothing) · limit + smoothing · (limit · g + queue)
    g    = tolerance · long / short, within 0.5 … 1

Nothing moves while less than half of the limit is in use: a limit that nobody presses on
says nothing. The short RTT is the median of the first-byte times of the window slot being
filled (the last four seconds at most), which a few slow answers do not move.

After github.com/Netflix/concurrency-limits, Gradient2Limit and AIMDLimit.
"""

cimport cython
from libc.stdint cimport uint64_t
from libc.string cimport memset

from gateway._fast.board cimport Board, Cell, atomic_cas, atomic_load, atomic_store
from gateway._fast.histogram cimport (
    COARSE_BUCKETS, WINDOW_SLOTS, Slot, coarse_quantile, window_epoch
)
from gateway._fast.learned cimport (
    Gauges, figure_load, figure_store, find_gauges, gauge_of, in_flight_of, recent_of
)

cdef extern from *:
    """
    #define LONG_SHARE (2.0 / 601)
    #define LONG_DECAY 0.95
    #define LONG_EXCESS 2.0
    #define DECREASE 0.9
    """
    const double LONG_SHARE             # of the newest RTT in the long average: a window of 600
    const double LONG_DECAY             # applied while the long average is out of date …
    const double LONG_EXCESS            # … which is above so many times the short RTT
    const double DECREASE


cdef inline double clamped(double limit, const AdaptiveTerms* terms) noexcept nogil:
    return max(terms.floor, min(terms.ceiling, limit))

cdef double gradient_next(
    double limit, double* long_rtt, double short_rtt, uint64_t in_flight,
    const AdaptiveTerms* terms,
) noexcept nogil:
    cdef double gradient
    if short_rtt <= 0:
        return clamped(limit, terms)
    if long_rtt[0] <= 0:
        long_rtt[0] = short_rtt
    long_rtt[0] += (short_rtt - long_rtt[0]) * LONG_SHARE
    gradient = max(0.5, min(1.0, terms.tolerance * long_rtt[0] / short_rtt))
    if long_rtt[0] > LONG_EXCESS * short_rtt:
        # Why: after a long overload the average would excuse the next one for a minute.
        long_rtt[0] *= LONG_DECAY
    if 2 * <double>in_flight < limit:
        return clamped(limit, terms)
    limit += (limit * gradient + terms.queue - limit) * terms.smoothing
    return clamped(limit, terms)


cdef inline bint take_turn(Cell* cell, uint64_t now_ns) noexcept nogil:
    # Rule: a CAS on the time is all the locking there is; see Rule 2 of the .pxd.
    cdef uint64_t at_ns = atomic_load(&cell.limit_at_ns)
    if at_ns and now_ns < at_ns + <uint64_t>LIMIT_INTERVAL_NS:
        return False
    return atomic_cas(&cell.limit_at_ns, at_ns, now_ns)

cdef inline double exact_of(const Cell* cell, const AdaptiveTerms* terms) noexcept nogil:
    cdef double exact = figure_load(&cell.limit_exact)
    return exact if exact > 0 else <double>terms.initial

cdef inline void set_limit(Cell* cell, double exact) noexcept nogil:
    figure_store(&cell.limit_exact, exact)
    atomic_store(&cell.limit, <uint64_t>exact)

cdef double recent_rtt(const Gauges* gauges, uint64_t now_ns) noexcept nogil:
    # The median first-byte time of the newest slot, all workers'; 0 of too few.
    cdef uint64_t epoch = window_epoch(now_ns)
    cdef uint64_t[COARSE_BUCKETS] counts
    cdef uint64_t samples = 0
    cdef const Slot* slot
    cdef int worker, bucket
    memset(counts, 0, sizeof(counts))
    for worker in range(gauges.workers):
        if atomic_load(&gauge_of(gauges, worker).ewma_at_ns) == 0:
            continue
        slot = &recent_of(gauges, worker).first_byte.slots[epoch % WINDOW_SLOTS]
        if slot.epoch != epoch:
            continue
        for bucket in range(COARSE_BUCKETS):
            counts[bucket] += slot.counts[bucket]
            samples += slot.counts[bucket]
    return <double>coarse_quantile(counts, samples, 0.5) if samples >= LIMIT_SAMPLES else 0.0

cdef bint limit_update(
    Cell* cell, const AdaptiveTerms* terms, const Gauges* gauges, uint64_t now_ns
) noexcept nogil:
    cdef double long_rtt, short_rtt, exact
    if terms.initial == 0 or not take_turn(cell, now_ns):
        return False
    exact = exact_of(cell, terms)
    long_rtt = figure_load(&cell.long_rtt_ns)
    short_rtt = recent_rtt(gauges, now_ns)
    exact = gradient_next(exact, &long_rtt, short_rtt, in_flight_of(gauges), terms)
    figure_store(&cell.long_rtt_ns, long_rtt)
    set_limit(cell, exact)
    return True

cdef bint limit_decrease(Cell* cell, const AdaptiveTerms* terms, uint64_t now_ns) noexcept nogil:
    # Why at most once an interval: a burst of refusals is one piece of news.
    if terms.initial == 0 or not take_turn(cell, now_ns):
        return False
    set_limit(cell, clamped(exact_of(cell, terms) * DECREASE, terms))
    return True


cdef int read_adaptive(AdaptiveTerms* terms, object plan) except -1:
    """Fill `terms` from an AdaptivePlan, or anything with its attributes; zeros for None."""
    memset(terms, 0, sizeof(AdaptiveTerms))
    if plan is None:
        return 0
    # Why at least one: a limit of 0 would mean none.
    terms.initial = max(plan.initial, 1)
    terms.floor = max(plan.floor, 1)
    terms.ceiling = max(plan.ceiling, plan.floor, 1)
    terms.queue = plan.queue
    terms.tolerance = plan.tolerance
    terms.smoothing = plan.smoothing
    return 0


@cython.final
cdef class AdaptiveLimit:
    """The limit of one backend's cell, by the rules of an AdaptivePlan (None: not adaptive)."""

    def __init__(self, Board board not None, int backend, plan):
        find_gauges(&self.gauges, board, backend)
        self.board = board
        self.cell = board.cell(backend)
        read_adaptive(&self.terms, plan)

    def limit(self, uint64_t maximum=0) -> int | None:
        """Attempts at once; `maximum` is the fixed limit, 0 for none. None: unlimited."""
        cdef uint64_t limit = limit_of(self.cell, maximum, self.terms.initial)
        return None if limit == UINT64_MAX else limit

    def next(self, double limit, double long_rtt, double short_rtt, uint64_t in_flight) -> tuple:
        """Gradient2's next limit and long average; changes nothing."""
        limit = gradient_next(limit, &long_rtt, short_rtt, in_flight, &self.terms)
        return limit, long_rtt

    def update(self, uint64_t now_ns) -> bool:
        """Whether it was time, and nobody else's turn."""
        return limit_update(self.cell, &self.terms, &self.gauges, now_ns)

    def decrease(self, uint64_t now_ns) -> bool:
        """After a 429: whether it was time, and nobody else's turn."""
        return limit_decrease(self.cell, &self.terms, now_ns)
