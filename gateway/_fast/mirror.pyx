"""Where copies of a route's requests go, and what stands in their way: see mirror.pxd."""

import cython

from libc.stdint cimport uint64_t
from gateway._fast.backend cimport Backend
from gateway._fast.board cimport SKIP_SLOTS, Board, atomic_load
from gateway._fast.breaker cimport breaker_admit, breaker_is_cooling
from gateway._fast.learned cimport in_flight_of
from gateway._fast.limit cimport limit_of
from gateway._fast.routes cimport Terms
from gateway._fast.timers cimport NO_LIMIT_NS

SKIPS = (
    "not_kept", "too_long", "not_capable", "draining", "log_full", "unhealthy", "breaker",
    "concurrency", "memory", "money", "defect",
)
assert len(SKIPS) == SKIP_COUNT <= SKIP_SLOTS


@cython.final
cdef class Mirror:
    """Made from a ShadowPlan, this worker's slot, and the backend of that name."""

    def __init__(self, plan, Board board not None, int slot, Backend backend not None):
        self.plan = plan
        self.board = board
        self.backend = backend
        self.row = board.row(slot, plan.row)
        self.sample_ppm = plan.sample_ppm
        self.max_concurrency = plan.max_concurrency
        self.max_bytes = plan.max_bytes
        self.memory_bytes = plan.memory_bytes
        self.day_nano_usd = min(plan.day_nano_usd, NANO_MASK)
        self.total_ns = plan.total_ns or NO_LIMIT_NS
        self.is_patched = bool(plan.merge or plan.prompt)

    def __repr__(self):
        return f"<Mirror {self.backend.name}>"

    cdef Skip obstacle(self, uint64_t held_bytes, uint64_t day, uint64_t now_ns) noexcept:
        cdef Backend backend = self.backend
        cdef Terms* terms = &backend.terms
        cdef uint64_t limit = limit_of(backend.cell, terms.max_concurrency, terms.adaptive.initial)
        if atomic_load(&backend.cell.unhealthy):
            return SKIP_UNHEALTHY
        if breaker_is_cooling(backend.cell, now_ns):
            return SKIP_BREAKER
        if in_flight_of(&backend.gauges) >= min(limit, self.max_concurrency):
            return SKIP_CONCURRENCY
        if backend.gauge.held_bytes + held_bytes > self.memory_bytes:
            return SKIP_MEMORY
        if self.day_nano_usd and spent_on(backend.cell, day) >= self.day_nano_usd:
            return SKIP_MONEY
        return SKIP_NONE

    cdef Skip admit(self, uint64_t now_ns) noexcept:
        cdef Backend backend = self.backend
        return SKIP_NONE if breaker_admit(backend.cell, &backend.terms.breaker, now_ns) else SKIP_BREAKER

    def spend(self, uint64_t day, uint64_t nano_usd):
        """So much was paid on this UTC day."""
        spend(self.backend.cell, day, nano_usd)

    def spent(self, uint64_t day):
        """Nano-USD of this UTC day, all workers together."""
        return spent_on(self.backend.cell, day)

    def count_uncompared(self):
        """An answer was recorded without a look at its body."""
        self.row.uncompared += 1
