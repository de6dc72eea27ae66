# One connection to a backend: requests out, answers in.
#
#   IDLE -> HEAD -> LENGTH | CHUNKS | CLOSE -> IDLE …       -> TUNNEL (after 101)
#
# Rule 1: a byte that comes while IDLE, or behind an answer's end, poisons the connection:
#         it is closed, never lent again.
# Rule 2: an interim answer (1xx) is no answer; a bounded number is read over.
# Rule 3: a body without length ends with the connection, and only a clean close counts.

from libc.stdint cimport uint32_t, uint64_t
from gateway._fast.attempt cimport Attempt
from gateway._fast.backend cimport Backend
from gateway._fast.chunked cimport Chunked
from gateway._fast.head cimport Head
from gateway._fast.outcome cimport Outcome
from gateway._fast.peer cimport Peer
from gateway._fast.worker cimport Worker

cdef enum UpstreamState:
    UPSTREAM_IDLE = 0
    UPSTREAM_HEAD = 1
    UPSTREAM_LENGTH = 2
    UPSTREAM_CHUNKS = 3
    UPSTREAM_CLOSE = 4
    UPSTREAM_TUNNEL = 5

cdef class Upstream(Peer):
    cdef Worker worker
    cdef Backend backend                # whose pool it lives in
    cdef Attempt attempt                # None while idle
    cdef int state                      # UpstreamState
    cdef bytes partial                  # the start of a head that is not whole yet
    cdef uint32_t searched              # bytes of it already searched for the end
    cdef uint64_t remaining             # LENGTH: bytes still to come
    cdef Chunked chunked
    cdef bint keep_alive                # as the answer being read says
    cdef int interims
    cdef uint64_t made_ns
    cdef readonly bint made             # the connection was there

    cdef int read(self, bytes data, uint64_t now_ns) except -1
    cdef bytes read_head(self, bytes data, uint64_t now_ns)
    cdef bytes begin_tunnel(self, const Head* head, bytes data, uint32_t end, uint64_t now_ns)
    cdef bytes begin_body(self, const Head* head, bytes data, uint32_t end, uint64_t now_ns)
    cdef bytes read_length(self, bytes data, uint64_t now_ns)
    cdef bytes read_chunks(self, bytes data, uint64_t now_ns)
    cdef int crashed(self, Attempt attempt, object error) except -1
    cdef int finish(self, bint proper, bytes rest, uint64_t now_ns) except -1
    cdef int lose(self, Outcome outcome, uint64_t now_ns) except -1
    cdef int hear_end(self, bint clean) except -1
