"""The bounded queue of one route: lanes, adaptive LIFO, CoDel. The rules are in the .pxd.

Cost: to come and go relinks two neighbours, 15 ns; pop looks at the eight lanes, 30 ns more.
Nothing is allocated.
After folly's Codel, and B. Maurer, "Fail at Scale", ACM Queue 13 (8), 2015.
"""

cimport cython
from libc.stdint cimport uint64_t

from gateway._fast.outcome cimport OUTCOME_OK, OUTCOME_QUEUE_FULL, OUTCOME_QUEUE_TIMEOUT
from gateway._fast.timers cimport Timed

cdef extern from *:
    int __builtin_ctzll(unsigned long long word) noexcept nogil

cdef enum:
    SERVICE_SHARE = 16                  # one part in so many of the newest in the EWMA


cdef inline uint64_t waited(Waiter waiter, uint64_t now_ns) noexcept:
    return now_ns - waiter.enqueued_ns if now_ns > waiter.enqueued_ns else 0


cdef class Waiter(Timed):
    """Something that can wait in a queue; what it does when its turn comes is its own."""


@cython.final
cdef class Ticket(Waiter):
    """A waiter that stands for nothing but its `note`."""

    def __init__(self, int priority=0, uint64_t wait_until_ns=0, note=None):
        self.priority = priority
        self.wait_until_ns = wait_until_ns
        self.note = note

    def __repr__(self):
        return f"<Ticket {self.note!r} priority={self.priority} verdict={<int>self.verdict}>"


@cython.final
cdef class Lane:
    """The waiters of one priority, a list linked both ways."""

    cdef void append(self, Waiter waiter) noexcept:
        waiter.older = self.newest
        if self.newest is None:
            self.oldest = waiter
        else:
            self.newest.newer = waiter
        self.newest = waiter
        self.length += 1

    cdef void take(self, Waiter waiter) noexcept:
        # Rule: whoever left points at nobody, so a chain of waiters is never kept by one.
        if waiter.older is None:
            self.oldest = waiter.newer
        else:
            waiter.older.newer = waiter.newer
        if waiter.newer is None:
            self.newest = waiter.older
        else:
            waiter.newer.older = waiter.older
        waiter.older = waiter.newer = None
        self.length -= 1


