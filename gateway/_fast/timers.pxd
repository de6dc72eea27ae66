# The timer wheel: every deadline of a worker, in ticks of ten milliseconds.
#
# Four wheels of 64 slots turn at 1, 64, 4096 and 262,144 ticks a slot. A timer waits in
# the finest wheel that reaches its deadline and moves down a wheel when its slot comes
# up; one further away than 46 hours waits in the coarsest and is placed again there.
#
# Cost: arm and disarm change four pointers; advance costs a visit for each timer due,
#       and nothing for ticks in which nothing happens. Nothing here allocates.
# Rule 1: a timer never fires early, and late by at most one tick and the loop's delay.
# Rule 2: a timer is unlinked and its deadline_ns 0 before its on_deadline runs, so that
#         on_deadline may arm, disarm or free any timer, itself included.
# Rule 3: the wheel owns nothing: it points at objects that unlink themselves when freed.
# Rule 4: timers of one tick fire in no particular order.
# Knows nothing of event loops: whoever owns the wheel calls advance() once a tick.

cimport cython
from libc.stdint cimport uint64_t

cdef enum:
    TICK_NS = 10_000_000
    NO_LIMIT_NS = 10_000_000_000_000_000    # 115 days: what a time-out of 0 becomes
    WHEELS = 4
    SLOT_BITS = 6
    SLOTS = 64                          # 1 << SLOT_BITS

cdef struct Node:                       # Rule: next is NULL exactly when not linked
    Node* next
    Node* previous
    uint64_t* armed                     # the count of the wheel it is linked in
    uint64_t* deadline_ns               # of the Timed around it
    void* owner                         # that Timed, borrowed; NULL for the head of a slot

cpdef uint64_t monotonic_ns() noexcept nogil    # CLOCK_MONOTONIC, read now


cdef class Timed:
    # Something with one deadline. Derive from it and override on_deadline; the signature
    # there is `cdef void on_deadline(self, uint64_t now_ns)`. What it raises is counted
    # in wheel.errors, goes to sys.unraisablehook and stops no other timer.
    cdef Node node
    cdef readonly uint64_t deadline_ns  # 0 = not armed
    cdef void on_deadline(self, uint64_t now_ns)


@cython.final
cdef class Alarm(Timed):
    # A timer that calls a Python callable with now_ns: for slow paths and tests.
    cdef object callback


@cython.final
cdef class Wheel:                       # Wheel(now_ns): the clock it starts from
    cdef readonly uint64_t now_ns       # the clock of the last advance; never goes back
    cdef readonly uint64_t armed        # timers linked
    cdef readonly uint64_t errors       # on_deadline calls that raised
    cdef uint64_t tick                  # the last tick whose timers were fired
    cdef uint64_t earliest              # no timer is placed before it: tick + 1 but while moving down
    cdef bint is_advancing
    cdef uint64_t occupied[WHEELS]      # bit s: slot s may hold something; set early, cleared late
    cdef Node slots[WHEELS * SLOTS]     # heads of circular lists
    cdef Node due                       # head of the list being fired
    cdef void arm(self, Timed timed, uint64_t deadline_ns) noexcept     # again if armed; 0 disarms
    cdef void disarm(self, Timed timed) noexcept
    cpdef void advance(self, uint64_t now_ns) noexcept
    cdef void place(self, Node* node) noexcept nogil
    cdef uint64_t next_tick(self, uint64_t target) noexcept nogil
    cdef void move_down(self) noexcept nogil
    cdef void fire_slot(self) noexcept
    cdef void fire(self, Node* node) noexcept
