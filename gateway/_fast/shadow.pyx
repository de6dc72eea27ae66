"""Copies of a request, sent to backends whose answers no client sees: see shadow.pxd."""

import cython

from cpython.bytes cimport PyBytes_GET_SIZE
from libc.stdint cimport uint64_t
from gateway._fast.attempt cimport ATTEMPT_ENDED, Attempt
from gateway._fast.clock cimport realtime_s
from gateway._fast.errand cimport Errand
from gateway._fast.events cimport EVENTS_SSE
from gateway._fast.hashing cimport bucket_ppm, xxh3
from gateway._fast.mirror cimport (
    DAY_S, SKIP_DEFECT, SKIP_DRAINING, SKIP_LOG_FULL, SKIP_NONE, SKIP_NOT_CAPABLE, SKIP_NOT_KEPT,
    SKIP_TOO_LONG, Mirror, Skip, spend,
)
from gateway._fast.request cimport Request
from gateway._fast.worker cimport Worker

cdef enum:
    GRACE_NS = 1_000_000_000

# Forms of a body.
WHOLE, SSE, NDJSON = "whole", "sse", "ndjson"


cdef Original copy_request(Errand exchange, uint64_t capabilities, bint is_kept, str address):
    """Rule 1: what goes wrong here is a defect of the copy alone."""
    cdef Original original = None
    cdef Request request = exchange.request
    cdef uint64_t bucket = bucket_ppm(xxh3(request.id, request.id_length, 0))
    cdef Request sent
    cdef Mirror mirror
    cdef Shadow shadow
    cdef Skip skip
    for each in exchange.route.mirrors:
        mirror = <Mirror>each
        if bucket >= mirror.sample_ppm:
            continue
        skip = obstacle_of(exchange, mirror, capabilities, is_kept)
        sent = None
        if skip == SKIP_NONE:
            sent = request if not mirror.is_patched else patched(exchange, mirror)
            skip = SKIP_DEFECT if sent is None else mirror.admit(exchange.worker.now())
        if skip != SKIP_NONE:
            mirror.row.skips[<int>skip] += 1
            continue
        if original is None:
            original = Original.__new__(Original)
            original.exchange = exchange
            original.shadows = []
        original.limit = max(original.limit, mirror.max_bytes)
        shadow = Shadow.__new__(Shadow)
        shadow.mirror = mirror
        shadow.original = original
        shadow.address = address
        shadow.begin(exchange, sent, exchange.worker.now())
    return original


cdef Skip obstacle_of(Errand exchange, Mirror mirror, uint64_t capabilities, bint is_kept) except *:
    """Why no copy goes there; SKIP_NONE: one may, if the breaker lets it."""
    cdef Worker worker = exchange.worker
    cdef Request request = exchange.request
    cdef uint64_t body_bytes
    if not is_kept or request.body is None or request.websocket:
        return SKIP_NOT_KEPT
    body_bytes = <uint64_t>PyBytes_GET_SIZE(request.body)
    if body_bytes > mirror.max_bytes:
        return SKIP_TOO_LONG
    if capabilities & ~mirror.backend.terms.capabilities:
        return SKIP_NOT_CAPABLE
    if worker.draining:
        return SKIP_DRAINING
    if worker.stream is not None and worker.stream.is_short():
        return SKIP_LOG_FULL
    return mirror.obstacle(
        reserved_bytes(request, mirror), realtime_s() // <uint64_t>DAY_S, worker.now()
    )


cdef uint64_t reserved_bytes(Request request, Mirror mirror) noexcept:
    """The most that one copy may hold: what was asked, and two answers."""
    return request_bytes(request) + 2 * mirror.max_bytes


cdef uint64_t request_bytes(Request request) noexcept:
    # A patched request keeps the client's body alive by what was read first, at most.
    return <uint64_t>(PyBytes_GET_SIZE(request.body) + PyBytes_GET_SIZE(request.data))


cdef Request patched(Errand exchange, Mirror mirror):
    """What the arm asks otherwise: its prompt, its parameters. A body that is no JSON stays."""
    cdef Request request = exchange.request
    cdef bytes body
    if not request.decoded:
        return request
    try:
        body = exchange.table.slow.patched(mirror.plan, exchange.operation.name, request.body)
    except BaseException as error:
        exchange.worker.failed(error)
        return None
    return request if body is None else request.with_body(body, exchange.operation)