@cython.final
cdef class Queue:
    """At most `maximum` waiters, each for at most `max_wait_ns` (0: as long as it says)."""

    def __cinit__(
        self, int maximum, uint64_t max_wait_ns=0, uint64_t target_ns=0, uint64_t interval_ns=0
    ):
        if maximum < 0:
            raise ValueError(f"a queue cannot hold {maximum}")
        self.maximum = maximum
        self.max_wait_ns = max_wait_ns
        self.target_ns = target_ns
        self.interval_ns = interval_ns
        self.lanes = tuple([Lane() for _ in range(LANES)])

    def __len__(self):
        return self.length

    def __repr__(self):
        state = " overloaded" if self.overloaded else ""
        return f"<Queue {self.length}/{self.maximum}{state}>"

    # Coming and going

    cpdef int push(self, Waiter waiter, uint64_t now_ns) except -1:
        if waiter is None or waiter.queue is not None:
            raise ValueError("a waiter waits in one queue at a time")
        if not 0 <= waiter.priority < LANES:
            raise ValueError(f"there is no priority {waiter.priority}")
        self.evicted = None
        if self.length >= self.maximum and not self.evict_below(waiter.priority):
            waiter.verdict = OUTCOME_QUEUE_FULL
            return OUTCOME_QUEUE_FULL
        if self.length == 0:
            # Why: an empty queue is one look at which nobody had waited.
            self.least_wait_ns = 0
        waiter.enqueued_ns = now_ns
        if self.max_wait_ns and (
            waiter.wait_until_ns == 0 or waiter.wait_until_ns > now_ns + self.max_wait_ns
        ):
            waiter.wait_until_ns = now_ns + self.max_wait_ns
        self.link(waiter)
        return OUTCOME_OK

    cpdef Waiter pop(self, uint64_t now_ns):
        cdef Waiter waiter
        cdef Lane lane
        cdef bint dropping = self.look(now_ns)
        if self.length == 0:
            return None
        waiter = self.overdue(dropping, now_ns)
        if waiter is not None:
            return waiter
        lane = self.lane(__builtin_ctzll(self.occupied))
        waiter = lane.newest if self.is_late(lane, now_ns) else lane.oldest
        self.unlink(waiter)
        waiter.verdict = OUTCOME_OK
        if waiter.wait_until_ns and waiter.wait_until_ns <= now_ns:
            waiter.verdict = OUTCOME_QUEUE_TIMEOUT
            self.expired += 1
        return waiter

    cdef bint is_late(self, Lane lane, uint64_t now_ns) noexcept:
        # Adaptive LIFO: whether the oldest have waited so long that the newest are worth more.
        # Why not by length alone: a full queue of people who are served in time is no queue
        # of latecomers, and passing them over would refuse them late.
        if 2 * self.length <= self.maximum:
            return False
        return self.target_ns == 0 or waited(lane.oldest, now_ns) > 2 * self.target_ns

    cpdef bint remove(self, Waiter waiter) except -1:
        if waiter is None or waiter.queue is not self:
            return False
        self.unlink(waiter)
        return True

    cdef Lane lane(self, int priority):
        # Safety: the tuple holds LANES Lanes from __cinit__ on.
        return <Lane>self.lanes[priority]

    cdef void link(self, Waiter waiter) noexcept:
        waiter.queue = self
        self.lane(waiter.priority).append(waiter)
        self.occupied |= <uint64_t>1 << waiter.priority
        self.length += 1

    cdef void unlink(self, Waiter waiter) noexcept:
        cdef Lane lane = self.lane(waiter.priority)
        lane.take(waiter)
        waiter.queue = None
        if lane.length == 0:
            self.occupied &= ~(<uint64_t>1 << waiter.priority)
        self.length -= 1

    cdef bint evict_below(self, int priority) except -1:
        # Makes room by the oldest of the least urgent lane, if that is less urgent.
        cdef int last = LANES - 1
        while last > priority and not (self.occupied >> last) & 1:
            last -= 1
        if last <= priority:
            return False
        self.evicted = self.lane(last).oldest
        self.unlink(self.evicted)
        self.evicted.verdict = OUTCOME_QUEUE_FULL
        self.evictions += 1
        return True

    # Who is too late

    cdef bint look(self, uint64_t now_ns) except -1:
        # Looks at the longest wait, and says whether those past twice the target go. The
        # first look of an interval lets nobody go: one piece of news is not an overload.
        cdef uint64_t wait_ns = 0
        cdef Lane lane
        if self.target_ns == 0:
            return False
        for lane in self.lanes:
            if lane.oldest is not None:
                wait_ns = max(wait_ns, waited(lane.oldest, now_ns))
        if now_ns >= self.interval_ends_ns:
            self.overloaded = self.least_wait_ns > self.target_ns
            self.interval_ends_ns = now_ns + self.interval_ns
            self.least_wait_ns = wait_ns
            return False
        self.least_wait_ns = min(self.least_wait_ns, wait_ns)
        return self.overloaded

    cdef Waiter overdue(self, bint dropping, uint64_t now_ns):
        # The oldest of a lane, when it is too late for it; the least urgent lane first.
        cdef Waiter waiter
        cdef int priority
        for priority in range(LANES - 1, -1, -1):
            waiter = self.lane(priority).oldest
            if waiter is None:
                continue
            if waiter.wait_until_ns and waiter.wait_until_ns <= now_ns:
                self.expired += 1
            elif dropping and waited(waiter, now_ns) > 2 * self.target_ns:
                self.dropped += 1
            else:
                continue
            self.unlink(waiter)
            waiter.verdict = OUTCOME_QUEUE_TIMEOUT
            return waiter
        return None

    # Who would be too late

    cpdef void on_served(self, uint64_t service_ns, uint64_t concurrency) noexcept:
        """An attempt gave its slot back after `service_ns`; so many are served at once now."""
        self.concurrency = concurrency
        if self.service_ns == 0:
            self.service_ns = <double>service_ns
        self.service_ns += (<double>service_ns - self.service_ns) / SERVICE_SHARE

    cpdef uint64_t expected_wait_ns(self, int priority) noexcept:
        cdef int lane, ahead = 0
        if self.concurrency == 0:
            return 0
        for lane in range(min(priority + 1, LANES)):
            ahead += self.lane(lane).length
        return <uint64_t>(<double>ahead * self.service_ns / <double>self.concurrency)

    cpdef bint can_make(self, int priority, uint64_t deadline_ns, uint64_t now_ns) noexcept:
        """Whether a newcomer could be served before `deadline_ns`; hopeless work is refused.

        Under overload whoever waits twice the target is refused anyway: sooner is kinder.
        """
        cdef uint64_t wait_ns = self.expected_wait_ns(priority)
        if self.max_wait_ns and wait_ns > self.max_wait_ns:
            return False
        if self.overloaded and self.target_ns and wait_ns > 2 * self.target_ns:
            return False
        return now_ns + wait_ns <= deadline_ns
