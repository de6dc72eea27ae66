# What an exchange does when an attempt fails: again, elsewhere, a second one beside it, or
# the route's fallback chain.
#
#   failed -> retry elsewhere at once
#          -> retry at the same backend after a pause, when nobody else is left
#          -> the chain: backend, route, cached, rule, unavailable, in the user's order
#          -> the failure as it is
#
# Rule 1: nothing is retried once bytes went downstream (attempt_ended looks first).
# Rule 2: a retry costs budget, but for the one replacement of a dead idle connection.
# Rule 3: of two attempts at once the first good answer counts; the other is cancelled.

from libc.stdint cimport int16_t, uint8_t, uint64_t
from gateway._fast.attempt cimport Attempt
from gateway._fast.backend cimport Backend
from gateway._fast.dispatch cimport Dispatch
from gateway._fast.outcome cimport Outcome
from gateway._fast.decision cimport Decision

cdef enum ExchangeState:
    EXCHANGE_READING = 0
    EXCHANGE_QUEUED = 1                 # in the route's queue
    EXCHANGE_PAUSED = 2                 # backing off before a retry
    EXCHANGE_ATTEMPTING = 3
    EXCHANGE_RELAYING = 4
    EXCHANGE_TUNNELLING = 5
    EXCHANGE_DONE = 6

cdef class Recovery(Dispatch):
    cdef Attempt hedge                  # a second one at the same time
    cdef Attempt failed                 # the last one with an answer that may be passed on
    cdef Decision decision              # the last choice; None yet
    cdef list decisions                 # those before it; None
    cdef uint64_t resume_ns             # PAUSED: when to go on; else when to hedge, 0 never
    cdef int16_t forced                 # position that must be taken next; -1 none
    cdef uint8_t state                  # ExchangeState
    cdef uint8_t tried_stale            # a dead idle connection has been replaced once
    cdef uint8_t fallback_at            # next entry of the route's chain
    cdef uint8_t is_panicking           # the last choice ignored breakers and health

    # What Exchange knows how to do.
    cdef int choose(self, uint64_t now_ns) except -1
    cdef int lease(self, int position, Backend backend, uint64_t now_ns) except -1
    cdef int fill_wish(self) except -1
    cdef int rearm(self, uint64_t now_ns) except -1
    cdef int answer(self, Attempt attempt, uint64_t now_ns) except -1
    cdef int end_relay(self, Attempt attempt, uint64_t now_ns) except -1
    cdef int refuse(self, Outcome outcome, uint64_t now_ns) except -1
    cdef int finish(self, Outcome outcome, uint64_t now_ns) except -1

    cdef int decide(self) except? -100
    cdef int plan_hedge(self, Backend backend, uint64_t now_ns) except -1
    cdef int take_winner(self, Attempt attempt) except -1
    cdef bint is_as_agreed(self, Attempt attempt) except -1
    cdef int keep_failed(self, Attempt attempt) except -1
    cdef bint retries_elsewhere(self, Attempt attempt, uint64_t now_ns) except -1
    cdef bint retries_status(self, Attempt attempt) except -1
    cdef bint redirect(self, Attempt attempt) except -1
    cdef int retry(self, Attempt attempt, uint64_t now_ns) except -1
    cdef bint has_untried(self, uint64_t now_ns) except -1
    cdef uint64_t backoff_ns(self, Attempt attempt) except? 0
    cdef int start_hedge(self, uint64_t now_ns) except -1
    cdef int conclude(self, uint64_t now_ns) except -1
    cdef int fall_back(self, Outcome outcome, uint64_t now_ns) except -1
    cdef bint take_fallback(self, object entry, uint64_t now_ns) except -1
    cdef bint say_fallback(self, int status, bytes content_type, bytes body, uint64_t now_ns) except -1
    cdef bint fall_back_to_backend(self, int index, uint64_t now_ns) except -1
    cdef bint fall_back_to_route(self, int index, uint64_t now_ns) except -1
    cdef int drop_attempts(self, uint64_t now_ns) except -1
    cdef object answer_key(self)
    cdef int keep_answer(self, Attempt attempt) except -1

cdef bint is_stale(Attempt attempt) noexcept nogil