@cython.final
cdef class Original:
    """What the client asked and was answered; made by copy_request."""

    cdef int keep(self, bytes piece) except -1:
        """A piece of an answer that is relayed. Cost: no copy."""
        self.kept_bytes += <uint64_t>PyBytes_GET_SIZE(piece)
        if self.is_cut or self.kept_bytes > self.limit:
            self.is_cut = True
            self.pieces = None
            return 0
        if self.pieces is None:
            self.pieces = []
        self.pieces.append(piece)
        return 0

    cdef int close(self, bytes said) except -1:
        """The exchange is settled and recorded."""
        cdef Errand exchange = self.exchange
        cdef Attempt attempt = None if said is not None else exchange.attempt
        cdef list shadows = self.shadows
        cdef bytes body = said
        if attempt is not None and not self.is_cut and self.pieces is None:
            body = attempt.body
        # Why: what is longer than any copy's limit must not live on here.
        if body is not None and <uint64_t>PyBytes_GET_SIZE(body) > self.limit:
            body = None
        self.body = body
        self.answer = answer_of(exchange, attempt, body, exchange.ended_ns - exchange.read_ns)
        self.record_id = exchange.request.record_id or exchange.request.id[:exchange.request.id_length]
        self.is_over = True
        self.exchange = None
        self.shadows = None
        for each in shadows:
            if (<Shadow>each).is_over:
                (<Shadow>each).hand_over()
        return 0

    cdef uint64_t needed_bytes(self) noexcept:
        if self.pieces is not None:
            return self.kept_bytes
        return 0 if self.body is None else <uint64_t>PyBytes_GET_SIZE(self.body)


