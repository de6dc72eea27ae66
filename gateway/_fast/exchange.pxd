# One downstream request and all that happens to it until it is settled.
#
#   READING -> WAITING (queue, back-off) -> ATTEMPTING -> RELAYING -> DONE
#                                                      -> TUNNELLING -> DONE
#   any -> DONE by a refusal, a fallback, a deadline or the client's going
#
# The methods of exchange.pyx are the phases, in the order in which they happen:
# read, identify, admit, look up, route, lease, send, relay, retry, settle, record.
#
# Rule 1: exactly one answer goes downstream, or the connection is closed without one.
# Rule 2: settle() runs exactly once.
# Rule 3: after the first byte downstream (`committed`) nothing is retried.
# Rule 4: small fields are narrow so that the object stays below 512 bytes, the most that
#         Python's own allocator takes; beyond it an exchange costs a malloc.
# Rule 5: no task, future or timer object is made; a slow phase parks the exchange and a
#         callback resumes it.

from libc.stdint cimport int16_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from gateway._fast.attempt cimport Attempt, Caller
from gateway._fast.backend cimport Backend
from gateway._fast.head cimport Head
from gateway._fast.operation cimport Operation
from gateway._fast.outcome cimport Outcome
from gateway._fast.peer cimport Peer
from gateway._fast.request cimport Request
from gateway._fast.routes cimport Choice, Wish
from gateway._fast.splice cimport Edit
from gateway._fast.table cimport Route, Table
from gateway._fast.worker cimport Worker

cdef enum ExchangeState:
    EXCHANGE_READING = 0
    EXCHANGE_QUEUED = 1                 # in the route's queue
    EXCHANGE_PAUSED = 2                 # backing off before a retry
    EXCHANGE_ATTEMPTING = 3
    EXCHANGE_RELAYING = 4
    EXCHANGE_TUNNELLING = 5
    EXCHANGE_DONE = 6

