# What all exchanges of one worker process share: clock, timers, board, table, limits.
#
# Rule 1: one thread. Everything here is touched by the event loop's callbacks alone.
# Rule 2: `table` is replaced whole between two callbacks; an exchange keeps the one it
#         began with.

from libc.stdint cimport int64_t, uint32_t, uint64_t
from gateway._fast.board cimport Board, Seat
from gateway._fast.scratch cimport Scratch
from gateway._fast.segment cimport Stream
from gateway._fast.table cimport Table
from gateway._fast.timers cimport Wheel

cdef struct Limits:                     # from a LimitsPlan
    uint64_t connections
    uint64_t in_flight
    uint64_t buffered_bytes
    uint32_t head_bytes
    uint32_t head_fields
    uint32_t target_bytes
    uint64_t head_ns
    uint64_t body_grace_ns
    uint64_t body_bytes_per_s
    uint64_t keepalive_ns
    uint64_t connection_requests

cdef class Worker:
    cdef readonly object loop
    cdef readonly Wheel wheel
    cdef readonly Board board
    cdef readonly int slot
    cdef readonly Table table
    cdef readonly Scratch scratch
    cdef Limits limits
    cdef readonly bint draining
    cdef readonly int64_t connections
    cdef readonly int64_t in_flight
    cdef readonly int64_t buffered_bytes
    cdef readonly uint64_t errors       # exceptions that escaped a callback
    cdef readonly object recorder       # record.Recorder; None: nothing is recorded
    cdef readonly object append         # takes a messages.Feedback into the log; or None
    cdef Stream stream                  # what it writes into; or None
    cdef bint sheds                     # requests are refused while the stream is short
    cdef uint64_t[3] counted            # of the stream, on the seat already
    cdef Seat* seat                     # this worker's
    cdef uint64_t random                # state of the generator
    cdef set peers                      # open downstream connections
    cdef readonly set shadows           # copies of requests that are under way
    cdef readonly object shadowing      # whoever compares and records them; None: nobody
    cdef uint64_t held_ns               # a test's clock; 0: CLOCK_MONOTONIC

    cdef uint64_t now(self) noexcept nogil
    cdef int count_records(self) except -1
    cdef int failed(self, object error) except -1
