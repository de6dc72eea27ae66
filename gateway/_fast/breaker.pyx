"""The circuit breaker: counting, opening, probing, closing. The state machine is in the .pxd.

Cost: an attempt at a healthy backend is one load to admit and two atomic adds to observe;
only failures and slow answers sum the window (32 slots, 30 ns).
"""

cimport cython
from libc.stdint cimport uint64_t

from gateway._fast.board cimport (
    BREAKER_SLOTS, Board, Cell, atomic_add, atomic_cas, atomic_load, atomic_store
)
from gateway._fast.hashing cimport random_unit

STATES = ("closed", "open", "half_open")


# The window: one slot a second.

cdef inline bint begin_slot(Cell* cell, uint64_t second, int slot) noexcept nogil:
    # Makes the slot this second's. Rule: who loses the CAS goes on adding; what it adds
    # before the winner's zeros is lost. A winner killed before its zeros leaves counts that
    # are 32 s old in the window for as long as it lasts, once.
    cdef uint64_t held = atomic_load(&cell.rate_epoch[slot])
    if held == second:
        return True
    if held > second:
        return False
    if atomic_cas(&cell.rate_epoch[slot], held, second):
        atomic_store(&cell.rate_total[slot], 0)
        atomic_store(&cell.rate_failed[slot], 0)
        atomic_store(&cell.rate_slow[slot], 0)
    return True

cdef inline void count(Cell* cell, bint failed, bint slow, uint64_t now_ns) noexcept nogil:
    cdef uint64_t second = now_ns // <uint64_t>SECOND_NS
    cdef int slot = <int>(second % BREAKER_SLOTS)
    if not begin_slot(cell, second, slot):
        return
    atomic_add(&cell.rate_total[slot], 1)
    if failed:
        atomic_add(&cell.rate_failed[slot], 1)
    if slow:
        atomic_add(&cell.rate_slow[slot], 1)

cdef struct Rates:
    uint64_t total
    uint64_t failed
    uint64_t slow

cdef Rates rates_since(const Cell* cell, uint64_t first_s, uint64_t last_s) noexcept nogil:
    cdef Rates rates
    cdef uint64_t second
    cdef int slot
    rates.total = rates.failed = rates.slow = 0
    for slot in range(BREAKER_SLOTS):
        second = atomic_load(&cell.rate_epoch[slot])
        if first_s <= second <= last_s:
            rates.total += atomic_load(&cell.rate_total[slot])
            rates.failed += atomic_load(&cell.rate_failed[slot])
            rates.slow += atomic_load(&cell.rate_slow[slot])
    return rates

cdef inline uint64_t first_second(uint64_t window_s, uint64_t now_ns) noexcept nogil:
    cdef uint64_t second = now_ns // <uint64_t>SECOND_NS
    return second + 1 - window_s if second + 1 > window_s else 0

cdef double breaker_failure_share(
    const Cell* cell, uint64_t window_s, uint64_t now_ns
) noexcept nogil:
    cdef Rates rates = rates_since(
        cell, first_second(window_s, now_ns), now_ns // <uint64_t>SECOND_NS
    )
    if rates.total == 0:
        return 0.0
    # Why: a slot is read while others add to it, so a share above 1 is possible for an instant.
    return min(<double>rates.failed / <double>rates.total, 1.0)


# Transitions. Rule: each ends in one CAS on open_until_ns, from the value the decision was
# made on. Counts are stored before it, so that a worker killed after it leaves nothing that
# the new state would trip over; stored for a CAS that is then lost, they cost a few counts.

cdef inline uint64_t ejections_now(
    const Cell* cell, const BreakerTerms* terms, uint64_t now_ns
) noexcept nogil:
    # Ejections in a row as they have fallen since the last recovery: one per open_ns.
    cdef uint64_t ejections = atomic_load(&cell.ejections)
    cdef uint64_t since_ns = atomic_load(&cell.healthy_since_ns)
    cdef uint64_t fallen = (now_ns - since_ns) // terms.open_ns if now_ns > since_ns else 0
    return ejections - fallen if ejections > fallen else 0

cdef inline uint64_t open_time(
    const BreakerTerms* terms, uint64_t ejections, uint64_t* random
) noexcept nogil:
    # Why jitter: breakers that opened together would send their probes together.
    cdef double base_ns = min(
        <double>terms.open_ns * <double>ejections, <double>terms.open_max_ns
    )
    return <uint64_t>(base_ns * (0.8 + 0.4 * random_unit(random)))

