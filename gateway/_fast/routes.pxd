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
from gateway._fast.board cimport Board
from gateway._fast.policies cimport Roster, Terms, Wish

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

cdef enum:                              # what choose() returns in place of a position
    CHOSEN_NOT_CAPABLE = -1             # OUTCOME_NOT_CAPABLE: no capable candidate, or none fits
    CHOSEN_NO_BACKEND = -2              # OUTCOME_NO_BACKEND: none usable
    CHOSEN_WAIT = -3                    # all usable ones are at their limit: queue

cdef struct Choice:
    int position                        # or CHOSEN_*
    bint is_exploring                   # drawn by `exploration` or to find out, not by policy
    bint is_panic                       # breakers and health were ignored
    double probability                  # of this position
    uint64_t eligible                   # bit p: position p could have been drawn
    uint64_t excluded[EXCLUSIONS]       # bit p: for this reason; [EXCLUDED_NOT] == eligible

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
    cdef uint64_t wanted(self, int required) noexcept nogil
    cdef uint64_t able(self, uint64_t capabilities) noexcept nogil
