# Idle and awaited connections to one backend, in one worker. No sockets, no clock.
#
# Idle connections are a stack: the one used last is used next, so that few stay hot and
# the rest grow old. Borrowers wait in a queue, first come first served.
# Rule 1: a peer is idle in one pool, or lent to one borrower, never both.
# Rule 2: borrowers wait only while no peer is idle, so `dials` are under way for them.

from gateway._fast.outcome cimport Outcome
from gateway._fast.peer cimport Peer
from gateway._fast.timers cimport Timed

cdef class Borrower(Timed):
    cdef bint waiting                   # in a pool's queue
    cdef bint is_reused                 # its connection had served or been idle before

    cdef int on_lent(self, Peer peer) except -1
    cdef int on_not_lent(self, Outcome outcome) except -1

cdef class Pool:
    cdef list idle                      # of Peer; the last was used last
    cdef object waiting                 # deque of Borrower
    cdef int idle_limit
    cdef readonly int dials             # under way
    cdef readonly int lent

    cpdef Peer take(self)
    cpdef bint keep(self, Peer peer) except -1
    cpdef bint forget(self, Peer peer) except -1
    cpdef int await_peer(self, Borrower borrower) except -1
    cpdef int stop_waiting(self, Borrower borrower) except -1
    cpdef Borrower next_waiting(self)
    cpdef bint wants_dial(self) noexcept
