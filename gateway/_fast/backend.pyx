"""One backend as a worker sees it: see backend.pxd."""

import cython

from urllib.parse import quote

import json

from libc.stdint cimport uint64_t
from gateway._fast.board cimport Board, atomic_cas, atomic_load, atomic_store
from gateway._fast.outcome cimport Outcome
from gateway._fast.peer cimport Peer
from gateway._fast.pool cimport Borrower, Pool
from gateway._fast.timers cimport NO_LIMIT_NS
from gateway._fast.learned cimport find_gauges
from gateway._fast.marks cimport Marks
from gateway._fast.pointer cimport Pointer
from gateway._fast.routes cimport read_terms

# Never among a client's fields that are passed on, so that nothing can stand beside them.
CREDENTIALS = frozenset((b"authorization", b"x-api-key", b"api-key", b"x-goog-api-key"))


@cython.final
cdef class Backend:
    """Made from a BackendPlan (attributes of these names), this worker's slot and a dial()."""

    def __init__(
        self, plan, Board board not None, int slot, dial, *, Marks marks=None, Backend previous=None
    ):
        self.plan = plan
        self.index = plan.index
        self.cell_index = plan.cell
        self.name = plan.name
        self.name_bytes = plan.name.encode("ascii", "replace")
        self.fields = f"host: {plan.authority}\r\n".encode("latin-1") + b"".join(
            f"{name}: {value}\r\n".encode("latin-1") for name, value in plan.headers
        )
        own_names = frozenset(name.lower().encode("ascii") for name, _ in plan.headers) - CREDENTIALS
        self.own_names = own_names or None
        self.base_path = plan.base_path.encode("ascii")
        self.path = plan.path.encode("ascii")
        self.model_json = json.dumps(plan.model).encode("ascii")
        self.model_path = quote(plan.model, safe="").encode("ascii")
        read_terms(&self.terms, plan)
        self.board = board
        self.cell = board.cell(plan.cell)
        self.gauge = board.gauge(slot, plan.cell)
        self.recent = board.recent(slot, plan.cell)
        find_gauges(&self.gauges, board, plan.cell)
        self.pool = Pool(plan.pool_idle) if previous is None else previous.pool
        self.pool.idle_limit = plan.pool_idle
        self.is_current = True
        self.dial = dial
        self.forward = frozenset(name.encode("ascii") for name in plan.forward_headers)
        self.passes_encoding = plan.compression
        self.connect_ns = plan.connect_ns or NO_LIMIT_NS
        self.first_byte_ns = plan.first_byte_ns or NO_LIMIT_NS
        self.idle_ns = plan.idle_ns or NO_LIMIT_NS
        self.total_ns = plan.total_ns or NO_LIMIT_NS
        self.pool_idle_ns = plan.pool_idle_ns
        self.pool_age_ns = plan.pool_age_ns
        self.marks = marks
        self.version = plan.version.encode("ascii", "replace")
        self.record_name = json.dumps(plan.name).encode("ascii")
        self.record_fields = b',"backend":%b,"backend_model":%b' % (self.record_name, self.model_json)
        self.record_price = price_of(plan)
        self.read_pointers(plan)

    def read_pointers(self, plan):
        if plan.model_pointer:
            self.model_pointer = Pointer(plan.model_pointer)
            name = plan.model_pointer[1:]
            if "/" not in name and "~" not in name:
                self.model_member = json.dumps(name).encode("ascii") + b":" + self.model_json + b","
        if plan.confidence_pointer:
            self.confidence_pointer = Pointer(plan.confidence_pointer)
        if plan.version_pointer:
            self.version_pointer = Pointer(plan.version_pointer)

    def __repr__(self):
        return f"<Backend {self.name} {self.pool!r}>"

    cdef int borrow(self, Borrower borrower) except -1:
        """Lend an idle connection at once, or have one dialled and lend the first that is free."""
        cdef Peer peer = self.pool.take()
        while peer is not None:
            self.gauge.idle -= 1
            # Why: one that is closing tells the pool only in a later turn of the loop.
            if not peer.closing:
                borrower.is_reused = True
                peer.lend(borrower)
                return borrower.on_lent(peer)
            peer = self.pool.take()
        self.pool.await_peer(borrower)
        return self.dial_if_wanted()

    cdef int dial_if_wanted(self) except -1:
        if self.pool.wants_dial():
            self.pool.dials += 1
            self.dial(self)
        return 0

    cdef int peer_made(self, Peer peer) except -1:
        """A dial succeeded: the oldest borrower has it, or the pool if nobody waits any more."""
        self.pool.dials -= 1
        self.gauge.connections += 1
        self.pool.lent += 1
        return self.peer_back(peer, True)

    cdef int peer_back(self, Peer peer, bint reusable) except -1:
        """A lent peer is free again: to the next borrower, to the pool, or closed."""
        cdef Borrower borrower
        if not reusable or peer.closing:
            peer.close()
            return 0
        borrower = self.pool.next_waiting()
        if borrower is not None:
            borrower.is_reused = peer.served > 0
            peer.lend(borrower)
            return borrower.on_lent(peer)
        if self.is_current and self.pool.keep(peer):
            self.gauge.idle += 1
            return 0
        if self.is_current:
            self.pool.lent += 1
        peer.close()
        return 0

    cdef int peer_gone(self, Peer peer) except -1:
        """The connection is closed, whoever had it."""
        self.gauge.connections -= 1
        if self.pool.forget(peer):
            self.gauge.idle -= 1
        return self.dial_if_wanted()

    cdef int dial_failed_c(self, Outcome outcome) except -1:
        """A dial failed: so did the borrower that has waited longest."""
        cdef Borrower borrower
        self.pool.dials -= 1
        borrower = self.pool.next_waiting()
        if borrower is not None:
            borrower.on_not_lent(outcome)
        return self.dial_if_wanted()

    def dial_failed(self, int outcome):
        self.dial_failed_c(<Outcome>outcome)

    def claim_check(self, uint64_t now_ns, uint64_t interval_ns):
        """Whether this worker makes the next health check: of all workers one does."""
        cdef uint64_t due_ns = atomic_load(&self.cell.check_at_ns)
        return now_ns >= due_ns and atomic_cas(&self.cell.check_at_ns, due_ns, now_ns + interval_ns)

    def set_health(self, bint is_healthy, uint64_t now_ns):
        """What active checks found; slow start counts from the recovery."""
        if is_healthy and atomic_load(&self.cell.unhealthy):
            atomic_store(&self.cell.healthy_since_ns, now_ns)
        atomic_store(&self.cell.unhealthy, 0 if is_healthy else 1)

    def retire(self):
        """A new plan has replaced this backend; what is lent is closed when it comes back."""
        self.is_current = False

    def close_idle(self):
        """Close what is idle: the place has changed, or the worker drains."""
        cdef Peer peer
        for peer in list(self.pool.idle):
            peer.close()


cdef bytes price_of(plan):
    """USD per million tokens and per request, as a record says it."""
    prices = {
        "input": plan.input_usd * 1e6, "output": plan.output_usd * 1e6,
        "cached": plan.cached_usd * 1e6, "request": plan.request_usd,
    }
    prices = {name: float(f"{usd:.9g}") for name, usd in prices.items() if usd}
    if not prices:
        return b""
    return b',"price":' + json.dumps({"source": "config"} | prices, separators=(",", ":")).encode("ascii")
