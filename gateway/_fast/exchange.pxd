# One downstream request and all that happens to it until it is settled.
#
#   READING -> WAITING (queue, back-off) -> ATTEMPTING -> RELAYING -> DONE
#                                                      -> TUNNELLING -> DONE
#   any -> DONE by a refusal, a fallback, a deadline or the client's going
#
# The methods of intake.pyx and exchange.pyx are the phases, in the order in which they happen:
# read, identify, admit, look up, route, lease, send, relay, retry, settle, record.
#
# Rule 1: exactly one answer goes downstream, or the connection is closed without one.
# Rule 2: settle() runs exactly once.
# Rule 3: after the first byte downstream (`committed`) nothing is retried.
# Rule 4: small fields are narrow so that the object stays below 512 bytes, the most that
#         Python's own allocator takes; beyond it an exchange costs a malloc.
# Rule 5: no task, future or timer object is made; a slow phase parks the exchange and a
#         callback resumes it.

from libc.stdint cimport uint8_t, uint64_t
from gateway._fast.attempt cimport Attempt
from gateway._fast.intake cimport Intake
from gateway._fast.outcome cimport Outcome
from gateway._fast.peer cimport Peer
from gateway._fast.worker cimport Worker

cdef class Exchange(Intake):
    cdef uint8_t is_counted             # in the route's row

    cdef Outcome identify(self) except *
    cdef Outcome admit(self) except *
    cdef Outcome look_up(self) except *
    cdef Outcome find_route(self, uint64_t now_ns) except *
    cdef int take_variant(self) except -1
    cdef Outcome check(self) except *
    cdef Outcome patch(self) except *
    cdef uint64_t sticky_hash(self) except? 0
    cdef Outcome apply_overrides(self, dict overrides) except *
    cdef bint override(self, bytes name, bytes value) except -1
    cdef int no_choice(self, int reason, uint64_t now_ns) except -1
    cdef int enqueue(self, uint64_t now_ns) except -1
    cdef int leave_queue(self, uint64_t now_ns) except -1
    cdef int client_writable(self, bint writable) except -1
    cdef int break_short(self, Outcome outcome, uint64_t now_ns) except -1
    cdef int refuse_unread(self, Outcome outcome, uint64_t now_ns) except -1
    cdef int begin_copies(self) except -1
    cdef int end_copies(self) except -1
    cdef int settle(self, uint64_t now_ns) except -1
    cdef int settle_arm(self, Attempt attempt) except -1
    cdef int record(self, uint64_t now_ns) except -1
    cdef int count_anomalies(self) except -1
    cdef bint keeps_payload(self) except -1
    cdef int time_up(self, uint64_t now_ns) except -1
    cdef int client_gone(self, uint64_t now_ns) except -1
    cdef int cut(self, uint64_t now_ns) except -1

cdef Exchange new_exchange(Worker worker, Peer client)
