"""Idle and awaited connections to one backend: see pool.pxd for the rules."""

import cython

from collections import deque

from gateway._fast.outcome cimport Outcome
from gateway._fast.peer cimport Peer
from gateway._fast.timers cimport Timed


cdef class Borrower(Timed):
    """Whoever wants a connection; an attempt, or a test."""

    cdef int on_lent(self, Peer peer) except -1:
        raise NotImplementedError

    cdef int on_not_lent(self, Outcome outcome) except -1:
        raise NotImplementedError


@cython.final
cdef class Pool:
    """Book-keeping alone: who dials, reads and expires connections is the caller's affair."""

    def __cinit__(self, int idle_limit):
        self.idle = []
        self.waiting = deque()
        self.idle_limit = idle_limit

    def __repr__(self):
        return (
            f"<Pool idle={len(self.idle)} lent={self.lent} dials={self.dials} "
            f"waiting={len(self.waiting)}>"
        )

    cpdef Peer take(self):
        """The idle peer used last, now lent; None when there is none."""
        if not self.idle:
            return None
        self.lent += 1
        return <Peer>self.idle.pop()

    cpdef bint keep(self, Peer peer) except -1:
        """Take a lent peer back; False when there is no room for it."""
        self.lent -= 1
        if len(self.idle) >= self.idle_limit:
            return False
        self.idle.append(peer)
        return True

    cpdef bint forget(self, Peer peer) except -1:
        """A peer is gone: an idle one is removed (True), a lent one is only counted."""
        # Cost: a scan of the idle stack, only when an idle connection closes or expires.
        if peer in self.idle:
            self.idle.remove(peer)
            return True
        self.lent -= 1
        return False

    cpdef int await_peer(self, Borrower borrower) except -1:
        borrower.waiting = True
        self.waiting.append(borrower)
        return 0

    cpdef int stop_waiting(self, Borrower borrower) except -1:
        if borrower.waiting:
            borrower.waiting = False
            self.waiting.remove(borrower)
        return 0

    cpdef Borrower next_waiting(self):
        cdef Borrower borrower
        if not self.waiting:
            return None
        borrower = <Borrower>self.waiting.popleft()
        borrower.waiting = False
        return borrower

    cpdef bint wants_dial(self) noexcept:
        """Whether fewer dials are under way than borrowers wait."""
        return self.dials < len(self.waiting)
