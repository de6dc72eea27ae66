# The budget of retries or hedges: a share of the requests of the last ten seconds, and a
# few per second whatever the traffic (Finagle's RetryBudget).
#
# Rule 1: what is withdrawn in any ten seconds is at most share × requests + 10 × per_s.
# Rule 2: the balance is never negative, and bounded by Rule 1's figure.
# Local to one worker. Cost: a deposit is two adds; a withdrawal sums ten slots.

cimport cython
from libc.stdint cimport int64_t, uint64_t

cdef enum:
    BUDGET_SLOTS = 10
    BUDGET_SLOT_NS = 1_000_000_000
    BUDGET_TOKEN = 1_000_000            # one retry; shares count in millionths of it

cdef struct Budget:
    int64_t deposit                     # of each request
    int64_t reserve                     # always there
    uint64_t epoch                      # second of the newest slot
    int64_t slots[BUDGET_SLOTS]         # deposits less withdrawals, by second % BUDGET_SLOTS

cdef void budget_open(Budget* budget, double share, double per_s) noexcept nogil
cdef void budget_deposit(Budget* budget, uint64_t now_ns) noexcept nogil
cdef bint budget_withdraw(Budget* budget, uint64_t now_ns) noexcept nogil
cdef double budget_balance(Budget* budget, uint64_t now_ns) noexcept nogil     # in retries

@cython.final
cdef class RetryBudget:
    # One budget as an object, for tests and readers.
    cdef Budget budget
