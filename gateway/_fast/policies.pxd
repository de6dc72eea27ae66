# The policies: from who is eligible to a distribution, and a draw from it.
#
#   ordered              the first
#   weighted             by weight, slow start applied
#   least_loaded         two at random; the lower peak-EWMA × (in flight + 1) wins, the
#                        weight of slow start applied
#   cheapest             the lowest expected price of a successful answer
#   fastest              the lowest predicted latency
#   cheapest_within_slo  the cheapest predicted to keep the SLO; none: the fastest
#   balanced             the lowest weighted sum of cost, latency and 1 - quality, each
#                        scaled to 0 … 1 over those who are eligible
#
# Ties are broken at random. Who has no fresh prediction is tried by UNKNOWN_SHARE of the
# requests of the policies that need one; `exploration` of all requests go to anyone eligible.
# A sticky request goes to the eligible candidate of the highest hash (rendezvous), whatever
# the policy, and never explores; under `weighted` the shares follow the weights.
#
# Sets of positions are words of 64 bits.
# Rule: a Draw says the distribution completely; probability_of is exact for the procedure
# of drawn(), ties, pairs and exploration included.

from libc.stdint cimport uint64_t
from gateway._fast.board cimport Cell
from gateway._fast.breaker cimport BreakerTerms
from gateway._fast.learned cimport Gauges
from gateway._fast.limit cimport AdaptiveTerms

cdef extern from *:
    int __builtin_ctzll(unsigned long long word) noexcept nogil
    int __builtin_popcountll(unsigned long long word) noexcept nogil

cdef enum:
    CANDIDATES = 64                     # of a route, at most: one bit each in a word
    FRESH_SAMPLES = 5                   # a quantile of fewer is worth checking again
    DEFAULT_OUTPUT_TOKENS = 256         # where neither the request nor history says

cdef enum Policy:                       # the order of plan.POLICIES
    POLICY_ORDERED = 0
    POLICY_WEIGHTED = 1
    POLICY_LEAST_LOADED = 2
    POLICY_CHEAPEST = 3
    POLICY_FASTEST = 4
    POLICY_CHEAPEST_WITHIN_SLO = 5
    POLICY_BALANCED = 6

cdef enum Metric:
    METRIC_FIRST_BYTE = 0
    METRIC_TOTAL = 1

cdef struct Terms:                      # static facts of a backend, from its BackendPlan
    uint64_t capabilities
    uint64_t context_window             # tokens; 0 unknown, fits everything
    uint64_t max_concurrency            # 0 unlimited
    uint64_t slow_start_ns
    double input_usd                    # per token
    double output_usd
    double request_usd
    AdaptiveTerms adaptive              # Why here: its first word shares a cache line with these
    double quality                      # 0 … 1
    double cached_usd                   # per cached input token; for the bill, not the choice
    uint64_t key                        # hash of the backend's name, for sticky requests
    int index                           # in the plan
    BreakerTerms breaker

cdef struct Wish:                       # what a request needs; wish_into() sets the route's part
    uint64_t capabilities               # all of these bits
    uint64_t input_bytes
    uint64_t output_tokens              # its maximum; 0 unknown
    uint64_t now_ns
    uint64_t sticky                     # hash of what sticks; 0 nothing
    uint64_t tried                      # bit p: position p was tried already
    int required                        # index of the one backend wanted; -1 any
    int policy                          # Policy
    int slo_metric                      # Metric; also what `fastest` and `balanced` predict
    int slo_quantile                    # 0 … 3: p50, p90, p95, p99
    uint64_t slo_limit_ns               # 0 none

cdef enum:                              # Column: what choosing finds out; unnamed, to index with
    COLUMN_WEIGHT = 0                   # after slow start
    COLUMN_LOAD = 1
    COLUMN_USD = 2                      # expected, of a successful answer
    COLUMN_PREDICTED = 3                # ns; 0 unknown
    COLUMN_SCORE = 4                    # what the policy compared; the lowest wins
    COLUMNS = 5

cdef struct Roster:                     # the candidates of one route, by position
    int length
    double exploration                  # share of the requests that go to anyone eligible
    double balance[3]                   # weights of cost, latency and 1 - quality
    # Of who has what, so that nobody is asked in vain.
    uint64_t able[64]                   # by the number of the capability's bit
    uint64_t windowed                   # whose context window is known
    uint64_t limited                    # that have a limit, fixed or adaptive …
    uint64_t adaptive                   # … and of those, the adaptive ones
    double windows[CANDIDATES]          # tokens of context
    uint64_t ceilings[CANDIDATES]       # max_concurrency; UINT64_MAX unlimited
    uint64_t slow_starts_ns[CANDIDATES] # 0 none
    double weights[CANDIDATES]          # as configured
    Cell* cells[CANDIDATES]
    Gauges gauges[CANDIDATES]
    Terms terms[CANDIDATES]             # the rest of what is known of them
    # By the last choice: what its policy needed, no more. Why columns: a policy reads one or
    # two of them, several candidates at once, and a decision keeps no others.
    double found[COLUMNS][CANDIDATES]
    uint64_t stale                      # of whom no latency is known, or none that is fresh

cdef enum Spread:                       # how a draw falls on `best`
    SPREAD_EQUALLY = 0
    SPREAD_BY_WEIGHT = 1
    SPREAD_BY_PAIR = 2                  # two of them, the lower load

cdef struct Draw:                       # a distribution over positions
    uint64_t eligible                   # `exploration` draws from these …
    uint64_t unknown                    # … UNKNOWN_SHARE of the rest from these …
    uint64_t best                       # … and the policy from these
    int spread                          # Spread
    double exploration
    double weights                      # their sum

# Which columns of `found` say why this wish's choice fell as it did; a bit each.
cdef int columns_of(const Wish* wish) noexcept nogil

# Who of these has no slot free. Under `least_loaded` it finds their loads on the way.
cdef uint64_t at_limit(Roster* roster, const Wish* wish, uint64_t positions) noexcept nogil

# Rule: at_limit() was asked for these positions before.
cdef void distribute(
    Roster* roster, const Wish* wish, uint64_t eligible, Draw* draw
) noexcept nogil
cdef int drawn(
    const Roster* roster, const Draw* draw, bint* exploring, uint64_t* random
) noexcept nogil
cdef double probability_of(const Roster* roster, const Draw* draw, int position) noexcept nogil

# What is expected of one candidate.
cdef double expected_usd(const Terms* terms, const Cell* cell, const Wish* wish) noexcept nogil
cdef double predicted_ns(const Cell* cell, const Wish* wish) noexcept nogil     # 0 unknown
cdef bint is_fresh(const Cell* cell) noexcept nogil
# The share of its weight that a backend has so soon after it recovered.
cdef double slow_started(uint64_t slow_start_ns, const Cell* cell, uint64_t now_ns) noexcept nogil
cdef uint64_t limit_at(const Roster* roster, int position) noexcept nogil   # UINT64_MAX none


# Sets of positions.

cdef inline uint64_t bit(int position) noexcept nogil:
    return <uint64_t>1 << position

cdef inline uint64_t all_of(int length) noexcept nogil:
    return ~<uint64_t>0 >> (CANDIDATES - length)

cdef inline int lowest(uint64_t positions) noexcept nogil:
    return __builtin_ctzll(positions)

cdef inline int size_of(uint64_t positions) noexcept nogil:
    return __builtin_popcountll(positions)

cdef inline bint has(uint64_t positions, int position) noexcept nogil:
    return (positions >> position) & 1
