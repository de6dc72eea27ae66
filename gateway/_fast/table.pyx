"""The compiled route table of one plan: see table.pxd."""

import cython
import json

from http import HTTPStatus

from libc.stdint cimport uint64_t
from gateway._fast.backend cimport Backend
from gateway._fast.board cimport Board, Row
from gateway._fast.breaker cimport breaker_is_cooling, breaker_is_passable
from gateway._fast.budget cimport budget_open
from gateway._fast.head cimport (
    METHOD_DELETE, METHOD_GET, METHOD_HEAD, METHOD_OPTIONS, METHOD_PATCH, METHOD_POST, METHOD_PUT,
    METHOD_TRACE,
)
from gateway._fast.learned cimport in_flight_of
from gateway._fast.limit cimport limit_of
from gateway._fast.mirror cimport Mirror
from gateway._fast.pointer cimport Pointer
from gateway._fast.queue cimport Queue, Waiter
from gateway._fast.routes cimport Candidates, Terms
from gateway._fast.timers cimport NO_LIMIT_NS
from gateway._fast.unit cimport Unit

PAYLOADS = ("none", "digest", "sampled", "full")
METHODS = {
    "GET": METHOD_GET, "HEAD": METHOD_HEAD, "POST": METHOD_POST, "PUT": METHOD_PUT,
    "DELETE": METHOD_DELETE, "PATCH": METHOD_PATCH, "OPTIONS": METHOD_OPTIONS,
}


cdef enum:
    READ_AHEAD = 4096                   # payloads.redaction reads so much more than twice the limit


cdef class Turn(Waiter):
    """A waiter who is told when its turn has come."""

    cdef int on_turn(self, uint64_t now_ns) except -1:
        raise NotImplementedError


@cython.final
cdef class Route:
    """Made from a RoutePlan; `backends` are all of the plan's, by index.

    `layers` and `variants` are what rollouts make of it; `user_header` names the user.
    """

    def __init__(
        self, plan, Board board not None, int slot, list backends, answers=None, *,
        layers=(), variants=(), bytes user_header=b"",
    ):
        cdef Backend backend
        self.plan = plan
        self.index = plan.index
        self.name = plan.name
        self.protocol = plan.protocol
        self.board = board
        self.row = board.row(slot, plan.row)
        self.backends = []
        for index, row in zip(plan.candidates, plan.rows, strict=True):
            self.place_of(<Backend>backends[index], board.row(slot, row))
        self.candidates = Candidates(
            plan, [backend.plan for backend in backends], board,
            [backend.cell_index for backend in backends],
        )
        self.answers = answers
        self.sticky = Unit(plan.sticky, user_header) if plan.sticky else None
        self.read_experiments(plan, layers, variants)
        self.read_limits(plan)
        self.read_retry(plan)
        self.read_spares(plan, board, slot, backends)
        self.read_record(plan.record)
        self.mirrors = tuple([
            Mirror(shadow, board, slot, <Backend>backends[shadow.backend]) for shadow in plan.shadows
        ]) or None

    def read_experiments(self, plan, layers, variants):
        self.arm = plan.arm
        self.arm_field = f"x-gateway-arm: {plan.arm}\r\n".encode("ascii") if plan.arm else None
        self.is_patched = bool(plan.merge or plan.prompt)
        self.layers = tuple(layers) or None
        self.variants = [self, *variants]
        combinations = 1
        for layer in layers:
            combinations *= layer.arms
        if combinations != len(self.variants):
            raise ValueError(f"route {self.name}: {combinations} arms, {len(self.variants)} variants")

    def read_record(self, record):
        self.payload = PAYLOADS.index(record.payload)
        self.sample_ppm = record.sample_ppm
        self.payload_bytes = record.max_bytes
        self.features = Pointer(record.features) if record.features else None
        self.predictions = Pointer(record.predictions) if record.predictions else None
        self.predictions_bytes = 2 * self.payload_bytes + READ_AHEAD
        self.redacts = bool(record.redact_pointers or record.redact_patterns or record.is_encrypted)
        self.tee_bytes = self.predictions_bytes if self.redacts else self.payload_bytes
        self.redacts_names = bool(set(record.redact_patterns) - {"secrets"})
        self.hides_user = "/user" in record.redact_pointers
        self.records_headers = bool(record.headers)
        name = json.dumps(self.name)
        arm = f',"arm":{json.dumps(self.arm)}' if self.arm else ""
        self.decision_fields = f'{name}{arm}'.encode("ascii")
        self.record_fields = f',"route":{name}'.encode("ascii")
        self.record_names = [
            (<Backend>self.backends[place]).record_name for place in range(self.candidates.length)
        ]

    cdef int place_of(self, Backend backend, Row* row) except -1:
        """Where the backend stands in `backends`, added behind the others if it is new."""
        cdef int place
        for place in range(len(self.backends)):
            if self.backends[place] is backend:
                return place
        place = len(self.backends)
        if place == PLACES:
            raise ValueError(f"route {self.name}: more than {PLACES} backends")
        self.backends.append(backend)
        self.rows[place] = row
        return place

    cdef bint has_room(self, uint64_t now_ns) noexcept:
        """Whether some candidate could take one more attempt now."""
        cdef Backend backend
        cdef Terms* terms
        cdef int place
        for place in range(self.candidates.length):
            backend = <Backend>self.backends[place]
            terms = &backend.terms
            if (
                in_flight_of(&backend.gauges)
                < limit_of(backend.cell, terms.max_concurrency, terms.adaptive.initial)
                and breaker_is_passable(backend.cell, &terms.breaker, now_ns)
                and not breaker_is_cooling(backend.cell, now_ns)
            ):
                return True
        return False

    def read_limits(self, plan):
        self.queue = Queue(
            plan.queue.maximum, plan.queue.max_wait_ns, plan.queue.target_ns, plan.queue.interval_ns
        )
        self.queue_status = plan.queue.status
        self.first_byte_ns = plan.first_byte_ns
        self.total_ns = plan.total_ns or NO_LIMIT_NS
        self.body_bytes = plan.body_bytes
        self.replay_bytes = plan.replay_bytes
        self.hold_bytes = plan.hold_bytes
        self.priority = plan.priority
        self.websocket = plan.websocket
        self.is_off = plan.is_off
        contract = plan.contract
        self.checks_requests = contract is not None and contract.section.input is not None
        self.checks_answers = contract is not None and contract.section.output is not None
        self.overrides = frozenset(name.encode("ascii") for name in plan.overrides)

    def read_retry(self, plan):
        retry = plan.retry
        self.attempts = retry.attempts
        self.backoff_ns = retry.backoff_ns
        self.backoff_max_ns = retry.backoff_max_ns
        self.retry_after_max_ns = retry.retry_after_max_ns
        for status in retry.statuses:
            self.retries_status[<int>status] = 1
        for method in retry.methods:
            self.retries_method[<int>METHODS[method]] = 1
        budget_open(&self.retry_budget, retry.budget_share, retry.budget_per_s)
        if plan.hedge is not None:
            self.hedges = True
            self.hedge_after_ns = plan.hedge.after_ns
            budget_open(&self.hedge_budget, plan.hedge.budget_share, 0.0)

    def read_spares(self, plan, Board board, int slot, list backends):
        """Backends that only a fallback or a redirect may use stand behind the candidates."""
        self.larger_context = tuple([
            self.place_of(<Backend>backends[index], board.row(slot, row))
            for index, row in zip(plan.larger_context, plan.larger_context_rows, strict=True)
            if not (<Backend>backends[index]).plan.is_off
        ])
        self.content_filter = tuple([
            self.place_of(<Backend>backends[index], board.row(slot, row))
            for index, row in zip(plan.content_filter, plan.content_filter_rows, strict=True)
            if not (<Backend>backends[index]).plan.is_off
        ])
        self.fallback = plan.fallback
        for step in plan.fallback:
            if step.kind == "backend":
                self.place_of(<Backend>backends[step.index], board.row(slot, step.row))


