# Choosing a backend: who may serve a request, and who of them does.
#
# First the filters, in the order of Exclusion; the first that applies is the reason. Then
# the policy says a distribution over who is left, one is drawn, and the probability that
# the whole procedure had of drawing it is part of the answer.
#
#   ordered              the first
#   weighted             by weight, slow start applied
#   least_loaded         two at random, the lower peak-EWMA × (in flight + 1) wins
#   cheapest             the lowest expected price of a successful answer
#   fastest              the lowest predicted latency
#   cheapest_within_slo  the cheapest predicted to keep the SLO; none: the fastest
#   balanced             the lowest weighted sum of cost, latency and 1 - quality, each
#                        scaled to 0 … 1 over those who are left
#
# Ties are broken at random. Who has no fresh prediction is tried by UNKNOWN_SHARE of the
# requests of the policies that need one; `exploration` of all requests go to anyone eligible.
# A sticky request goes to the eligible candidate of the highest hash (rendezvous), whatever
# the policy, and never explores; under `weighted` shares follow the weights.
#
# Rule 1: choose() changes nothing on the board. The caller takes the breaker's probe with
#         breaker_admit; when that fails it sets the bit in wish.tried and chooses again.
#         When choice.is_panic it sends without asking.
# Rule 2: probability is the true marginal one: over positions it sums to 1.
# Rule 3: panic ignores breakers and health, never a cooldown, a limit or `disabled`.
# Cost: bench/micro/routes.py; 8 candidates 300 ns, 64 candidates 1.5 µs, at most.

cimport cython
from libc.stdint cimport uint64_t
from gateway._fast.board cimport Board, Cell
from gateway._fast.breaker cimport BreakerTerms
from gateway._fast.learned cimport Gauges
from gateway._fast.limit cimport AdaptiveTerms

cdef enum:
    CANDIDATES = 64                     # of a route, at most: one bit each in a word
    FRESH_SAMPLES = 5                   # a quantile of fewer is worth checking again
    DEFAULT_OUTPUT_TOKENS = 256         # where neither the request nor history says

cdef const double UNKNOWN_SHARE         # 0.05: of requests, to find out what is not known

cdef enum Policy:                       # the order of plan.POLICIES
    POLICY_ORDERED = 0
    POLICY_WEIGHTED = 1
    POLICY_LEAST_LOADED = 2
    POLICY_CHEAPEST = 3
    POLICY_FASTEST = 4
    POLICY_CHEAPEST_WITHIN_SLO = 5
    POLICY_BALANCED = 6

cdef enum Exclusion:
    EXCLUDED_NOT = 0
    EXCLUDED_DISABLED = 1               # by the operator; under `weighted`, also weight 0
    EXCLUDED_NOT_WANTED = 2             # the request names another backend
    EXCLUDED_CAPABILITY = 3
    EXCLUDED_CONTEXT = 4                # input and output would not fit its context window
    EXCLUDED_TRIED = 5
    EXCLUDED_COOLING_DOWN = 6           # it asked for a pause
    EXCLUDED_BREAKER_OPEN = 7           # or half-open with all probes out
    EXCLUDED_UNHEALTHY = 8
    EXCLUDED_AT_LIMIT = 9
    EXCLUSIONS = 10

cdef enum Metric:
    METRIC_FIRST_BYTE = 0
    METRIC_TOTAL = 1

cdef enum:                              # what choose() returns in place of a position
    CHOSEN_NOT_CAPABLE = -1             # OUTCOME_NOT_CAPABLE: no capable candidate, or none fits
    CHOSEN_NO_BACKEND = -2              # OUTCOME_NO_BACKEND: none usable
    CHOSEN_WAIT = -3                    # all usable ones are at their limit: queue

cdef struct Terms:                      # static facts of a backend, from its BackendPlan
    uint64_t capabilities
    uint64_t context_window             # tokens; 0 unknown, fits everything
    uint64_t max_concurrency            # 0 unlimited
    uint64_t slow_start_ns
    double input_usd                    # per token
    double output_usd
    double request_usd
    double quality                      # 0 … 1
    double cached_usd                   # per cached input token; for the bill, not the choice
    uint64_t key                        # hash of the backend's name, for sticky requests
    int index                           # in the plan
    BreakerTerms breaker
    AdaptiveTerms adaptive

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

cdef struct Candidate:                  # what choosing found out about one position
    double expected_usd                 # of a successful answer
    double predicted_ns                 # 0 unknown
    double load
    double weight                       # after slow start
    double score                        # what the policy compared; the lowest wins

cdef struct Choice:
    int position                        # or CHOSEN_*
    bint is_exploring                   # drawn by `exploration` or to find out, not by policy
    bint is_panic
    double probability                  # of this position
    uint64_t eligible                   # bit p: position p could have been drawn
    uint64_t excluded[EXCLUSIONS]       # bit p: for this reason; [EXCLUDED_NOT] == eligible

cdef struct Draw:                       # a distribution over positions
    uint64_t eligible                   # `exploration` draws from these …
    uint64_t unknown                    # … UNKNOWN_SHARE of the rest from these …
    uint64_t best                       # … and the policy from these: equally, or by …
    uint64_t by                         # … DRAW_* below
    double sum                          # of the weights, where by weight

cdef enum:
    DRAW_EQUAL = 0
    DRAW_WEIGHT = 1
    DRAW_PAIR = 2                       # two of them, the lower load

cdef int read_terms(Terms* terms, object plan) except -1       # plan: BackendPlan

@cython.final
cdef class Candidates:                  # Candidates(route, backends, board, cells); see routes.pyi
    cdef readonly int length
    cdef int policy
    cdef int slo_metric
    cdef int slo_quantile
    cdef uint64_t slo_limit_ns
    cdef double exploration
    cdef double panic_share
    cdef double cost_weight             # of `balanced`
    cdef double latency_weight
    cdef double quality_weight
    cdef uint64_t disabled              # bit p
    cdef object kept                    # what owns the memory below
    cdef tuple names
    cdef Terms[CANDIDATES] terms        # copies, side by side
    cdef double[CANDIDATES] weights     # as configured
    cdef Cell*[CANDIDATES] cells
    cdef Gauges[CANDIDATES] gauges
    cdef Candidate[CANDIDATES] found    # by the last choose(); what its policy needed, no more

    cdef void wish_into(self, Wish* wish) noexcept nogil        # zeros, and the route's policy and SLO
    cdef int choose(self, const Wish* wish, Choice* choice, uint64_t* random) noexcept nogil
    # Why a position was left out: EXCLUDED_*.
    cdef int reason_of(self, const Choice* choice, int position) noexcept nogil
    # When the first of those left out by cooldown or breaker may be asked again; 0 unknown.
    cdef uint64_t available_at_ns(self, const Choice* choice) noexcept nogil
    cdef int distribute(self, const Wish* wish, Choice* choice, Draw* draw) noexcept nogil
    cdef double probability_of(self, const Draw* draw, int position) noexcept nogil
    cdef double slow_started(self, int position, uint64_t now_ns) noexcept nogil
