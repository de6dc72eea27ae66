# Choosing a backend: who may serve a request, and who of them does.
#
# First the filters, in the order of Exclusion; the first that applies is the reason. Then
# the policy says a distribution over who is left, one is drawn, and the probability that
# the whole procedure had of drawing it is part of the answer (policies.pxd).
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

cdef enum Policy:                       # the order of plan.POLICIES
    POLICY_ORDERED = 0
    POLICY_WEIGHTED = 1
    POLICY_LEAST_LOADED = 2
    POLICY_CHEAPEST = 3
    POLICY_FASTEST = 4
    POLICY_CHEAPEST_WITHIN_SLO = 5
    POLICY_BALANCED = 6

cdef enum:                              # Exclusion; not a named enum, which cannot index
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
    bint is_panic                       # breakers and health were ignored
    double probability                  # of this position
    uint64_t eligible                   # bit p: position p could have been drawn
    uint64_t excluded[EXCLUSIONS]       # bit p: for this reason; [EXCLUDED_NOT] == eligible

cdef struct Roster:                     # the candidates of one route, by position
    int length
    double exploration                  # share of the requests that go to anyone eligible
    double balance[3]                   # weights of cost, latency and 1 - quality
    double weights[CANDIDATES]          # as configured
    Cell* cells[CANDIDATES]
    Gauges gauges[CANDIDATES]
    Terms terms[CANDIDATES]             # copies, side by side
    Candidate found[CANDIDATES]         # by the last choice: what its policy needed, no more

cdef int read_terms(Terms* terms, object plan) except -1       # plan: BackendPlan

@cython.final
cdef class Candidates:                  # Candidates(route, backends, board, cells, seed=0)
    # The candidates of one route, in the order of its plan.
    cdef readonly int length
    cdef readonly tuple names
    cdef uint64_t disabled              # bit p; whoever owns this object may change it
    cdef uint64_t weightless            # bit p: weight 0
    cdef int policy
    cdef int slo_metric
    cdef int slo_quantile
    cdef uint64_t slo_limit_ns
    cdef double panic_share
    cdef Board board                    # keeps the memory below mapped
    cdef uint64_t random                # of the Python methods
    cdef Roster roster

    # Zeros, and the route's own policy and SLO.
    cdef void wish_into(self, Wish* wish) noexcept nogil
    # The position, or CHOSEN_*.
    cdef int choose(self, const Wish* wish, Choice* choice, uint64_t* random) noexcept nogil
    # Why a position could not be drawn: EXCLUDED_*.
    cdef int reason_of(self, const Choice* choice, int position) noexcept nogil
    # When the first of those that cool down or are open may be asked again; 0: none is.
    cdef uint64_t available_at_ns(self, const Choice* choice) noexcept nogil

    cdef int read_slo(self, object slo) except -1
    cdef int place(self, int position, object plan, int cell, double weight) except -1
    cdef int make_wish(self, Wish* wish, dict asked) except -1
    cdef void filter(self, const Wish* wish, Choice* choice) noexcept nogil
    cdef uint64_t capable(self, const Wish* wish, uint64_t* excluded) noexcept nogil
