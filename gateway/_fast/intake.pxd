# The side of an exchange that takes its request in: head, body, and what needs no backend.
#
# Errand <- Reply <- Dispatch <- Recovery <- Intake <- Exchange.
#
# Rule 1: what never will be answered is refused by its head, before its body comes.
# Rule 2: a body is held up to the route's bound and the worker's; a longer one is relayed.
# Rule 3: what the gateway says about itself, feedback, and flags are no requests of any route.

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from gateway._fast.head cimport Head
from gateway._fast.recovery cimport Recovery

cdef class Intake(Recovery):
    cdef list pieces                    # of a body that came in several
    cdef uint64_t buffered              # bytes counted in worker.buffered_bytes
    cdef uint64_t body_limit
    cdef uint8_t is_feedback            # on an earlier request
    cdef uint8_t asks_flags             # a client of OpenFeature's remote evaluation

    # What Exchange knows how to do.
    cdef int proceed(self, uint64_t now_ns) except -1

    cdef int read_head(self, const Head* head, bytes data, uint32_t end, uint64_t now_ns) except -1
    cdef bint read_origin(self, uint64_t now_ns) except -1
    cdef bint say_own(self, uint64_t now_ns) except -1
    cdef int begin_feedback(self, const Head* head, uint64_t now_ns) except -1
    cdef int take_feedback(self, uint64_t now_ns) except -1
    cdef int begin_flags(self, const Head* head, uint64_t now_ns) except -1
    cdef int answer_flags(self, uint64_t now_ns) except -1
    cdef int body_piece(self, bytes piece, uint64_t now_ns) except -1
    cdef int begin_upload(self, uint64_t now_ns) except -1
    cdef int body_ended(self, uint64_t now_ns) except -1
