# The side of an exchange that faces its client: the answer's head, and how its bytes are framed.
#
# Errand <- Reply <- Dispatch <- Recovery <- Intake <- Exchange: six storeys of one object, one
# concern each.
#
# Rule 1: nothing here decides what is answered; Exchange and Recovery do.
# Rule 2: an answer that cannot be finished never looks finished to the client.

from libc.stdint cimport uint8_t, uint64_t
from gateway._fast.attempt cimport Attempt
from gateway._fast.errand cimport Errand
from gateway._fast.outcome cimport Outcome
from gateway._fast.peer cimport Peer
from gateway._fast.shadow cimport Original

cdef class Reply(Errand):
    cdef Peer client                    # None once the client has gone
    cdef str fallback                   # what answered in the end; None: a candidate
    cdef bytes cors                     # fields for a cross-origin caller; None
    cdef bytes said                     # an answer of the gateway's own
    cdef list teed                      # pieces of a relayed answer, for the record; None
    cdef uint64_t teed_bytes
    cdef Original original              # what copies of the request wait for; None
    cdef bytes last_piece               # held until the record is written; None
    cdef uint8_t committed              # bytes went downstream
    cdef uint8_t chunked                # the answer's framing downstream
    cdef uint8_t must_close
    cdef uint8_t is_settled
    cdef uint8_t is_silent              # has no record: an answer of the gateway about itself

    cdef bytes framed(self, bytes piece)
    cdef int tee(self, bytes piece) except -1
    cdef int break_off(self, Outcome outcome, bint is_stream) except -1
    cdef int begin_answer(self, int status) except -1
    cdef int write_attempt_fields(self, Attempt attempt, bint complete) except -1
    cdef int write_version(self, Attempt attempt) except -1
    cdef int write_length(self, uint64_t length) except -1
    cdef bint has_unread_body(self) noexcept    # Exchange knows
    cdef int end_head(self) except -1
    cdef int say(
        self, int status, bytes content_type, bytes body, Outcome outcome, uint64_t now_ns
    ) except -1
    cdef int send_answer(self, bytes body, Outcome outcome, uint64_t now_ns) except -1
    cdef int close_account(self, Outcome outcome, uint64_t now_ns) except -1     # Exchange knows
    cdef uint64_t retry_after_s(self, uint64_t now_ns) except? 0

cdef int hex_into(char* out, uint64_t number) noexcept nogil
cdef uint64_t asked_ns(Attempt attempt) noexcept

# Whether pieces are kept: for the record, or to see whether they are JSON.
cdef bint tees(Reply reply) noexcept
# Bytes that are kept of an answer, but for its last piece.
cdef uint64_t tee_bound(Reply reply) noexcept
