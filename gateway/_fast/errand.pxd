# Something that is asked of backends, a client's request or a copy of it: what is asked, by
# which plan, of whom and when; and how it is written for one backend.
#
# Rule 1: the body goes as it came, but for the spliced edits a backend needs.
# Rule 2: nothing here decides whom to ask, or what becomes of the answer.

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint64_t
from gateway._fast.attempt cimport Attempt, Caller
from gateway._fast.backend cimport Backend
from gateway._fast.board cimport Row
from gateway._fast.operation cimport Operation
from gateway._fast.request cimport Request
from gateway._fast.splice cimport Edit
from gateway._fast.table cimport Route, Table
from gateway._fast.worker cimport Worker

cdef class Errand(Caller):
    cdef Worker worker
    cdef Table table                    # the plan it began with
    cdef Request request                # None when the head was no request
    cdef Operation operation
    cdef Route route
    cdef Attempt attempt                # under way, or the last one
    cdef Attempt first_attempt          # in the order in which they were begun …
    cdef list later_attempts            # … the others; None
    cdef uint64_t begun_ns              # the head was read
    cdef uint64_t ended_ns              # settled
    cdef uint64_t read_ns               # when the whole request was read
    cdef uint64_t queued_ns             # spent in queues
    cdef uint64_t upstream_ns           # spent in attempts
    cdef uint16_t status                # sent downstream; of a copy: of its answer; 0 none
    cdef uint8_t attempts               # begun
    cdef uint8_t keeps_bodies           # for its record
    cdef readonly uint8_t outcome       # Outcome, once settled

    cdef Attempt attempt_at(self, Backend backend, Row* row)
    cdef int write_request(self, Attempt attempt) except -1
    cdef int model_edit(self, Backend backend, Edit* edits) except -1
    cdef int write_request_head(self, Attempt attempt, uint64_t length) except -1
    cdef int write_framing(self, uint64_t length) except -1
    cdef bytes other_fields(self, Backend backend)
    cdef bytes client_fields(self, Backend backend)
    cdef str client_address(self)       # the storeys above know this …
    cdef uint64_t left_ns(self) noexcept    # … and how long the backend has
    cdef int write_target(self, Backend backend) except -1
    cdef int write_traceparent(self) except -1