@cython.final
cdef class Shadow(Errand):
    """One copy of a request; made by copy_request."""

    def __repr__(self):
        return f"<Shadow {self.mirror.backend.name} is_over={self.is_over}>"

    cdef int begin(self, Errand exchange, Request request, uint64_t now_ns) except -1:
        cdef Attempt attempt
        self.worker = exchange.worker
        self.table = exchange.table
        self.request = request
        self.operation = exchange.operation
        self.route = exchange.route
        self.keeps_bodies = exchange.keeps_bodies
        self.begun_ns = self.read_ns = now_ns
        self.original.shadows.append(self)
        self.worker.shadows.add(self)
        self.hold(reserved_bytes(request, self.mirror))
        attempt = self.attempt_at(self.mirror.backend, self.mirror.row)
        self.attempt = attempt
        attempt.hold_bytes = self.mirror.max_bytes
        attempt.total_limit_ns = self.mirror.total_ns
        # Why beside the attempt's own: no defect there may hold on to memory for ever.
        self.worker.wheel.arm(self, now_ns + self.left_ns() + GRACE_NS)
        try:
            attempt.start(now_ns)
        except BaseException as error:
            self.worker.failed(error)
            self.attempt_crashed(attempt)
        return 0

    cdef str client_address(self):
        return self.address

    cdef uint64_t left_ns(self) noexcept:
        return min(self.mirror.total_ns, self.mirror.backend.total_ns)

    # -- Caller

    cdef int attempt_committed(self, Attempt attempt) except -1:
        """A stream has begun well, or an answer is longer than may be held."""
        # Safety: who is cancelled is let go, so that this may be the last reference to the copy.
        cdef Shadow copy = self
        cdef uint64_t now_ns = copy.worker.now()
        if attempt.events is not None:
            copy.keep(attempt.body)
            return 0
        copy.is_cut = True
        attempt.cancel(now_ns)
        return copy.end(now_ns)

    cdef int attempt_piece(self, Attempt attempt, bytes piece) except -1:
        self.keep(piece)
        return 0

    cdef int attempt_ended(self, Attempt attempt) except -1:
        return self.end(attempt.ended_ns)

    cdef int attempt_crashed(self, Attempt attempt) except -1:
        """A defect: the copy is over, whatever it was doing."""
        cdef Shadow copy = self     # Safety: as above
        if copy.is_over:
            return 0
        if attempt.state != ATTEMPT_ENDED:
            attempt.cancel(copy.worker.now())
        return copy.end(copy.worker.now())

    # -- ends

    cdef void on_deadline(self, uint64_t now_ns):
        self.attempt_crashed(self.attempt)

    cdef int keep(self, bytes piece) except -1:
        self.kept_bytes += <uint64_t>PyBytes_GET_SIZE(piece)
        if self.is_cut or self.kept_bytes > self.mirror.max_bytes:
            # Why read on: the usage stands in the last event.
            self.is_cut = True
            self.pieces = None
            return 0
        if self.pieces is None:
            self.pieces = []
        self.pieces.append(piece)
        return 0

    cdef int end(self, uint64_t now_ns) except -1:
        """The attempt is settled: pay for it, and wait for the client's side."""
        cdef Attempt attempt = self.attempt
        if self.is_over:
            return 0
        self.is_over = True
        self.worker.wheel.disarm(self)
        self.outcome = <int>attempt.outcome
        self.status = attempt.status
        self.ended_ns = now_ns
        self.upstream_ns = now_ns - self.begun_ns
        if attempt.cost_nano_usd:
            spend(self.mirror.backend.cell, realtime_s() // <uint64_t>DAY_S, attempt.cost_nano_usd)
        return self.hand_over() if self.original.is_over else 0

    cdef int hand_over(self) except -1:
        cdef Shadow copy = self     # Safety: the worker's may be the last reference
        if copy.is_handed_over:
            return 0
        copy.is_handed_over = True
        copy.worker.shadows.discard(copy)
        if copy.worker.shadowing is None:
            copy.release()
        else:
            copy.hold(copy.needed_bytes())
            copy.worker.shadowing.ended(copy)
        return 0

    cdef uint64_t needed_bytes(self) noexcept:
        """What is here of request and answers."""
        cdef bytes own = self.attempt.body
        cdef uint64_t needed = request_bytes(self.request) + self.original.needed_bytes()
        if self.pieces is not None:
            return needed + self.kept_bytes
        return needed if own is None else needed + <uint64_t>PyBytes_GET_SIZE(own)

    cdef void hold(self, uint64_t held_bytes) noexcept:
        self.mirror.backend.gauge.held_bytes += held_bytes - self.held_bytes
        self.held_bytes = held_bytes

    cdef bytes body(self):
        if self.is_cut:
            return None
        return self.attempt.body if self.pieces is None else b"".join(self.pieces)

    # -- for whoever compares and records

    def release(self):
        """Compared and recorded: nothing is held any more."""
        self.hold(0)
        self.original = None

    def cancel(self):
        """The worker ends and waits no longer."""
        cdef uint64_t now_ns = self.worker.now()
        if not self.is_over:
            self.attempt.cancel(now_ns)
            self.end(now_ns)
        if not self.is_handed_over:
            self.hand_over()

    @property
    def asked_route(self):
        return self.route

    @property
    def redacts(self):
        """Whether something may have to be taken out of what is recorded."""
        return self.route.redacts

    @property
    def slow(self):
        """The slow paths of the plan that it began with."""
        return self.table.slow

    @property
    def asked(self):
        """The body that the client sent, or what an arm made of it."""
        return self.request.body

    @property
    def operation_name(self):
        return self.operation.name

    @property
    def protocol(self):
        return self.operation.protocol

    @property
    def record_id(self):
        """Of the client's record; the request's id where there is none."""
        return self.original.record_id

    def own_answer(self):
        """What the copy was answered; see answer_of."""
        return answer_of(self, self.attempt, self.body(), self.upstream_ns)

    def client_answer(self):
        """What the client was answered; see answer_of."""
        cdef Original original = self.original
        if original.pieces is None:
            return original.answer
        return *original.answer[:3], b"".join(original.pieces), *original.answer[4:]


cdef tuple answer_of(Errand errand, Attempt attempt, bytes body, uint64_t total_ns):
    """(outcome, status, backend, body, form, total, first byte, cost in nano-USD, output tokens)."""
    cdef uint64_t first_byte_ns = 0
    cdef str form = WHOLE
    if attempt is None:
        return errand.outcome, errand.status, "", body, form, total_ns, 0, 0, -1
    if attempt.events is not None:
        form = SSE if attempt.events.kind == EVENTS_SSE else NDJSON
    if attempt.is_encoded:
        body = None
    if attempt.first_byte_ns:
        # Why from its beginning: as the record of a copy has it.
        first_byte_ns = attempt.first_byte_ns - min(attempt.first_byte_ns, attempt.begun_ns)
    return (
        errand.outcome, errand.status, attempt.backend.name, body, form,
        attempt.ended_ns - attempt.begun_ns, first_byte_ns, attempt.cost_nano_usd,
        attempt.usage.output_tokens,
    )
