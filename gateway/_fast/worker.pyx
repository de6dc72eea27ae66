"""What all exchanges of one worker process share: see worker.pxd."""

import cython
import os

from libc.stdint cimport uint64_t
from gateway._fast.board cimport Board
from gateway._fast.scratch cimport Scratch
from gateway._fast.segment cimport Stream
from gateway._fast.table cimport Table
from gateway._fast.timers cimport Wheel, monotonic_ns


@cython.final
cdef class Worker:
    """One per process; `apply` gives it its first table and each later one."""

    def __init__(self, loop, Board board not None, int slot, *, uint64_t now_ns=0, uint64_t seed=0):
        """With `now_ns` time stands still until `set_clock`; with `seed` every choice is repeatable."""
        self.held_ns = now_ns
        self.loop = loop
        self.board = board
        self.slot = slot
        self.seat = board.seat(slot)
        self.scratch = Scratch()
        self.wheel = Wheel(self.now())
        self.random = seed or <uint64_t>int.from_bytes(os.urandom(8), "little")
        self.peers = set()
        self.shadows = set()

    def apply(self, Table table not None, limits):
        """Use this table and this LimitsPlan from the next request on."""
        self.limits.connections = limits.connections
        self.limits.in_flight = limits.in_flight
        self.limits.buffered_bytes = limits.buffered_bytes
        self.limits.head_bytes = limits.head_bytes
        self.limits.head_fields = limits.head_fields
        self.limits.target_bytes = limits.target_bytes
        self.limits.head_ns = limits.head_ns
        self.limits.body_grace_ns = limits.body_grace_ns
        self.limits.body_bytes_per_s = limits.body_bytes_per_s
        self.limits.keepalive_ns = limits.keepalive_ns
        self.limits.connection_requests = limits.connection_requests
        self.table = table

    def record_with(self, recorder, Stream stream, bint sheds, append=None):
        """Write a record of every exchange; where it `sheds`, refuse requests without room for one."""
        self.recorder = recorder
        self.append = append
        self.stream = stream
        self.sheds = sheds
        self.counted[0] = self.counted[1] = self.counted[2] = 0

    def shed(self, bint sheds):
        """Whether requests without room for a record are refused, from the next one on."""
        self.sheds = sheds and self.stream is not None

    def compare_with(self, shadowing):
        """Hand copies of requests to it when they are over: `ended(shadow)`, `work()` once a tick."""
        self.shadowing = shadowing

    def cancel_shadows(self):
        """The time is up for copies of requests, too."""
        for shadow in list(self.shadows):
            shadow.cancel()

    def lame_duck(self):
        """Readiness off and every answer closes its connection; serve on."""
        self.draining = True

    def close_idle(self):
        """Close the client connections on which nothing is under way."""
        for peer in list(self.peers):
            peer.drain()

    def cut(self):
        """The time is up: end what is under way as well as it can be ended."""
        for peer in list(self.peers):
            peer.stop()

    def tick(self):
        """Fire what is due, serve who waits; called by the loop once a tick."""
        self.wheel.advance(self.now())
        self.table.serve_queues(self.wheel.now_ns)
        if self.shadowing is not None:
            self.shadowing.work()
        if self.stream is not None:
            self.count_records()

    cdef int count_records(self) except -1:
        """What the stream has written since the last look, on the seat for everyone to see."""
        cdef Stream stream = self.stream
        self.seat.records += stream.records - self.counted[0]
        self.seat.record_bytes += stream.written_bytes - self.counted[1]
        self.seat.records_dropped += stream.dropped - self.counted[2]
        self.counted[0] = stream.records
        self.counted[1] = stream.written_bytes
        self.counted[2] = stream.dropped
        return 0

    def set_clock(self, uint64_t now_ns):
        self.held_ns = now_ns

    cdef uint64_t now(self) noexcept nogil:
        if self.held_ns:
            return self.held_ns
        return monotonic_ns()

    def report(self, error):
        """A defect outside a callback: counted and told like one inside."""
        self.failed(error)

    cdef int failed(self, object error) except -1:
        """An exception escaped a callback: a defect. Count it and let the loop report it."""
        self.errors += 1
        self.loop.call_exception_handler({"message": "data plane callback failed", "exception": error})
        return 0
