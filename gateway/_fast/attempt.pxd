# One try of an exchange at one backend: from wanting a connection to the answer's end.
#
#   NEW -> DIALING -> SENT -> HOLDING             -> ENDED     an answer kept until it is complete
#                          -> OPENING -> RELAYING -> ENDED     a stream, watched until its first event
#                          -> TUNNELLING          -> ENDED     after 101
#   any of them -> ENDED on failure, time-out or cancellation
#
# Rule 1: the caller hears attempt_ended exactly once, unless it cancelled or let go.
# Rule 2: an answer is a success only if its framing *and* its protocol say it is whole.
# Rule 3: what the attempt did is accounted once, in settle(), whatever happened.
# Rule 4: the connection goes back to the pool only after a whole answer to a whole request.
# Knows nothing of clients, routes and retries: its Caller decides those.

from libc.stdint cimport int64_t, uint32_t, uint64_t
from gateway._fast.backend cimport Backend
from gateway._fast.board cimport Row
from gateway._fast.events cimport Events
from gateway._fast.head cimport Field, Head
from gateway._fast.marks cimport Marks, Usage
from gateway._fast.operation cimport Operation
from gateway._fast.outcome cimport Outcome
from gateway._fast.peer cimport Peer, iovec
from gateway._fast.pool cimport Borrower
from gateway._fast.table cimport Turn
from gateway._fast.worker cimport Worker

cdef enum AttemptState:
    ATTEMPT_NEW = 0
    ATTEMPT_DIALING = 1
    ATTEMPT_SENT = 2
    ATTEMPT_HOLDING = 3
    ATTEMPT_OPENING = 4
    ATTEMPT_RELAYING = 5
    ATTEMPT_TUNNELLING = 6
    ATTEMPT_ENDED = 7

cdef class Caller(Turn):
    # Whoever an attempt works for: an exchange, or a copy of its request.
    cdef int attempt_lent(self, Attempt attempt) except -1          # send the request now
    cdef int attempt_committed(self, Attempt attempt) except -1     # a stream has begun well
    cdef int attempt_piece(self, Attempt attempt, bytes piece) except -1
    cdef int attempt_ended(self, Attempt attempt) except -1         # its outcome is set
    cdef int attempt_crashed(self, Attempt attempt) except -1       # attempt_ended raised: a defect
    cdef int attempt_upgraded(self, Attempt attempt) except -1
    cdef int attempt_writable(self, Attempt attempt, bint writable) except -1

cdef class Attempt(Borrower):
    cdef Worker worker
    cdef Caller caller                  # None once it was let go
    cdef Backend backend
    cdef Operation operation
    cdef Row* row                       # (route, backend, arm)
    cdef Peer server                    # while a connection is lent
    cdef readonly int position          # among the route's candidates
    cdef readonly int number            # 1 is the exchange's first
    cdef int state                      # AttemptState
    cdef readonly Outcome outcome
    cdef readonly int status            # of the answer; 0 none
    cdef bint settled
    cdef bint heard                     # a byte of the answer has come
    cdef bint is_hedge                  # beside a slow one
    cdef bint request_ended             # the whole request has been sent
    # times
    cdef uint64_t begun_ns
    cdef uint64_t sent_ns
    cdef uint64_t first_byte_ns         # when it came; 0 not yet
    cdef uint64_t last_ns               # latest piece
    cdef uint64_t ended_ns
    cdef uint64_t gap_max_ns            # between two pieces of a relayed answer …
    cdef uint32_t gaps                  # … and how many there were
    cdef uint64_t first_byte_limit_ns
    cdef uint64_t idle_limit_ns
    cdef uint64_t total_limit_ns        # 0: the backend's own
    cdef uint64_t total_until_ns        # when the attempt is over, whatever it does
    cdef uint64_t cooldown_max_ns       # a longer Retry-After is cut to this
    # what the request was
    cdef bint is_head                   # HEAD: no body follows
    cdef bint may_stream                # False: whatever comes is held
    cdef bint withholds_usage           # its usage event was asked for by us alone
    cdef bint may_upgrade
    cdef uint32_t choices
    cdef uint64_t hold_bytes
    cdef uint64_t request_bytes
    # the answer
    cdef bytes fields                   # as they go downstream, CRLF each; no framing
    cdef int64_t promised               # content-length; -1 none
    cdef list pieces                    # held or not yet committed
    cdef bytes body                     # whole, once ended well or with a status to pass on
    cdef uint64_t answer_bytes
    cdef bytes raw                      # the piece under way as it came, one whole chunk; or None
    cdef Events events                  # of a stream
    cdef Usage usage
    cdef uint64_t cost_nano_usd
    cdef double confidence              # of a prediction; NaN unknown
    cdef bytes version                  # of the model, as the answer says; None unknown
    cdef bint is_encoded                # content-encoding: unreadable here
    cdef bint is_json
    cdef bint has_date
    cdef bint has_cache_control
    cdef bint should_not_retry          # x-should-retry: false
    cdef uint64_t retry_after_ns        # a duration; 0 none

    cdef int start(self, uint64_t now_ns) except -1
    cdef int wait_for(self, uint64_t limit_ns, uint64_t now_ns) except -1
    cdef int send(self, bytes data, bint last) except -1
    cdef int send_whole(self, iovec* parts, int count) except -1
    cdef int note_sent(self, bint last) except -1
    cdef int on_head(self, const Head* head, bytes data, uint64_t now_ns) except -1
    cdef int read_fields(self, const Head* head, bytes data) except -1
    cdef int read_field(self, const Field* field, const char* data) except -1
    cdef int read_content_type(self, const char* value, uint32_t length) except -1
    cdef Marks marks(self)
    cdef Marks answer_marks(self)
    cdef int on_body(self, bytes piece, uint64_t now_ns) except -1
    cdef int keep(self, bytes piece) except -1
    cdef int join(self) except -1
    cdef int open(self, bytes piece, uint64_t now_ns) except -1
    cdef int commit(self, uint64_t now_ns) except -1
    cdef int relay(self, bytes piece, uint64_t now_ns) except -1
    cdef int on_end(self, bint proper, uint64_t now_ns) except -1
    cdef Outcome close_stream(self, bint proper, uint64_t now_ns) except *
    cdef Outcome stream_outcome(self, bint proper) except *
    cdef Outcome held_outcome(self, bint proper) except *
    cdef int on_lost(self, Outcome outcome, uint64_t now_ns) except -1
    cdef int on_upgraded(self, const Head* head, bytes data, uint64_t now_ns) except -1
    cdef int on_server_writable(self, bint writable) except -1
    cdef int read_answer(self) except -1
    cdef bint is_paused(self) noexcept
    cdef int fail(self, Outcome outcome, uint64_t now_ns) except -1
    cdef int end(self, Outcome outcome, uint64_t now_ns) except -1
    cdef int cancel(self, uint64_t now_ns) except -1
    cdef int let_go(self, bint reusable, uint64_t now_ns) except -1
    cdef int pause(self) except -1
    cdef int resume(self) except -1
    cdef int settle(self, uint64_t now_ns) except -1
    cdef bint is_slow(self, uint64_t total_ns) noexcept nogil
    cdef int cool_down(self, uint64_t now_ns) except -1
    cdef int settle_usage(self) except -1
    cdef int settle_success(self, uint64_t total_ns, uint64_t now_ns) except -1

cdef int verdict_of(Outcome outcome, int status) noexcept nogil
