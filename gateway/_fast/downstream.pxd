# One connection from a client: requests in, one exchange at a time, answers out.
#
#   IDLE -> HEAD -> LENGTH | CHUNKS -> BUSY -> IDLE …        keep-alive, pipelining
#   any   -> LINGER -> closed                               after a refusal: read on, so that
#                                                           the client can read the answer
#   BUSY  -> TUNNEL                                         after 101
#
# Rule 1: requests on one connection are answered in order; what comes early is kept,
#         up to a bound, and reading pauses beyond it.
# Rule 2: a head has an absolute deadline, a body a least rate; no byte resets either.
# Rule 3: once framing is in doubt the connection is closed, never read on as requests.
# Rule 4: a client that closes its side has gone: its exchange is cancelled.

from libc.stdint cimport uint32_t, uint64_t
from gateway._fast.chunked cimport Chunked
from gateway._fast.exchange cimport Exchange
from gateway._fast.head cimport Head
from gateway._fast.outcome cimport Outcome
from gateway._fast.peer cimport Peer
from gateway._fast.worker cimport Worker

cdef enum DownstreamState:
    DOWNSTREAM_IDLE = 0
    DOWNSTREAM_HEAD = 1
    DOWNSTREAM_LENGTH = 2
    DOWNSTREAM_CHUNKS = 3
    DOWNSTREAM_BUSY = 4
    DOWNSTREAM_TUNNEL = 5
    DOWNSTREAM_LINGER = 6

cdef class Downstream(Peer):
    cdef Worker worker
    cdef Exchange exchange              # from a head until its answer has gone out
    cdef int state                      # DownstreamState
    cdef bytes partial                  # the start of a head that is not whole yet
    cdef uint32_t searched
    cdef bint skipped_line              # one empty line before a request is forgiven
    cdef bint in_read                   # read() is on the stack: release() must not recurse
    cdef list unread                    # what came while BUSY
    cdef uint64_t unread_bytes
    cdef uint64_t remaining             # LENGTH: bytes still to come
    cdef uint64_t body_bytes            # received of this body
    cdef uint64_t body_since_ns
    cdef Chunked chunked
    cdef bint is_secure
    cdef bint is_counted

    cdef int crashed(self, object error) except -1
    cdef int go_idle(self, uint64_t now_ns) except -1
    cdef int linger(self, uint64_t now_ns) except -1
    cdef bint is_too_slow(self, uint64_t now_ns) noexcept
    cdef int read(self, bytes data, uint64_t now_ns) except -1
    cdef int stash(self, bytes data) except -1
    cdef int read_on(self, uint64_t now_ns) except -1
    cdef bytes read_head(self, bytes data, uint64_t now_ns)
    cdef bytes keep_partial(self, bytes data, uint64_t now_ns)
    cdef bytes begin(self, const Head* head, bytes data, uint32_t end, uint64_t now_ns)
    cdef bytes read_length(self, bytes data, uint64_t now_ns)
    cdef int end_body(self, Exchange exchange, uint64_t now_ns) except -1
    cdef bytes read_chunks(self, bytes data, uint64_t now_ns)
    cdef int refuse(self, Outcome outcome, uint64_t now_ns) except -1
    cdef int hear_end(self) except -1
