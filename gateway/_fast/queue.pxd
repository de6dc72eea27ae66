# The bounded queue of one route in one worker: who waits for a backend's slot.
#
# Eight lanes by priority, 0 the most urgent; a lane is served when those above are empty.
# Within a lane first come, first served, until the queue is more than half full and its
# oldest has waited twice the target: then the newest first, since the oldest will be too
# late for its client (adaptive LIFO). Without a target, half full alone decides.
# CoDel, folly's variant: a queue whose oldest waiter was past the target at every look of a
# whole interval is overloaded during the next one; then whoever has waited more than twice
# the target is refused. The oldest is looked at, not the one served: under LIFO the one
# served has hardly waited, however long the queue stands.
# A full queue takes someone more urgent and evicts the oldest of the least urgent lane: over
# half full the newest are served, so the oldest is the one whose place is worth least.
#
# Rule 1: a waiter is in at most one queue, and its priority does not change there.
# Rule 2: a queue holds a reference to each of its waiters, and lets go of it on leaving.
# Rule 3: length <= maximum.
# Rule 4: everyone leaves with a verdict: OUTCOME_OK, OUTCOME_QUEUE_FULL (evicted) or
#         OUTCOME_QUEUE_TIMEOUT; whoever removes a waiter says why itself.
# Rule 5: urgency is strict: a lane may starve, its waiters then time out.
# Arms no timer: the data plane arms the waiter's own, and removes it when it fires.

cimport cython
from libc.stdint cimport uint64_t
from gateway._fast.outcome cimport Outcome
from gateway._fast.timers cimport Timed

cdef enum:
    LANES = 8

cdef class Waiter(Timed):
    # Something that can wait in a queue. Derive from it; it needs no arguments.
    cdef readonly int priority          # 0 … LANES - 1; set before push
    cdef readonly Outcome verdict       # of the queue
    cdef readonly uint64_t enqueued_ns
    cdef readonly uint64_t wait_until_ns    # gives up then; 0 before push: only max_wait counts
    cdef Queue queue                    # where it waits; None: nowhere
    cdef Waiter older                   # neighbours in the lane
    cdef Waiter newer

@cython.final
cdef class Ticket(Waiter):              # Ticket(priority=0, wait_until_ns=0)
    # A waiter that stands for nothing, for tests.
    cdef readonly object note

@cython.final
cdef class Lane:
    cdef Waiter oldest
    cdef Waiter newest
    cdef int length
    cdef void append(self, Waiter waiter) noexcept
    cdef void take(self, Waiter waiter) noexcept

@cython.final
cdef class Queue:                       # Queue(maximum, max_wait_ns, target_ns, interval_ns)
    cdef readonly int maximum
    cdef readonly uint64_t max_wait_ns  # 0: no bound but the waiter's own
    cdef readonly uint64_t target_ns    # 0: no CoDel
    cdef readonly uint64_t interval_ns
    cdef readonly int length
    cdef readonly bint overloaded       # CoDel's state
    cdef readonly uint64_t dropped      # by CoDel
    cdef readonly uint64_t expired
    cdef readonly uint64_t evictions
    cdef readonly uint64_t concurrency  # attempts served at once; the caller keeps it
    cdef readonly double service_ns     # EWMA of how long an attempt holds its slot; 0 unknown
    cdef tuple lanes
    cdef uint64_t occupied              # bit p: lane p is not empty
    cdef uint64_t interval_ends_ns
    cdef uint64_t least_wait_ns         # of the oldest, over the looks of this interval
    cdef readonly Waiter evicted        # by the last push; None

    # OUTCOME_OK, or OUTCOME_QUEUE_FULL when nobody less urgent could be evicted. The caller
    # refuses `evicted`, if any, with its verdict. Lowers wait_until_ns to now + max_wait.
    cpdef int push(self, Waiter waiter, uint64_t now_ns) except -1
    # Who is next, out of the queue: to be served (verdict OUTCOME_OK) or to be refused
    # (OUTCOME_QUEUE_TIMEOUT; call again). None: nobody waits.
    cpdef Waiter pop(self, uint64_t now_ns)
    cdef bint is_late(self, Lane lane, uint64_t now_ns) noexcept
    cpdef bint remove(self, Waiter waiter) except -1    # False: it was not here
    cpdef void on_served(self, uint64_t service_ns, uint64_t concurrency) noexcept
    # A newcomer's wait behind those as urgent: length × service / concurrency; 0 unknown.
    cpdef uint64_t expected_wait_ns(self, int priority) noexcept
    cpdef bint can_make(self, int priority, uint64_t deadline_ns, uint64_t now_ns) noexcept

    cdef Lane lane(self, int priority)
    cdef void link(self, Waiter waiter) noexcept
    cdef void unlink(self, Waiter waiter) noexcept
    cdef bint evict_below(self, int priority) except -1
    cdef Waiter overdue(self, bint dropping, uint64_t now_ns)
    cdef bint look(self, uint64_t now_ns) except -1
