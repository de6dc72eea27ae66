# The circuit breaker of one backend, on a Cell that all workers share.
#
#   CLOSED     open_until_ns == 0               attempts pass
#   OPEN       now_ns <  open_until_ns          none pass
#   HALF_OPEN  now_ns >= open_until_ns != 0     as many as `probes` pass at a time
#
#   CLOSED --too many failures--> OPEN --time--> HALF_OPEN --a probe succeeds--> CLOSED
#                                  ^--------------------------a probe fails-----'
#
# Rule 1: open_until_ns alone says the state, and each transition is one CAS on it. A worker
#         that is killed anywhere leaves a legal state; a transition lost to another worker
#         is that worker's transition.
# Rule 2: everything else is a count. A race may lose a few of a count; none can keep the
#         breaker shut or open: OPEN ends with time, a full set of probes ends with
#         PROBE_EXPIRY_NS, a window's slot ends after BREAKER_SLOTS seconds.
# Rule 3: only an attempt begun in this half-open period decides it; one that was under way
#         before is counted in the window and nothing else, and not even there when it began
#         before the last recovery (healthy_since_ns).
# Rule 4: Cell.state mirrors the state as of the last admit or observe, for readers of the
#         board who have no clock; breaker_state() is the truth.
# After linkerd's unified breaker and Envoy's outlier ejection: a 429 counts in the failure
# share, not among the failures in a row, and fails a probe.

cimport cython
from libc.stdint cimport uint64_t
from gateway._fast.board cimport (
    BREAKER_CLOSED, BREAKER_HALF_OPEN, BREAKER_OPEN, Board, Breaker, Cell,
    atomic_cas, atomic_load,
)

cdef enum:
    SECOND_NS = 1_000_000_000
    PROBE_EXPIRY_NS = 30_000_000_000    # a probe not heard of for so long is lost

cdef enum Verdict:                      # on one attempt
    VERDICT_SUCCESS = 0
    VERDICT_FAILURE = 1                 # 5xx, connect, time-out, truncated, protocol
    VERDICT_RATE_LIMITED = 2            # 429
    VERDICT_NEUTRAL = 3                 # the client's fault or will: says nothing of the backend

cdef struct BreakerTerms:               # of a BreakerPlan
    uint64_t consecutive                # failures in a row that open it; 0 never
    uint64_t minimum                    # attempts in the window before shares count
    uint64_t window_s                   # 1 … BREAKER_SLOTS
    uint64_t probes                     # half-open attempts at a time
    uint64_t open_ns                    # × ejections in a row, at most open_max_ns, ± 20 %
    uint64_t open_max_ns
    uint64_t slow_ns                    # the caller's measure of slow; 0 never
    double failure_share                # a larger share opens it; 1.0 never
    double slow_share                   # likewise; below 1.0 a slow probe fails as well

cdef inline Breaker breaker_state(const Cell* cell, uint64_t now_ns) noexcept nogil:
    cdef uint64_t until_ns = atomic_load(&cell.open_until_ns)
    if until_ns == 0:
        return BREAKER_CLOSED
    return BREAKER_OPEN if now_ns < until_ns else BREAKER_HALF_OPEN

cdef inline bint breaker_is_passable(
    const Cell* cell, const BreakerTerms* terms, uint64_t now_ns
) noexcept nogil:
    # Whether breaker_admit would let an attempt through now; changes nothing.
    cdef uint64_t until_ns = atomic_load(&cell.open_until_ns)
    if until_ns == 0:
        return True
    if now_ns < until_ns:
        return False
    return (
        atomic_load(&cell.probes) < terms.probes
        or now_ns >= atomic_load(&cell.probed_at_ns) + <uint64_t>PROBE_EXPIRY_NS
    )

# Whether an attempt may start. True in the half-open state takes a probe, which
# breaker_observe (with any verdict) or PROBE_EXPIRY_NS gives back.
# Cost: closed, one load and a compare.
cdef bint breaker_admit(Cell* cell, const BreakerTerms* terms, uint64_t now_ns) noexcept nogil

# What became of an attempt; `begun_ns` is the now_ns it was admitted with. Each admitted
# attempt is observed exactly once.
cdef void breaker_observe(
    Cell* cell, const BreakerTerms* terms, int verdict, bint slow,
    uint64_t begun_ns, uint64_t now_ns, uint64_t* random,
) noexcept nogil

# The share of failures among the attempts of the last `window_s` seconds; 0.0 of none.
cdef double breaker_failure_share(
    const Cell* cell, uint64_t window_s, uint64_t now_ns
) noexcept nogil

cdef inline void breaker_cooldown(Cell* cell, uint64_t until_ns) noexcept nogil:
    # The backend asked for a pause (Retry-After). Rule: a later deadline is never shortened.
    cdef uint64_t held_ns = atomic_load(&cell.cooldown_until_ns)
    while until_ns > held_ns and not atomic_cas(&cell.cooldown_until_ns, held_ns, until_ns):
        held_ns = atomic_load(&cell.cooldown_until_ns)

cdef inline bint breaker_is_cooling(const Cell* cell, uint64_t now_ns) noexcept nogil:
    return now_ns < atomic_load(&cell.cooldown_until_ns)

cdef int read_breaker(BreakerTerms* terms, object plan) except -1     # plan: BreakerPlan


@cython.final
cdef class CircuitBreaker:              # CircuitBreaker(board, backend, plan, seed=0)
    # The breaker of one cell as an object: for the control plane and for tests.
    cdef Board board                    # keeps `cell` mapped
    cdef Cell* cell
    cdef BreakerTerms terms
    cdef uint64_t random
