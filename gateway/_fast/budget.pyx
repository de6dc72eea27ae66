"""The budget of retries or hedges: ten one-second slots of deposits less withdrawals."""

cimport cython
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memset


cdef void budget_open(Budget* budget, double share, double per_s) noexcept nogil:
    memset(budget, 0, sizeof(Budget))
    budget.deposit = <int64_t>(share * BUDGET_TOKEN + 0.5)
    budget.reserve = <int64_t>(per_s * BUDGET_SLOTS * BUDGET_TOKEN + 0.5)

cdef inline int64_t* slot_of(Budget* budget, uint64_t now_ns) noexcept nogil:
    # This second's slot; those of the seconds nobody came are emptied on the way.
    cdef uint64_t epoch = now_ns // <uint64_t>BUDGET_SLOT_NS
    cdef int slot
    if epoch >= budget.epoch + BUDGET_SLOTS:
        for slot in range(BUDGET_SLOTS):
            budget.slots[slot] = 0
        budget.epoch = epoch
    while budget.epoch < epoch:
        budget.epoch += 1
        budget.slots[budget.epoch % BUDGET_SLOTS] = 0
    # Rule: a clock that goes back finds the newest slot, never a future one.
    return &budget.slots[budget.epoch % BUDGET_SLOTS]

cdef inline int64_t balance_of(const Budget* budget) noexcept nogil:
    cdef int64_t sum = budget.reserve
    cdef int slot
    for slot in range(BUDGET_SLOTS):
        sum += budget.slots[slot]
    # Why never below zero: deposits may leave the window before the withdrawals they paid for.
    return max(sum, 0)

cdef void budget_deposit(Budget* budget, uint64_t now_ns) noexcept nogil:
    slot_of(budget, now_ns)[0] += budget.deposit

cdef bint budget_withdraw(Budget* budget, uint64_t now_ns) noexcept nogil:
    cdef int64_t* slot = slot_of(budget, now_ns)
    if balance_of(budget) < BUDGET_TOKEN:
        return False
    slot[0] -= BUDGET_TOKEN
    return True

cdef double budget_balance(Budget* budget, uint64_t now_ns) noexcept nogil:
    slot_of(budget, now_ns)
    return <double>balance_of(budget) / BUDGET_TOKEN


@cython.final
cdef class RetryBudget:
    """`share` of the requests of the last ten seconds, and `per_s` a second besides."""

    def __init__(self, double share, double per_s):
        if not (0 <= share <= 1000 and 0 <= per_s <= 1e6):
            raise ValueError(f"no budget is {share} of requests and {per_s} a second")
        budget_open(&self.budget, share, per_s)

    def deposit(self, uint64_t now_ns) -> None:
        """One request came."""
        budget_deposit(&self.budget, now_ns)

    def withdraw(self, uint64_t now_ns) -> bool:
        """Whether one retry may be made; it is paid for then."""
        return budget_withdraw(&self.budget, now_ns)

    def balance(self, uint64_t now_ns) -> float:
        """How many retries may be made now."""
        return budget_balance(&self.budget, now_ns)