cdef class Exchange(Caller):
    cdef Worker worker
    cdef Table table                    # the plan it began with
    cdef Peer client                    # None once the client has gone
    cdef Request request                # None when the head was no request
    cdef Operation operation
    cdef Route route
    cdef Attempt attempt                # under way, or the last one
    cdef Attempt hedge                  # a second one at the same time
    cdef Attempt failed                 # the last one with an answer that may be passed on
    cdef uint8_t state                  # ExchangeState
    cdef readonly Outcome outcome
    cdef uint16_t status                # sent downstream; 0 none
    # choosing
    cdef Wish wish
    cdef Choice choice
    cdef uint8_t attempts               # begun
    cdef int16_t forced                 # position that must be taken next; -1 none
    cdef uint8_t tried_stale               # a dead idle connection has been replaced once
    cdef uint8_t fallback_at            # next entry of the route's chain
    cdef str fallback                   # what answered in the end; None: a candidate
    # body
    cdef list pieces
    cdef uint64_t buffered              # bytes counted in worker.buffered_bytes
    cdef uint64_t body_limit
    cdef uint8_t uploading              # the body is relayed as it comes
    cdef uint8_t upload_chunked
    cdef uint8_t upload_ended
    # answer
    cdef uint8_t committed              # bytes went downstream
    cdef uint8_t chunked                # the answer's framing downstream
    cdef uint8_t must_close
    cdef uint8_t is_counted             # in the route's row
    cdef bytes cors                     # fields for a cross-origin caller; None
    # times
    cdef uint64_t begun_ns              # the head was read
    cdef uint64_t read_ns               # the whole request was read
    cdef uint64_t queued_ns             # spent in queues
    cdef uint64_t upstream_ns           # spent in attempts
    cdef uint64_t total_deadline_ns
    cdef uint64_t resume_ns             # PAUSED: when to go on; else when to hedge, 0 never

    cdef int read_head(self, const Head* head, bytes data, uint32_t end, uint64_t now_ns) except -1
    cdef bint read_origin(self, uint64_t now_ns) except -1
    cdef bint say_own(self, uint64_t now_ns) except -1
    cdef int body_piece(self, bytes piece, uint64_t now_ns) except -1
    cdef int begin_upload(self, uint64_t now_ns) except -1
    cdef int upload(self, bytes piece, bint last) except -1
    cdef int body_ended(self, uint64_t now_ns) except -1
    cdef int proceed(self, uint64_t now_ns) except -1
    cdef Outcome identify(self) except *
    cdef Outcome admit(self) except *
    cdef Outcome look_up(self) except *
    cdef Outcome find_route(self, uint64_t now_ns) except *
    cdef int fill_wish(self) except -1
    cdef uint64_t sticky_hash(self) except? 0
    cdef Outcome apply_overrides(self, dict overrides) except *
    cdef bint override(self, bytes name, bytes value) except -1
    cdef int choose(self, uint64_t now_ns) except -1
    cdef int no_choice(self, int reason, uint64_t now_ns) except -1
    cdef int enqueue(self, uint64_t now_ns) except -1
    cdef int leave_queue(self, uint64_t now_ns) except -1
    cdef int lease(self, int position, Backend backend, uint64_t now_ns) except -1
    cdef Attempt new_attempt(self, int position, Backend backend)
    cdef int plan_hedge(self, Backend backend, uint64_t now_ns) except -1
    cdef int model_edit(self, Backend backend, Edit* edits) except -1
    cdef int write_request_head(self, Attempt attempt, uint64_t length) except -1
    cdef bytes client_fields(self, Backend backend)
    cdef int write_target(self, Backend backend) except -1
    cdef int write_traceparent(self) except -1
    cdef int send_upload(self, Attempt attempt, bytes body) except -1
    cdef bytes framed(self, bytes piece)
    cdef int client_writable(self, bint writable) except -1
    cdef int take_winner(self, Attempt attempt) except -1
    cdef int keep_failed(self, Attempt attempt) except -1
    cdef bint retries_elsewhere(self, Attempt attempt, uint64_t now_ns) except -1
    cdef bint retries_status(self, Attempt attempt) except -1
    cdef bint redirect(self, Attempt attempt) except -1
    cdef int retry(self, Attempt attempt, uint64_t now_ns) except -1
    cdef bint has_untried(self, uint64_t now_ns) except -1
    cdef uint64_t backoff_ns(self, Attempt attempt) except? 0
    cdef int start_hedge(self, uint64_t now_ns) except -1
    cdef int conclude(self, uint64_t now_ns) except -1
    cdef int fall_back(self, Outcome outcome, uint64_t now_ns) except -1
    cdef bint take_fallback(self, object entry, uint64_t now_ns) except -1
    cdef bint say_fallback(self, int status, bytes content_type, bytes body, uint64_t now_ns) except -1
    cdef bint fall_back_to_backend(self, int index, uint64_t now_ns) except -1
    cdef bint fall_back_to_route(self, int index, uint64_t now_ns) except -1
    cdef int answer(self, Attempt attempt, uint64_t now_ns) except -1
    cdef int end_relay(self, Attempt attempt, uint64_t now_ns) except -1
    cdef int break_off(self, Outcome outcome, bint is_stream) except -1
    cdef int break_short(self, Outcome outcome, uint64_t now_ns) except -1
    cdef bytes other_fields(self, Backend backend)
    cdef int begin_answer(self, int status) except -1
    cdef int write_attempt_fields(self, Attempt attempt, bint complete) except -1
    cdef int write_version(self, Attempt attempt) except -1
    cdef int write_length(self, uint64_t length) except -1
    cdef int end_head(self) except -1
    cdef int say(self, int status, bytes content_type, bytes body, uint64_t now_ns) except -1
    cdef int send_answer(self, bytes body, uint64_t now_ns) except -1
    cdef uint64_t retry_after_s(self, uint64_t now_ns) except? 0
    cdef int refuse(self, Outcome outcome, uint64_t now_ns) except -1
    cdef bint has_unread_body(self) noexcept
    cdef int refuse_unread(self, Outcome outcome, uint64_t now_ns) except -1
    cdef int finish(self, Outcome outcome, uint64_t now_ns) except -1
    cdef int settle(self, uint64_t now_ns) except -1
    cdef int record(self) except -1
    cdef int rearm(self, uint64_t now_ns) except -1
    cdef int time_up(self, uint64_t now_ns) except -1
    cdef int drop_attempts(self, uint64_t now_ns) except -1
    cdef int client_gone(self, uint64_t now_ns) except -1
    cdef int cut(self, uint64_t now_ns) except -1
    cdef object answer_key(self)
    cdef int keep_answer(self, Attempt attempt) except -1

cdef Exchange new_exchange(Worker worker, Peer client)
