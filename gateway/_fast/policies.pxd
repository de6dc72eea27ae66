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
from gateway._fast.board cimport QUANTILES, Cell, atomic_load
from gateway._fast.learned cimport bytes_per_token_of, figure_load
from gateway._fast.routes cimport (
    DEFAULT_OUTPUT_TOKENS, FRESH_SAMPLES, METRIC_TOTAL, Roster, Terms, Wish
)

cdef extern from *:
    """
    #define UNKNOWN_SHARE 0.05
    #define SLOW_START_FLOOR 0.1
    #define FAILURE_SHARE_CAP 0.99
    """
    int __builtin_ctzll(unsigned long long word) noexcept nogil
    int __builtin_popcountll(unsigned long long word) noexcept nogil
    const double UNKNOWN_SHARE          # of the requests, to find out what is not known
    const double SLOW_START_FLOOR       # share of its weight that a recovered backend starts with
    const double FAILURE_SHARE_CAP      # above it a price would be a division by nearly nothing

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

# Rule: roster.found[].load is set for the eligible under `least_loaded`.
cdef void distribute(
    Roster* roster, const Wish* wish, uint64_t eligible, Draw* draw
) noexcept nogil
cdef int drawn(
    const Roster* roster, const Draw* draw, bint* exploring, uint64_t* random
) noexcept nogil
cdef double probability_of(const Roster* roster, const Draw* draw, int position) noexcept nogil


# Sets of positions.

cdef inline uint64_t bit(int position) noexcept nogil:
    return <uint64_t>1 << position

cdef inline int lowest(uint64_t positions) noexcept nogil:
    return __builtin_ctzll(positions)

cdef inline int size_of(uint64_t positions) noexcept nogil:
    return __builtin_popcountll(positions)

cdef inline bint has(uint64_t positions, int position) noexcept nogil:
    return (positions >> position) & 1


# What is expected of one candidate.

cdef inline double output_tokens_of(const Cell* cell, const Wish* wish) noexcept nogil:
    cdef double learned = figure_load(&cell.output_tokens_mean)
    cdef double most = <double>wish.output_tokens
    if learned > 0:
        return min(learned, most) if most > 0 else learned
    return most if most > 0 else <double>DEFAULT_OUTPUT_TOKENS

cdef inline double expected_usd(
    const Terms* terms, const Cell* cell, const Wish* wish
) noexcept nogil:
    # Of a successful answer: what failed has to be asked, and paid for, again.
    cdef double usd = terms.request_usd
    cdef double failed = figure_load(&cell.failure_share)
    if terms.input_usd > 0:
        usd += <double>wish.input_bytes / bytes_per_token_of(cell) * terms.input_usd
    if terms.output_usd > 0:
        usd += output_tokens_of(cell, wish) * terms.output_usd
    return usd / (1.0 - min(failed, FAILURE_SHARE_CAP)) if failed > 0 else usd

cdef inline double predicted_ns(const Cell* cell, const Wish* wish) noexcept nogil:
    # Safety: the mask keeps the index below QUANTILES, a power of two.
    cdef int quantile = wish.slo_quantile & (QUANTILES - 1)
    if wish.slo_metric == METRIC_TOTAL:
        return <double>atomic_load(&cell.total_q_ns[quantile])
    return <double>atomic_load(&cell.first_byte_q_ns[quantile])

cdef inline bint is_fresh(const Cell* cell) noexcept nogil:
    return atomic_load(&cell.samples) >= FRESH_SAMPLES

cdef inline double slow_started(
    const Terms* terms, const Cell* cell, uint64_t now_ns
) noexcept nogil:
    # The share of its weight a backend has so soon after it recovered. Why not at start,
    # healthy_since_ns 0: when all are new, nobody is spared by it.
    cdef uint64_t since_ns
    if terms.slow_start_ns == 0:
        return 1.0
    since_ns = atomic_load(&cell.healthy_since_ns)
    if since_ns == 0 or now_ns >= since_ns + terms.slow_start_ns:
        return 1.0
    if now_ns <= since_ns:
        return SLOW_START_FLOOR
    return max(SLOW_START_FLOOR, <double>(now_ns - since_ns) / <double>terms.slow_start_ns)