@cython.final
cdef class Table:
    """Made by dataplane.table; `slow` answers what no request needs quickly."""

    def __init__(self, plan, list backends, list routes, dict answers, slow):
        cdef Route route
        self.plan = plan
        self.hash = plan.hash
        self.record_fields = f',"plan":"{plan.hash}"'.encode("ascii")
        self.user_header = plan.log.user_header.encode("ascii")
        self.backends = backends
        self.routes_by_index = routes
        self.all_routes = [variant for route in routes for variant in (<Route>route).variants]
        self.routes = {route.name.encode(): route for route in routes}
        self.default_route = routes[plan.default_route] if plan.default_route >= 0 else None
        self.answers = answers
        self.paths = [{} for _ in range(METHOD_TRACE + 1)]
        self.slow = slow
        self.server_line = f"server: {plan.server_header}\r\n".encode("latin-1") if plan.server_header else b""
        self.has_cors = plan.cors is not None
        self.has_forwarded = plan.forwarded.x_forwarded or plan.forwarded.forwarded
        self.body_bytes = max([route.body_bytes for route in routes], default=0)
        self.status_lines = STATUS_LINES

    def __repr__(self):
        return f"<Table {self.hash[:12]} routes={len(self.routes_by_index)}>"

    cdef tuple find(self, int method, bytes method_name, bytes path):
        """(Operation, Route or None, model name or None) of a path; None: nobody serves it.

        Cost: one look-up. A path seen for the first time is resolved in Python.
        """
        cdef dict paths = <dict>self.paths[method]
        cdef object found = paths.get(path, self)
        if found is self:
            found = self.slow.resolve(self, method_name, path)
            # Why: clients choose paths; the memory of them must not grow with that.
            if len(paths) >= PATHS_MAX:
                paths.clear()
            if method:
                paths[path] = found
        return <tuple>found

    cdef int serve_queues(self, uint64_t now_ns) except -1:
        """Let go whoever can be served or must be refused, route by route."""
        cdef Route route
        # Why `serving`: whoever is refused or answered at once ends up here again, one level
        # deeper for each of those who wait.
        if self.queued == 0 or self.serving:
            return 0
        self.serving = True
        try:
            for route in self.all_routes:
                if route.queue.length:
                    self.serve_queue(route, now_ns)
        finally:
            self.serving = False
        return 0

    cdef int serve_queue(self, Route route, uint64_t now_ns) except -1:
        cdef Turn turn
        # Why bounded: whoever finds no lease after all goes back into the queue.
        cdef int most = route.queue.length
        while most > 0 and route.has_room(now_ns):
            turn = <Turn>route.queue.pop(now_ns)
            if turn is None:
                return 0
            turn.on_turn(now_ns)
            most -= 1
        return 0

    def find_path(self, bytes method, bytes path):
        return self.find(METHODS.get(method.decode("latin-1"), 0), method, path)

    def waiting(self):
        """Exchanges waiting in the queues."""
        return self.queued


def status_line(int status):
    """`HTTP/1.1 200 OK` with its line end, for any status."""
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    return f"HTTP/1.1 {status:03d} {phrase}\r\n".encode("ascii")


# Cost: made once; looking 600 statuses up took longer than all else of a reload.
cdef list STATUS_LINES = [status_line(status) for status in range(600)]
