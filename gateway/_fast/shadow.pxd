# Copies of a request, sent to backends whose answers no client sees.
#
#   Original  the client's side: what it was answered, kept until it is compared
#   Shadow    one copy: one attempt at one backend
#
#   copy_request -> Shadow: the attempt -> ended    \
#   client's answer -> Original.close               /  both over -> worker.shadowing.ended(shadow)
#                                                      -> compared, recorded -> release()
#
# Rule 1: a copy begins when the client's answer has been sent, or, of a stream, has begun; and
#         nothing that becomes of it reaches the exchange.
# Rule 2: one attempt: no retry, no fallback, no queue.
# Rule 3: each copy that was begun is handed over exactly once, and releases what it holds.
# Rule 4: answers are held up to the mirror's max_bytes; of a longer one nothing is.
# Rule 5: once the exchange is over, neither it nor the Original points back at the other.

cimport cython
from libc.stdint cimport uint8_t, uint64_t
from gateway._fast.attempt cimport Attempt
from gateway._fast.errand cimport Errand
from gateway._fast.mirror cimport Mirror
from gateway._fast.request cimport Request

@cython.final
cdef class Original:
    cdef Errand exchange                # None once it is over
    cdef list shadows                   # begun, not handed over
    cdef list pieces                    # of an answer that is relayed
    cdef uint64_t kept_bytes            # in them
    cdef uint64_t limit                 # … at most
    cdef bint is_cut                    # they are not the whole answer
    cdef bint is_over
    cdef bytes record_id                # of the client's record; the request's where there is none
    cdef tuple answer                   # see answer_of; the body may stand in `pieces`
    cdef bytes body                     # in `answer`; None

    cdef int keep(self, bytes piece) except -1
    cdef int close(self, bytes said) except -1
    cdef uint64_t needed_bytes(self) noexcept

@cython.final
cdef class Shadow(Errand):
    cdef Original original
    cdef readonly Mirror mirror
    cdef str address                    # of the client
    cdef list pieces                    # of an answer that comes in events
    cdef uint64_t kept_bytes            # in them
    cdef uint64_t held_bytes            # counted at the gauge
    cdef uint8_t is_cut                 # its answer was too long
    cdef uint8_t is_over
    cdef uint8_t is_handed_over

    cdef int begin(self, Errand exchange, Request request, uint64_t now_ns) except -1
    cdef int keep(self, bytes piece) except -1
    cdef bytes body(self)
    cdef int end(self, uint64_t now_ns) except -1
    cdef int hand_over(self) except -1
    cdef uint64_t needed_bytes(self) noexcept
    cdef void hold(self, uint64_t held_bytes) noexcept

# Copies of what this exchange was asked, to those of its route's mirrors that draw it; None: to
# nobody. `capabilities` are what it asks of a backend; `is_kept` says whether its body is here.
cdef Original copy_request(Errand exchange, uint64_t capabilities, bint is_kept, str address)