cdef void open_from(
    Cell* cell, const BreakerTerms* terms, uint64_t held_ns, uint64_t now_ns, uint64_t* random
) noexcept nogil:
    # CLOSED (held_ns 0) or HALF_OPEN (held_ns the deadline that passed) -> OPEN.
    cdef uint64_t ejections = atomic_load(&cell.ejections) if held_ns else ejections_now(
        cell, terms, now_ns
    )
    # Why a bound: more would not lengthen the open time, only the way back.
    cdef uint64_t most = terms.open_max_ns // terms.open_ns + 1
    ejections = min(ejections + 1, most)
    atomic_store(&cell.probes, 0)
    if atomic_cas(&cell.open_until_ns, held_ns, now_ns + open_time(terms, ejections, random)):
        atomic_store(&cell.ejections, ejections)
        atomic_store(&cell.opened_at_ns, now_ns)
        atomic_store(&cell.consecutive, 0)

cdef void close_from(Cell* cell, uint64_t held_ns, uint64_t now_ns) noexcept nogil:
    # HALF_OPEN -> CLOSED. Slots up to this second count no more: healthy_since_ns.
    atomic_store(&cell.consecutive, 0)
    atomic_store(&cell.probes, 0)
    atomic_store(&cell.healthy_since_ns, now_ns)
    atomic_cas(&cell.open_until_ns, held_ns, 0)

cdef inline void mirror(Cell* cell, uint64_t now_ns) noexcept nogil:
    cdef uint64_t state = <uint64_t>breaker_state(cell, now_ns)
    if atomic_load(&cell.state) != state:
        atomic_store(&cell.state, state)


# Probes

cdef bint take_probe(Cell* cell, const BreakerTerms* terms, uint64_t now_ns) noexcept nogil:
    cdef uint64_t out = atomic_load(&cell.probes)
    cdef uint64_t last_ns
    # Rule: the loop ends, since each turn is another worker's probe taken or given back.
    while out < terms.probes:
        if atomic_cas(&cell.probes, out, out + 1):
            atomic_store(&cell.probed_at_ns, now_ns)
            return True
        out = atomic_load(&cell.probes)
    last_ns = atomic_load(&cell.probed_at_ns)
    # Rule: probes that nobody answers for (a worker was killed) are forgotten all at once,
    # by the one worker that moves probed_at_ns.
    if now_ns < last_ns + <uint64_t>PROBE_EXPIRY_NS:
        return False
    if not atomic_cas(&cell.probed_at_ns, last_ns, now_ns):
        return False
    atomic_store(&cell.probes, 1)
    return True

cdef void give_probe_back(Cell* cell) noexcept nogil:
    cdef uint64_t out = atomic_load(&cell.probes)
    while out and not atomic_cas(&cell.probes, out, out - 1):
        out = atomic_load(&cell.probes)


cdef bint breaker_admit(Cell* cell, const BreakerTerms* terms, uint64_t now_ns) noexcept nogil:
    cdef uint64_t until_ns = atomic_load(&cell.open_until_ns)
    cdef bint admitted
    if until_ns == 0:
        return True
    if now_ns < until_ns:
        return False
    admitted = take_probe(cell, terms, now_ns)
    mirror(cell, now_ns)
    return admitted


