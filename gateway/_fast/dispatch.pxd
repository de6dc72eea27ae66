# The side of an exchange that faces the backends: a request rewritten for one of them, and sent.
#
# Rule: an upload is relayed at the backend's pace; the client is paused meanwhile.

from libc.stdint cimport uint8_t, uint64_t
from gateway._fast.attempt cimport Attempt
from gateway._fast.backend cimport Backend
from gateway._fast.layers cimport Assignments
from gateway._fast.reply cimport Reply
from gateway._fast.routes cimport Wish

cdef class Dispatch(Reply):
    cdef Wish wish                      # what is asked of a backend, and who was tried
    cdef Assignments assignments        # the arms it was given; None: no experiment
    cdef bytes received                 # the client's body where an arm or a contract changed it; None
    cdef object findings                # what contracts say of it and its answer; None: nothing
    cdef uint64_t total_deadline_ns
    cdef uint8_t uploading              # the body is relayed as it comes
    cdef uint8_t upload_chunked
    cdef uint8_t upload_ended

    cdef int upload(self, bytes piece, bint last) except -1
    cdef Attempt new_attempt(self, int position, Backend backend)
    cdef int send_upload(self, Attempt attempt, bytes body) except -1