cdef bint should_open(
    const Cell* cell, const BreakerTerms* terms, uint64_t in_a_row, uint64_t now_ns
) noexcept nogil:
    cdef uint64_t since_s = atomic_load(&cell.healthy_since_ns) // <uint64_t>SECOND_NS
    cdef uint64_t first_s = first_second(terms.window_s, now_ns)
    cdef Rates rates
    if terms.consecutive and in_a_row >= terms.consecutive:
        return True
    if terms.failure_share >= 1.0 and terms.slow_share >= 1.0:
        return False
    if since_s:
        # Why + 1: the second of the recovery holds failures from before it.
        first_s = max(first_s, since_s + 1)
    rates = rates_since(cell, first_s, now_ns // <uint64_t>SECOND_NS)
    if rates.total == 0 or rates.total < terms.minimum:
        return False
    return (
        <double>rates.failed > terms.failure_share * <double>rates.total
        or <double>rates.slow > terms.slow_share * <double>rates.total
    )

cdef void observe_closed(
    Cell* cell, const BreakerTerms* terms, int verdict, bint slow,
    uint64_t now_ns, uint64_t* random,
) noexcept nogil:
    cdef uint64_t in_a_row = 0
    if verdict == VERDICT_SUCCESS:
        if atomic_load(&cell.consecutive):
            atomic_store(&cell.consecutive, 0)
        if not slow:
            return
    elif verdict == VERDICT_FAILURE:
        # Rule: compared with >=, so a count that a race carried past the threshold
        # opens the breaker at the next failure.
        in_a_row = atomic_add(&cell.consecutive, 1)
    if should_open(cell, terms, in_a_row, now_ns):
        open_from(cell, terms, 0, now_ns, random)

cdef void observe_probe(
    Cell* cell, const BreakerTerms* terms, int verdict, bint slow,
    uint64_t held_ns, uint64_t now_ns, uint64_t* random,
) noexcept nogil:
    give_probe_back(cell)
    if verdict == VERDICT_NEUTRAL:
        return
    if verdict == VERDICT_SUCCESS and not (slow and terms.slow_share < 1.0):
        close_from(cell, held_ns, now_ns)
    else:
        open_from(cell, terms, held_ns, now_ns, random)

cdef void breaker_observe(
    Cell* cell, const BreakerTerms* terms, int verdict, bint slow,
    uint64_t begun_ns, uint64_t now_ns, uint64_t* random,
) noexcept nogil:
    cdef uint64_t until_ns = atomic_load(&cell.open_until_ns)
    cdef bint probing = until_ns != 0 and begun_ns >= until_ns
    cdef bint failed = verdict == VERDICT_FAILURE or verdict == VERDICT_RATE_LIMITED
    slow = slow and terms.slow_ns != 0
    if verdict != VERDICT_NEUTRAL and begun_ns >= atomic_load(&cell.healthy_since_ns):
        count(cell, failed, slow, now_ns)
        if until_ns == 0:
            observe_closed(cell, terms, verdict, slow, now_ns, random)
    if probing:
        observe_probe(cell, terms, verdict, slow, until_ns, now_ns, random)
    mirror(cell, now_ns)


cdef int read_breaker(BreakerTerms* terms, object plan) except -1:
    """Fill `terms` from a BreakerPlan, or anything with its attributes."""
    terms.consecutive = plan.consecutive
    terms.minimum = plan.minimum
    terms.window_s = min(max(-(-plan.window_ns // <uint64_t>SECOND_NS), 1), BREAKER_SLOTS)
    # Why at least one: a breaker without probes or open time could never close, or never open.
    terms.probes = max(plan.probes, 1)
    terms.open_ns = max(plan.open_ns, 1)
    terms.open_max_ns = max(plan.open_max_ns, plan.open_ns, 1)
    terms.slow_ns = plan.slow_ns
    terms.failure_share = plan.failure_share
    terms.slow_share = plan.slow_share
    return 0


@cython.final
cdef class CircuitBreaker:
    """The breaker of one backend's cell, by the rules of a BreakerPlan."""

    def __init__(self, Board board not None, int backend, plan, uint64_t seed=0):
        if not 0 <= backend < board.backends:
            raise IndexError(f"backend {backend} of {board.backends}")
        self.board = board
        self.cell = board.cell(backend)
        self.random = seed
        read_breaker(&self.terms, plan)

    def state(self, uint64_t now_ns) -> str:
        """`closed`, `open` or `half_open`."""
        return STATES[<int>breaker_state(self.cell, now_ns)]

    def is_passable(self, uint64_t now_ns) -> bool:
        """Whether admit() would say yes; takes no probe."""
        return breaker_is_passable(self.cell, &self.terms, now_ns)

    def admit(self, uint64_t now_ns) -> bool:
        return breaker_admit(self.cell, &self.terms, now_ns)

    def observe(
        self, int verdict, uint64_t now_ns, *, bint slow=False, begun_ns: int | None = None
    ) -> None:
        """One attempt's verdict (0 success, 1 failure, 2 rate limited, 3 neutral)."""
        cdef uint64_t begun = now_ns if begun_ns is None else begun_ns
        breaker_observe(self.cell, &self.terms, verdict, slow, begun, now_ns, &self.random)

    def failure_share(self, uint64_t window_s, uint64_t now_ns) -> float:
        return breaker_failure_share(self.cell, window_s, now_ns)

    def cooldown(self, uint64_t until_ns) -> None:
        """Send nothing before `until_ns`; a later deadline that is there already stays."""
        breaker_cooldown(self.cell, until_ns)

    def is_cooling(self, uint64_t now_ns) -> bool:
        return breaker_is_cooling(self.cell, now_ns)
