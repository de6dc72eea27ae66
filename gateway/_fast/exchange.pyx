"""One downstream request and all that happens to it: see exchange.pxd for states and rules.

The phases follow in the order in which they happen.
"""

import cython

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.math cimport isnan
from libc.string cimport memcpy
from gateway._fast.attempt cimport (
    ATTEMPT_ENDED, ATTEMPT_RELAYING, ATTEMPT_TUNNELLING, Attempt, Caller, verdict_of,
)
from gateway._fast.backend cimport Backend
from gateway._fast.board cimport Row
from gateway._fast.breaker cimport breaker_admit
from gateway._fast.budget cimport budget_deposit, budget_withdraw
from gateway._fast.hashing cimport random_below, random_next, xxh3
from gateway._fast.head cimport (
    Head, METHOD_CONNECT, METHOD_GET, METHOD_HEAD, METHOD_OPTIONS, METHOD_TRACE, is_token,
)
from gateway._fast.histogram cimport fine_add
from gateway._fast.operation cimport (
    MARKS_AUDIO, MARKS_FILE, MARKS_SCHEMA, MARKS_VISION, Operation, SLOT_TOOLS,
)
from gateway._fast.outcome cimport *
from gateway._fast.peer cimport Peer
from gateway._fast.request cimport EDITS_MAX, Request
from gateway._fast.routes cimport CHOSEN_NOT_CAPABLE, CHOSEN_WAIT, Choice, Wish
from gateway._fast.scan cimport JSON_ARRAY, JSON_MISSING, Member, SCAN_OK
from gateway._fast.scratch cimport Scratch
from gateway._fast.splice cimport (
    Edit, apply_edits_into, edited_length, member_inserted, object_at, value_replaced,
)
from gateway._fast.table cimport Route, Table
from gateway._fast.worker cimport Worker

cdef enum:
    NS_PER_MS = 1_000_000
    NS_PER_S = 1_000_000_000
    JOIN_BYTES = 65536                  # bodies up to this are copied behind their head: one write

cdef bytes CRLF = b"\r\n"
cdef bytes LAST_CHUNK = b"0\r\n\r\n"


cdef Exchange new_exchange(Worker worker, Peer client):
    cdef Exchange exchange = Exchange.__new__(Exchange)
    exchange.worker = worker
    exchange.table = worker.table
    exchange.client = client
    exchange.forced = -1
    worker.in_flight += 1
    return exchange


@cython.final
cdef class Exchange(Caller):

    # ------------------------------------------------------------------ read

    cdef int read_head(self, const Head* head, bytes data, uint32_t end, uint64_t now_ns) except -1:
        """The head is here: find out what is asked, and refuse what never will be answered."""
        cdef Request request = Request.__new__(Request)
        cdef tuple found
        self.begun_ns = now_ns
        self.request = request
        request.read_head(self.worker.scratch, &self.worker.random, head, data, end)
        if self.worker.scratch.overflowed:
            self.must_close = True
            return self.refuse(OUTCOME_HEAD_TOO_LARGE, now_ns)
        if head.method == METHOD_CONNECT or head.method == METHOD_TRACE:
            # Why: behind these a client may go on in another protocol.
            self.must_close = True
            return self.refuse(OUTCOME_METHOD_NOT_ALLOWED, now_ns)
        if request.has_origin and self.table.has_cors and self.read_origin(now_ns):
            return 0
        if self.table.answers and self.say_own(now_ns):
            return 0
        found = self.table.find(request.method, request.method_name, request.path)
        if found is None:
            return self.refuse(OUTCOME_NO_PATH, now_ns)
        self.operation = <Operation>found[0]
        self.route = <Route>found[1]
        request.model = <bytes>found[2]
        self.body_limit = self.table.body_bytes if self.route is None else self.route.body_bytes
        if head.content_length > 0 and <uint64_t>head.content_length > self.body_limit:
            return self.refuse(OUTCOME_BODY_TOO_LARGE, now_ns)
        if head.upgrade and not (request.websocket and self.route is not None and self.route.websocket):
            self.must_close = True
            return self.refuse(OUTCOME_UPGRADE_REFUSED, now_ns)
        return 0

    cdef bint read_origin(self, uint64_t now_ns) except -1:
        """CORS: note the fields to add; answer a preflight at once (True)."""
        cdef Request request = self.request
        self.cors = self.table.slow.cors(request.field(b"origin"))
        if self.cors is None or request.method != METHOD_OPTIONS:
            return False
        if request.field(b"access-control-request-method") is None:
            return False
        self.begin_answer(204)
        self.send_answer(b"", now_ns)
        self.finish(OUTCOME_OK, now_ns)
        return True

    cdef bint say_own(self, uint64_t now_ns) except -1:
        """What the gateway answers itself: health, the list of models."""
        cdef tuple answer
        if self.request.method != METHOD_GET and self.request.method != METHOD_HEAD:
            return False
        answer = <tuple>self.table.answers.get(self.request.path)
        if answer is None:
            return False
        status, content_type, body = answer
        if self.request.path == b"/readyz" and self.worker.draining:
            status, body = 503, b'{"ready":false,"reason":"draining"}'
        self.say(status, content_type, body, now_ns)
        self.finish(OUTCOME_OK, now_ns)
        return True

    cdef int body_piece(self, bytes piece, uint64_t now_ns) except -1:
        """A piece of the request's body: kept, or passed on when the body is relayed."""
        cdef Py_ssize_t length = PyBytes_GET_SIZE(piece)
        cdef Request request = self.request
        request.body_bytes += length
        if request.body_bytes > self.body_limit:
            return self.refuse(OUTCOME_BODY_TOO_LARGE, now_ns)
        if self.uploading:
            return self.upload(piece, False)
        if request.body is None:
            request.body = piece
        elif self.pieces is None:
            self.pieces = [request.body, piece]
        else:
            self.pieces.append(piece)
        self.buffered += length
        self.worker.buffered_bytes += length
        if self.worker.buffered_bytes > <int64_t>self.worker.limits.buffered_bytes:
            return self.refuse(OUTCOME_OVERLOADED, now_ns)
        if (
            self.route is not None and request.body_bytes > self.route.replay_bytes
            and self.operation.shape is None
        ):
            return self.begin_upload(now_ns)
        return 0

    cdef int begin_upload(self, uint64_t now_ns) except -1:
        """A body too long to keep: choose a backend now, send what is here, relay the rest."""
        self.uploading = True
        self.upload_chunked = self.request.content_length < 0
        if self.pieces is not None:
            self.request.body = b"".join(self.pieces)
            self.pieces = None
        self.client.pause()
        return self.proceed(now_ns)

    cdef int upload(self, bytes piece, bint last) except -1:
        """Relay a piece of the body, framed as the head promised."""
        cdef Attempt attempt = self.attempt
        if attempt is None or attempt.server is None:
            return 0
        attempt.request_bytes += PyBytes_GET_SIZE(piece)
        if self.upload_chunked:
            if PyBytes_GET_SIZE(piece):
                piece = b"%x\r\n%b\r\n" % (len(piece), piece)
            if last:
                piece += LAST_CHUNK
        if PyBytes_GET_SIZE(piece) or last:
            attempt.send(piece, last)
        return 0

    cdef int body_ended(self, uint64_t now_ns) except -1:
        """The request is whole."""
        cdef Request request = self.request
        self.read_ns = now_ns
        if self.uploading:
            self.upload_ended = True
            return self.upload(b"", True)
        if self.pieces is not None:
            request.body = b"".join(self.pieces)
            self.pieces = None
        elif request.body is None:
            request.body = b""
        return self.proceed(now_ns)

    cdef int proceed(self, uint64_t now_ns) except -1:
        """From a readable request to a lease: the straight line down the page."""
        cdef Outcome outcome
        if self.read_ns == 0:
            self.read_ns = now_ns
        outcome = self.identify()
        if outcome == OUTCOME_OK:
            outcome = self.admit()
        if outcome == OUTCOME_OK:
            outcome = self.look_up()
        if outcome == OUTCOME_OK:
            outcome = self.find_route(now_ns)
        if outcome != OUTCOME_OK:
            return self.refuse(outcome, now_ns)
        return self.choose(now_ns)

    # -------------------------------------------------------------- identify

    cdef Outcome identify(self) except *:
        """Who calls. Without keys configured everyone may."""
        return OUTCOME_OK

    # ----------------------------------------------------------------- admit

    cdef Outcome admit(self) except *:
        """Global limits: what is over them is refused before it costs anything."""
        if self.worker.in_flight > <int64_t>self.worker.limits.in_flight:
            return OUTCOME_OVERLOADED
        return OUTCOME_OK

    # --------------------------------------------------------------- look up

    cdef Outcome look_up(self) except *:
        """Caches: none yet; the last good answers serve the fallback chain only."""
        return OUTCOME_OK

    # ----------------------------------------------------------------- route

    cdef Outcome find_route(self, uint64_t now_ns) except *:
        """The route by the model's name, and what the request asks of a backend."""
        cdef Request request = self.request
        cdef Outcome outcome
        outcome = request.decode(self.operation)
        if outcome != OUTCOME_OK:
            return outcome
        if self.route is None:
            if request.model is None:
                self.route = self.table.default_route
                if self.route is None:
                    return OUTCOME_NO_MODEL
            else:
                self.route = <Route>self.table.routes.get(request.model)
        if self.route is None or self.route.protocol != self.operation.protocol:
            return OUTCOME_NO_ROUTE
        if request.body_bytes > self.route.body_bytes:
            return OUTCOME_BODY_TOO_LARGE
        self.is_counted = True
        self.route.row.requests += 1
        self.route.row.in_flight += 1
        self.route.row.request_bytes += request.body_bytes
        self.fill_wish()
        self.wish.now_ns = now_ns
        self.total_deadline_ns = now_ns + self.route.total_ns
        if request.has_overrides:
            outcome = self.apply_overrides(request.overrides())
        budget_deposit(&self.route.retry_budget, now_ns)
        budget_deposit(&self.route.hedge_budget, now_ns)
        return outcome

    cdef int fill_wish(self) except -1:
        cdef Request request = self.request
        cdef Operation operation = self.operation
        cdef Route route = self.route
        cdef Wish* wish = &self.wish
        route.candidates.wish_into(wish)
        wish.required = -1
        wish.capabilities = operation.capability
        if request.wants_stream:
            wish.capabilities |= operation.stream_bit
        if request.decoded:
            if has_elements(request.body, &request.members[<int>SLOT_TOOLS]):
                wish.capabilities |= operation.tools_bit
            if request.marks:
                wish.capabilities |= bits_of(operation, request.marks)
        if operation.is_generation:
            wish.input_bytes = request.body_bytes
            wish.output_tokens = request.max_output_tokens
        self.priority = route.priority
        if route.sticky:
            wish.sticky = self.sticky_hash()
        return 0

    cdef uint64_t sticky_hash(self) except? 0:
        """A hash of what the route sticks to; 0 when the request does not carry it."""
        cdef bytes value = self.table.sticky_value(self.route, self.request, self.client)
        if value is None or PyBytes_GET_SIZE(value) == 0:
            return 0
        return xxh3(PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value), 0) | 1

    cdef Outcome apply_overrides(self, dict overrides) except *:
        """x-gateway-* fields, where the route allows them; wrong ones are refused, not ignored."""
        for name, value in overrides.items():
            if name not in self.route.overrides:
                return OUTCOME_BAD_OVERRIDE
            if not self.override(name, value):
                return OUTCOME_BAD_OVERRIDE
        return OUTCOME_OK

    cdef bint override(self, bytes name, bytes value) except -1:
        read = self.table.slow.override(self.route, name, value)
        if read is None:
            return False
        if name == b"x-gateway-policy":
            self.wish.policy = read
        elif name == b"x-gateway-backend":
            self.wish.required = read
        elif name == b"x-gateway-timeout":
            self.total_deadline_ns = self.wish.now_ns + <uint64_t>read
        elif name == b"x-gateway-priority":
            self.priority = read
        elif name == b"x-gateway-capabilities":
            self.wish.capabilities |= <uint64_t>read
        return True

    cdef int choose(self, uint64_t now_ns) except -1:
        """Pick among the candidates by what is known now; wait when all good ones are busy."""
        cdef Route route = self.route
        cdef Backend backend
        cdef int position
        self.wish.now_ns = now_ns
        while True:
            position = self.forced
            if position < 0:
                position = route.candidates.choose(&self.wish, &self.choice, &self.worker.random)
            self.forced = -1
            if position < 0:
                return self.no_choice(position, now_ns)
            backend = <Backend>route.backends[position]
            if self.choice.is_panic or breaker_admit(backend.cell, &backend.terms.breaker, now_ns):
                return self.lease(position, backend, now_ns)
            # Why: another worker took the half-open breaker's probe between look and step.
            self.wish.tried |= <uint64_t>1 << position

    cdef int no_choice(self, int reason, uint64_t now_ns) except -1:
        if reason == CHOSEN_WAIT:
            return self.enqueue(now_ns)
        if self.failed is not None:
            return self.conclude(now_ns)
        return self.fall_back(
            OUTCOME_NOT_CAPABLE if reason == CHOSEN_NOT_CAPABLE else OUTCOME_NO_BACKEND, now_ns
        )

    # ----------------------------------------------------------------- lease

    cdef int enqueue(self, uint64_t now_ns) except -1:
        """All good candidates are at their limit: wait in the route's queue, or go at once."""
        cdef Route route = self.route
        cdef Exchange evicted
        cdef int outcome
        # Why once: who goes back into the queue does not get its time anew.
        if self.wait_until_ns == 0:
            self.wait_until_ns = now_ns + (self.total_deadline_ns - now_ns) // 4
        if not route.queue.can_make(self.priority, self.wait_until_ns, now_ns):
            return self.fall_back(OUTCOME_QUEUE_FULL, now_ns)
        outcome = route.queue.push(self, now_ns)
        if outcome != OUTCOME_OK:
            return self.fall_back(<Outcome>outcome, now_ns)
        self.state = EXCHANGE_QUEUED
        self.table.queued += 1
        route.row.queued += 1
        self.rearm(now_ns)
        if route.queue.evicted is not None:
            evicted = <Exchange>route.queue.evicted
            route.queue.evicted = None
            evicted.leave_queue(now_ns)
            return evicted.fall_back(OUTCOME_QUEUE_FULL, now_ns)
        return 0

    cdef int leave_queue(self, uint64_t now_ns) except -1:
        """Out of the queue, whoever took us out."""
        self.state = EXCHANGE_READING
        self.table.queued -= 1
        self.route.row.queued -= 1
        self.queued_ns += now_ns - self.enqueued_ns
        fine_add(&self.route.row.queue_ns, now_ns - self.enqueued_ns)
        return 0

    cdef int on_turn(self, uint64_t now_ns) except -1:
        """The queue has let us go first: choose again, or accept its refusal."""
        cdef int verdict = self.verdict
        self.leave_queue(now_ns)
        if verdict != OUTCOME_OK:
            return self.fall_back(<Outcome>verdict, now_ns)
        return self.choose(now_ns)

    cdef int lease(self, int position, Backend backend, uint64_t now_ns) except -1:
        """Begin an attempt: it asks the backend's pool for a connection."""
        cdef Attempt attempt = self.new_attempt(position, backend)
        self.state = EXCHANGE_ATTEMPTING
        self.attempt = attempt
        attempt.start(now_ns)
        if self.attempt is attempt and attempt.state != ATTEMPT_ENDED and self.state == EXCHANGE_ATTEMPTING:
            self.plan_hedge(backend, now_ns)
            self.rearm(now_ns)
        return 0

    cdef Attempt new_attempt(self, int position, Backend backend):
        cdef Attempt attempt = Attempt.__new__(Attempt)
        cdef Route route = self.route
        cdef Request request = self.request
        self.attempts += 1
        if position < 64:
            self.wish.tried |= <uint64_t>1 << position
        attempt.worker = self.worker
        attempt.caller = self
        attempt.backend = backend
        attempt.operation = self.operation
        attempt.row = route.rows[position]
        attempt.position = position
        attempt.number = self.attempts
        attempt.first_byte_limit_ns = route.first_byte_ns or backend.first_byte_ns
        attempt.idle_limit_ns = backend.idle_ns
        attempt.cooldown_max_ns = route.retry_after_max_ns
        attempt.is_head = request.is_head
        attempt.may_stream = True
        attempt.withholds_usage = (
            request.wants_stream and self.operation.adds_usage and not request.wants_usage
        )
        attempt.may_upgrade = request.websocket
        attempt.choices = request.choices
        attempt.hold_bytes = route.hold_bytes
        return attempt

    cdef int plan_hedge(self, Backend backend, uint64_t now_ns) except -1:
        cdef uint64_t after_ns
        if not self.route.hedges or self.uploading or self.hedge is not None or self.attempts > 1:
            return 0
        after_ns = self.route.hedge_after_ns or backend.cell.first_byte_q_ns[2]
        self.resume_ns = now_ns + after_ns if after_ns else 0
        return 0

    # ------------------------------------------------------------------ send

    cdef int attempt_lent(self, Attempt attempt) except -1:
        """A connection is there: rewrite the head, splice the model's name, send."""
        cdef Request request = self.request
        cdef Scratch scratch = self.worker.scratch
        cdef Edit[EDITS_MAX] edits
        cdef int count
        cdef int64_t length
        cdef bytes body = request.body
        count = request.edits_for(self.operation, attempt.backend.model_json, edits)
        if attempt.backend.model_pointer is not None:
            count = self.model_edit(attempt.backend, edits)
        length = edited_length(PyBytes_GET_SIZE(body), edits, <uint32_t>count)
        self.write_request_head(attempt, <uint64_t>length)
        if self.uploading:
            return self.send_upload(attempt, body)
        attempt.request_bytes = <uint64_t>length
        if count == 0 and length > JOIN_BYTES:
            attempt.server.send(scratch.built())
            return attempt.send(body, True)
        return attempt.send(joined(scratch, body, edits, count, length), True)

    cdef int model_edit(self, Backend backend, Edit* edits) except -1:
        """Write the model's name where an `http` backend reads it; a body that is no JSON stays."""
        cdef bytes body = self.request.body
        cdef const char* at = PyBytes_AS_STRING(body)
        cdef Member member
        if backend.model_pointer.find(at, PyBytes_GET_SIZE(body), &member) != SCAN_OK:
            return 0
        if member.kind != JSON_MISSING:
            edits[0] = value_replaced(
                &member, PyBytes_AS_STRING(backend.model_json), <uint32_t>PyBytes_GET_SIZE(backend.model_json)
            )
            return 1
        if backend.model_member is None or at[object_at(at)] != c"{":
            return 0
        edits[0] = member_inserted(
            at, object_at(at), PyBytes_AS_STRING(backend.model_member),
            <uint32_t>PyBytes_GET_SIZE(backend.model_member),
        )
        return 1

    cdef int write_request_head(self, Attempt attempt, uint64_t length) except -1:
        cdef Request request = self.request
        cdef Backend backend = attempt.backend
        cdef Scratch scratch = self.worker.scratch
        scratch.begin()
        scratch.add_bytes(request.method_name)
        scratch.add(b" ", 1)
        self.write_target(backend)
        scratch.add(b" HTTP/1.1\r\n", 11)
        scratch.add_bytes(backend.fields)
        scratch.add_bytes(request.fields if backend.own_names is None else self.other_fields(backend))
        scratch.add(b"x-request-id: ", 14)
        scratch.add(request.id, request.id_length)
        scratch.add(b"\r\n", 2)
        if not request.has_traceparent:
            self.write_traceparent()
        scratch.add(b"x-request-timeout-ms: ", 22)
        scratch.add_number((self.total_deadline_ns - min(self.total_deadline_ns, self.wish.now_ns)) // NS_PER_MS)
        scratch.add(b"\r\n", 2)
        if self.table.has_forwarded or backend.forward or backend.passes_encoding:
            scratch.add_bytes(self.client_fields(backend))
        if self.uploading:
            length = 0 if request.content_length < 0 else <uint64_t>request.content_length
        if self.uploading and self.upload_chunked:
            scratch.add(b"transfer-encoding: chunked\r\n", 28)
        elif length or has_body(request):
            scratch.add(b"content-length: ", 16)
            scratch.add_number(length)
            scratch.add(b"\r\n", 2)
        if request.websocket:
            scratch.add(b"connection: upgrade\r\nupgrade: websocket\r\n", 41)
        scratch.add(b"\r\n", 2)
        return 0

    cdef bytes other_fields(self, Backend backend):
        """The client's fields but those that the configuration sets itself."""
        return self.table.slow.without(self.request.fields, backend.own_names)

    cdef bytes client_fields(self, Backend backend):
        """What only some backends or plans let through: credentials, encodings, addresses."""
        return self.table.slow.client_fields(backend.plan, self.request.data[:self.request.head_bytes], self.client.address())

    cdef int write_target(self, Backend backend) except -1:
        cdef Scratch scratch = self.worker.scratch
        cdef Operation operation = self.operation
        scratch.add_bytes(backend.base_path)
        if PyBytes_GET_SIZE(backend.path):
            scratch.add_bytes(backend.path)
        elif operation.has_path_model:
            scratch.add_bytes(operation.before)
            scratch.add_bytes(backend.model_path)
            scratch.add_bytes(operation.after)
        else:
            scratch.add_bytes(operation.before)
        scratch.add_bytes(self.request.query)
        return 0

    cdef int write_traceparent(self) except -1:
        """No trace came along: begin one, with the request id's digits as its own."""
        cdef Scratch scratch = self.worker.scratch
        scratch.add(b"traceparent: 00-", 16)
        if self.request.id_length == 36 and is_uuid(self.request.id):
            add_digits(scratch, self.request.id)
        else:
            scratch.add_hex(random_next(&self.worker.random))
            scratch.add_hex(random_next(&self.worker.random))
        scratch.add(b"-", 1)
        scratch.add_hex(random_next(&self.worker.random) | 1)
        scratch.add(b"-01\r\n", 5)
        return 0

    cdef int send_upload(self, Attempt attempt, bytes body) except -1:
        attempt.server.send(self.worker.scratch.built())
        self.upload(body, False)
        if self.upload_ended:
            return self.upload(b"", True)
        if attempt.server is not None and attempt.server.writable and self.client is not None:
            self.client.resume()
        return 0

    cdef int attempt_writable(self, Attempt attempt, bint writable) except -1:
        """The backend takes an upload slowly: so does the client give it."""
        if self.uploading and self.client is not None and not self.upload_ended:
            if writable:
                self.client.resume()
            else:
                self.client.pause()
        return 0

    # ----------------------------------------------------------------- relay

    cdef int attempt_committed(self, Attempt attempt) except -1:
        """The answer is relayed as it comes: its head and first bytes in one write."""
        cdef Scratch scratch = self.worker.scratch
        cdef Request request = self.request
        cdef bytes first
        self.take_winner(attempt)
        self.state = EXCHANGE_RELAYING
        self.committed = True
        if self.client is None:
            return 0
        self.begin_answer(attempt.status)
        scratch.add_bytes(attempt.fields)
        self.write_attempt_fields(attempt, False)
        first = attempt.body
        if attempt.events is None and attempt.promised >= 0:
            self.write_length(<uint64_t>attempt.promised)
        elif request.is_http10:
            self.must_close = True
        else:
            self.chunked = True
            scratch.add(b"transfer-encoding: chunked\r\n", 28)
        if attempt.events is not None:
            scratch.add(b"x-accel-buffering: no\r\n", 23)
            if not attempt.has_cache_control:
                scratch.add(b"cache-control: no-cache\r\n", 25)
        self.end_head()
        if request.is_head:
            self.client.send(scratch.built())
            return 0
        self.client.send(scratch.built_with(self.framed(first)))
        return 0

    cdef bytes framed(self, bytes piece):
        """A piece as it goes downstream. Cost: one copy when the answer is chunked."""
        cdef char[20] head
        cdef char* at
        cdef Py_ssize_t length = PyBytes_GET_SIZE(piece)
        cdef int digits
        cdef bytes out
        if not self.chunked or length == 0:
            return piece
        digits = hex_into(head, <uint64_t>length)
        head[digits] = 13
        head[digits + 1] = 10
        out = PyBytes_FromStringAndSize(NULL, digits + 4 + length)
        at = PyBytes_AS_STRING(out)
        # Safety: `out` was made of exactly these three parts' lengths.
        memcpy(at, head, digits + 2)
        memcpy(at + digits + 2, PyBytes_AS_STRING(piece), length)
        at[digits + 2 + length] = 13
        at[digits + 3 + length] = 10
        return out

    cdef int attempt_piece(self, Attempt attempt, bytes piece) except -1:
        if self.client is not None and not self.request.is_head:
            self.client.send(self.framed(piece))
        return 0

    cdef int client_writable(self, bint writable) except -1:
        """A slow reader pauses its own upstream, and nobody else's."""
        if self.attempt is not None:
            if writable:
                self.attempt.resume()
            else:
                self.attempt.pause()
        return 0

    cdef int attempt_upgraded(self, Attempt attempt) except -1:
        """101: from here on the two connections feed each other."""
        cdef Peer client = self.client
        cdef Peer server = attempt.server
        self.state = EXCHANGE_TUNNELLING
        self.committed = True
        self.worker.wheel.disarm(self)
        self.worker.scratch.begin()
        self.worker.scratch.add(b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n", 75)
        self.worker.scratch.add_bytes(attempt.fields)
        self.write_attempt_fields(attempt, False)
        self.worker.scratch.add(b"\r\n", 2)
        client.send(self.worker.scratch.built())
        client.tunnel = server
        server.tunnel = client
        self.status = 101
        return client.send_early()

    cdef int take_winner(self, Attempt attempt) except -1:
        """Of two attempts the first good answer counts; the other is cancelled at once."""
        cdef Attempt other = self.hedge if attempt is self.attempt else self.attempt
        self.hedge = None
        self.resume_ns = 0
        self.attempt = attempt
        if other is not None and other.state != ATTEMPT_ENDED:
            other.cancel(self.worker.now())
        return 0

    # ----------------------------------------------------------------- retry

    cdef int attempt_ended(self, Attempt attempt) except -1:
        """An attempt is over: answer with it, try again, or fall back."""
        cdef uint64_t now_ns = attempt.ended_ns
        self.upstream_ns += now_ns - asked_ns(attempt)
        if self.committed:
            return self.end_relay(attempt, now_ns)
        if is_good(attempt):
            self.take_winner(attempt)
            return self.answer(attempt, now_ns)
        if self.hedge is not None:
            # The other one is still under way: it decides.
            if attempt is self.attempt:
                self.attempt = self.hedge
            self.hedge = None
            if self.attempt.state != ATTEMPT_ENDED:
                self.keep_failed(attempt)
                return 0
        self.keep_failed(attempt)
        if self.client is None:
            return self.finish(OUTCOME_CLIENT_CLOSED, now_ns)
        if self.retries_elsewhere(attempt, now_ns):
            return self.retry(attempt, now_ns)
        return self.conclude(now_ns)

    cdef int keep_failed(self, Attempt attempt) except -1:
        """Remember the failure that says most: an answer before a broken connection."""
        if self.failed is None or attempt.body is not None or self.failed.body is None:
            self.failed = attempt
        return 0

    cdef bint retries_elsewhere(self, Attempt attempt, uint64_t now_ns) except -1:
        """Whether this failure may be retried: safe, allowed, affordable and in time."""
        cdef Route route = self.route
        cdef Request request = self.request
        if self.uploading or now_ns >= self.total_deadline_ns:
            return False
        if is_stale(attempt) and not self.tried_stale:
            return True
        if self.attempts >= route.attempts or attempt.should_not_retry:
            return False
        if not route.retries_method[request.method]:
            return False
        if attempt.body is not None and not self.retries_status(attempt):
            return False
        return budget_withdraw(&route.retry_budget, now_ns)

    cdef bint retries_status(self, Attempt attempt) except -1:
        cdef Route route = self.route
        if attempt.outcome == OUTCOME_TRUNCATED or attempt.outcome == OUTCOME_STREAM_ERROR:
            return True
        if attempt.status == 400 and (route.larger_context or route.content_filter):
            return self.redirect(attempt)
        if attempt.status == 401 or attempt.status == 403:
            return not attempt.backend.forward
        return 100 <= attempt.status < 600 and route.retries_status[attempt.status]

    cdef bint redirect(self, Attempt attempt) except -1:
        """A 400 that another model may answer: a longer context, or another content filter."""
        cdef tuple positions
        if b'"context_length_exceeded"' in attempt.body:
            positions = self.route.larger_context
        elif b'"content_filter"' in attempt.body:
            positions = self.route.content_filter
        else:
            return False
        for position in positions:
            if not self.wish.tried >> <int>position & 1:
                self.forced = position
                return True
        return False

    cdef int retry(self, Attempt attempt, uint64_t now_ns) except -1:
        """Elsewhere at once; at the same backend only after a pause, if nobody else is left."""
        cdef uint64_t pause_ns
        self.route.row.retries += 1
        if is_stale(attempt) and not self.tried_stale:
            self.tried_stale = True
            self.attempts -= 1
            return self.lease(attempt.position, attempt.backend, now_ns)
        if self.forced >= 0 or self.has_untried(now_ns):
            return self.choose(now_ns)
        pause_ns = self.backoff_ns(attempt)
        if now_ns + pause_ns >= self.total_deadline_ns:
            return self.conclude(now_ns)
        self.wish.tried = 0
        self.state = EXCHANGE_PAUSED
        self.resume_ns = now_ns + pause_ns
        return self.rearm(now_ns)

    cdef bint has_untried(self, uint64_t now_ns) except -1:
        """Whether a candidate that has not failed this request could take it now."""
        cdef int position
        self.wish.now_ns = now_ns
        position = self.route.candidates.choose(&self.wish, &self.choice, &self.worker.random)
        if position >= 0:
            self.forced = position
        return position >= 0 or position == CHOSEN_WAIT

    cdef uint64_t backoff_ns(self, Attempt attempt) except? 0:
        """Full jitter under an exponential bound; never before Retry-After."""
        cdef Route route = self.route
        cdef uint64_t bound_ns = route.backoff_ns << min(self.attempts - 1, 20)
        bound_ns = min(bound_ns, route.backoff_max_ns)
        return max(attempt.retry_after_ns, random_below(&self.worker.random, bound_ns + 1))

    cdef int start_hedge(self, uint64_t now_ns) except -1:
        """No first byte yet: ask a second backend, if the budget and the deadline allow it."""
        cdef Route route = self.route
        cdef Backend backend
        cdef int position
        self.resume_ns = 0
        self.wish.now_ns = now_ns
        position = route.candidates.choose(&self.wish, &self.choice, &self.worker.random)
        if position < 0 or not budget_withdraw(&route.hedge_budget, now_ns):
            return 0
        backend = <Backend>route.backends[position]
        if not breaker_admit(backend.cell, &backend.terms.breaker, now_ns):
            return 0
        route.row.hedges += 1
        self.hedge = self.new_attempt(position, backend)
        return self.hedge.start(now_ns)

    cdef int conclude(self, uint64_t now_ns) except -1:
        """Nothing is left to try among the candidates."""
        cdef Attempt failed = self.failed
        if failed is not None and failed.status == 400:
            return self.answer(failed, now_ns)
        return self.fall_back(OUTCOME_NO_BACKEND if failed is None else failed.outcome, now_ns)

    cdef int fall_back(self, Outcome outcome, uint64_t now_ns) except -1:
        """The route's chain, in the user's order; without one, the failure as it is."""
        cdef Route route = self.route
        cdef int done
        while route is not None and self.fallback_at < len(route.fallback):
            entry = route.fallback[self.fallback_at]
            self.fallback_at += 1
            done = self.take_fallback(entry, now_ns)
            if done:
                return 0
            route = self.route
        if self.failed is not None and self.failed.body is not None and self.failed.status >= 400:
            return self.answer(self.failed, now_ns)
        return self.refuse(outcome, now_ns)

    cdef bint take_fallback(self, object entry, uint64_t now_ns) except -1:
        """Try one entry; True when it took the exchange over."""
        cdef str kind = entry.kind
        cdef tuple kept
        if now_ns >= self.total_deadline_ns and (kind == "backend" or kind == "route"):
            return False
        self.fallback = None
        if kind == "backend":
            return self.fall_back_to_backend(entry.index, now_ns)
        if kind == "route":
            return self.fall_back_to_route(entry.index, now_ns)
        if kind == "cached":
            kept = None if self.route.answers is None else self.route.answers.get(self.answer_key())
            if kept is None:
                return False
            self.fallback = kind
            return self.say_fallback(kept[0], kept[1], kept[2], now_ns)
        self.fallback = kind
        if kind == "rule":
            return self.say_fallback(entry.status, entry.content_type.encode("latin-1"), entry.body, now_ns)
        status, content_type, body = self.table.slow.refusal(self.operation.protocol, "unavailable", "")
        return self.say_fallback(status, content_type, body, now_ns)

    cdef bint say_fallback(self, int status, bytes content_type, bytes body, uint64_t now_ns) except -1:
        self.route.row.fallbacks += 1
        self.say(status, content_type, body, now_ns)
        self.finish(OUTCOME_OK if status < 400 else OUTCOME_NO_BACKEND, now_ns)
        return True

    cdef bint fall_back_to_backend(self, int index, uint64_t now_ns) except -1:
        cdef Backend backend
        cdef int position
        if self.uploading:
            return False
        for position, candidate in enumerate(self.route.backends):
            backend = <Backend>candidate
            if backend.index == index and not self.wish.tried >> position & 1:
                if not breaker_admit(backend.cell, &backend.terms.breaker, now_ns):
                    break
                self.route.row.fallbacks += 1
                self.fallback = "backend"
                self.lease(position, backend, now_ns)
                return True
        return False

    cdef bint fall_back_to_route(self, int index, uint64_t now_ns) except -1:
        """The whole of another route, its own chain included, within this one's deadline."""
        cdef Route route = <Route>self.table.routes_by_index[index]
        if self.uploading:
            return False
        self.route.row.fallbacks += 1
        self.route.row.in_flight -= 1
        self.route.row.outcomes[<int>(OUTCOME_NO_BACKEND if self.failed is None else self.failed.outcome)] += 1
        self.route = route
        route.row.requests += 1
        route.row.in_flight += 1
        self.attempts = 0
        self.fallback_at = 0
        self.failed = None
        self.fill_wish()
        self.fallback = "route"
        self.choose(now_ns)
        return True

    # ---------------------------------------------------------------- answer

    cdef int answer(self, Attempt attempt, uint64_t now_ns) except -1:
        """A held answer, whole, in one write."""
        cdef Scratch scratch = self.worker.scratch
        self.attempt = attempt
        if self.client is not None:
            self.begin_answer(attempt.status)
            scratch.add_bytes(attempt.fields)
            self.write_attempt_fields(attempt, True)
            if attempt.is_head and attempt.promised >= 0:
                self.write_length(<uint64_t>attempt.promised)
            elif attempt.status != 204 and attempt.status != 304:
                self.write_length(<uint64_t>PyBytes_GET_SIZE(attempt.body))
            self.end_head()
            if PyBytes_GET_SIZE(attempt.body) > JOIN_BYTES:
                self.client.send(scratch.built())
                self.client.send(attempt.body)
            else:
                self.client.send(scratch.built_with(attempt.body))
        if self.route.answers is not None and attempt.outcome == OUTCOME_OK and attempt.status == 200:
            self.keep_answer(attempt)
        return self.finish(attempt.outcome, now_ns)

    cdef int end_relay(self, Attempt attempt, uint64_t now_ns) except -1:
        """A relayed answer is over: end it properly, or make sure that nobody takes it for whole."""
        if attempt is not self.attempt:
            return 0
        if self.client is not None and self.state == EXCHANGE_TUNNELLING:
            self.client.close()
        elif self.client is not None and attempt.outcome == OUTCOME_OK:
            if self.chunked:
                self.client.send(LAST_CHUNK)
        elif self.client is not None:
            self.break_off(attempt.outcome, attempt.events is not None)
        return self.finish(attempt.outcome, now_ns)

    cdef int break_off(self, Outcome outcome, bint is_stream) except -1:
        """After the first byte: the protocol's error event, then a close without a proper end."""
        self.must_close = True
        if not self.chunked and self.attempt.promised < 0:
            # Why: to this client a clean close is the proper end.
            return self.client.abort()
        if is_stream and not (self.attempt.events.failed):
            event = self.table.slow.stream_error(self.operation.protocol, outcome, self.attempt.events.kind)
            self.client.send(self.framed(<bytes>event))
        return self.client.close()

    cdef int break_short(self, Outcome outcome, uint64_t now_ns) except -1:
        """End an answer that has begun and cannot be finished."""
        if self.client is not None and self.attempt is not None:
            self.break_off(outcome, self.attempt.events is not None)
        self.drop_attempts(now_ns)
        return self.finish(outcome, now_ns)

    cdef int begin_answer(self, int status) except -1:
        self.status = status
        self.worker.scratch.begin()
        self.worker.scratch.add_bytes(<bytes>self.table.status_lines[status])
        return 0

    cdef int write_attempt_fields(self, Attempt attempt, bint complete) except -1:
        """Who answered, after how many attempts, at what price, in what time."""
        cdef Scratch scratch = self.worker.scratch
        cdef uint64_t own_ns, upstream_ns
        if not attempt.has_date:
            scratch.add_date()
        scratch.add(b"x-gateway-backend: ", 19)
        scratch.add_bytes(attempt.backend.name_bytes)
        scratch.add(b"\r\nx-gateway-attempts: ", 22)
        scratch.add_number(<uint64_t>self.attempts)
        if complete and (attempt.version is not None or PyBytes_GET_SIZE(attempt.backend.version)):
            self.write_version(attempt)
        if complete and attempt.cost_nano_usd:
            scratch.add(b"\r\nx-gateway-cost-usd: ", 22)
            scratch.add_usd(attempt.cost_nano_usd)
        scratch.add(b"\r\nserver-timing: queue;dur=", 27)
        scratch.add_millis(self.queued_ns)
        scratch.add(b", upstream;dur=", 15)
        upstream_ns = self.upstream_ns
        if not complete:
            upstream_ns += attempt.first_byte_ns - asked_ns(attempt)
        scratch.add_millis(upstream_ns)
        scratch.add(b", gateway;dur=", 14)
        own_ns = self.worker.now() - self.read_ns
        scratch.add_millis(own_ns - min(own_ns, self.queued_ns + upstream_ns))
        scratch.add(b"\r\n", 2)
        return 0

    cdef int write_version(self, Attempt attempt) except -1:
        """The model's version: as the answer says, else as configured; and its confidence."""
        cdef Scratch scratch = self.worker.scratch
        cdef bytes version = attempt.version
        # Why: what a backend says must not be able to end the field.
        if version is None or PyBytes_GET_SIZE(version) > 64 or not is_token(
            PyBytes_AS_STRING(version), <uint32_t>PyBytes_GET_SIZE(version)
        ):
            version = attempt.backend.version
        if PyBytes_GET_SIZE(version):
            scratch.add(b"\r\nx-gateway-model-version: ", 27)
            scratch.add_bytes(version)
        if not isnan(attempt.confidence):
            scratch.add(b"\r\nx-gateway-confidence: ", 24)
            scratch.add_bytes(b"%.6g" % attempt.confidence)
        return 0

    cdef int write_length(self, uint64_t length) except -1:
        self.worker.scratch.add(b"content-length: ", 16)
        self.worker.scratch.add_number(length)
        self.worker.scratch.add(b"\r\n", 2)
        return 0

    cdef int end_head(self) except -1:
        """Fields that every answer has, and the empty line."""
        cdef Scratch scratch = self.worker.scratch
        cdef Request request = self.request
        if request is not None:
            scratch.add(b"x-request-id: ", 14)
            scratch.add(request.id, request.id_length)
            scratch.add(b"\r\n", 2)
        scratch.add_bytes(self.table.server_line)
        if self.fallback is not None:
            scratch.add(b"x-gateway-fallback: ", 20)
            scratch.add_bytes(self.fallback.encode("ascii"))
            scratch.add(b"\r\n", 2)
        if self.cors is not None:
            scratch.add_bytes(self.cors)
        if self.must_close or self.worker.draining or request is None or not request.keep_alive or (
            self.client.served + 1 == self.worker.limits.connection_requests
        ):
            self.must_close = True
            scratch.add(b"connection: close\r\n", 19)
        elif request.is_http10:
            scratch.add(b"connection: keep-alive\r\n", 24)
        scratch.add(b"\r\n", 2)
        return 0

    cdef int say(self, int status, bytes content_type, bytes body, uint64_t now_ns) except -1:
        """An answer of the gateway's own."""
        cdef Scratch scratch = self.worker.scratch
        if self.client is None:
            return 0
        self.begin_answer(status)
        scratch.add_date()
        scratch.add(b"content-type: ", 14)
        scratch.add_bytes(content_type)
        scratch.add(b"\r\n", 2)
        if self.attempts:
            scratch.add(b"x-gateway-attempts: ", 20)
            scratch.add_number(<uint64_t>self.attempts)
            scratch.add(b"\r\n", 2)
        if status == 503 or status == 429:
            scratch.add(b"retry-after: ", 13)
            scratch.add_number(self.retry_after_s(now_ns))
            scratch.add(b"\r\n", 2)
        return self.send_answer(body, now_ns)

    cdef int send_answer(self, bytes body, uint64_t now_ns) except -1:
        if self.status != 204:
            self.write_length(<uint64_t>PyBytes_GET_SIZE(body))
        self.end_head()
        if self.request is not None and self.request.is_head:
            body = b""
        self.committed = True
        return self.client.send(self.worker.scratch.built_with(body))

    cdef uint64_t retry_after_s(self, uint64_t now_ns) except? 0:
        """When the first candidate may be asked again; one second when nothing says more."""
        cdef uint64_t soonest_ns = 0
        cdef uint64_t at_ns
        cdef Backend backend
        if self.route is not None:
            for candidate in self.route.backends:
                backend = <Backend>candidate
                at_ns = max(backend.cell.cooldown_until_ns, backend.cell.open_until_ns)
                if at_ns > now_ns and (soonest_ns == 0 or at_ns < soonest_ns):
                    soonest_ns = at_ns
        if soonest_ns == 0:
            return 1
        return (soonest_ns - now_ns + <uint64_t>NS_PER_S - 1) // <uint64_t>NS_PER_S

    cdef int refuse(self, Outcome outcome, uint64_t now_ns) except -1:
        """A refusal in the protocol's own shape; the connection survives if the body was read."""
        cdef str protocol = None if self.operation is None else self.operation.protocol
        cdef str detail = ""
        if self.state == EXCHANGE_DONE:
            return 0
        if self.committed:
            return self.break_short(outcome, now_ns)
        self.drop_attempts(now_ns)
        self.fallback = None
        if self.client is not None:
            if self.has_unread_body():
                self.must_close = True
            if self.request is not None and self.request.model is not None:
                detail = self.request.model.decode("utf-8", "replace")
            status, content_type, body = self.table.slow.refusal(protocol, outcome, detail)
            if self.route is not None and (outcome == OUTCOME_QUEUE_FULL or outcome == OUTCOME_QUEUE_TIMEOUT):
                status = self.route.queue_status
            self.say(status, content_type, body, now_ns)
        return self.finish(outcome, now_ns)

    cdef bint has_unread_body(self) noexcept:
        """Whether bytes of this request may still come: then the connection cannot go on."""
        if self.request is None or self.uploading:
            return not self.upload_ended
        return self.read_ns == 0 and (self.request.chunked or self.request.content_length > 0)

    cdef int refuse_unread(self, Outcome outcome, uint64_t now_ns) except -1:
        """What came is no request: answer once, close, keep nothing of it."""
        self.begun_ns = now_ns
        self.must_close = True
        return self.refuse(outcome, now_ns)

    # ---------------------------------------------------------------- settle

    cdef int finish(self, Outcome outcome, uint64_t now_ns) except -1:
        """The exchange is over: account it, then let the client's connection go on."""
        cdef Peer client = self.client
        cdef bint keep = not self.must_close
        if self.state == EXCHANGE_DONE:
            return 0
        self.state = EXCHANGE_DONE
        self.outcome = outcome
        self.worker.wheel.disarm(self)
        self.settle(now_ns)
        self.record()
        self.client = None
        if client is not None:
            client.release(keep, now_ns)
        return 0

    cdef int settle(self, uint64_t now_ns) except -1:
        """Counters and histograms of the route; the attempts have accounted themselves."""
        cdef Row* row
        cdef Attempt attempt = self.attempt
        cdef uint64_t total_ns
        if self.read_ns == 0:
            self.read_ns = now_ns
        self.worker.in_flight -= 1
        self.worker.buffered_bytes -= self.buffered
        self.buffered = 0
        if not self.is_counted:
            self.worker.refused[<int>self.outcome] += 1
            return 0
        row = self.route.row
        row.in_flight -= 1
        row.outcomes[<int>self.outcome] += 1
        row.statuses[self.status // 100 if self.status < 600 else 0] += 1
        if attempt is not None:
            self.route.queue.on_served(attempt.ended_ns - attempt.begun_ns, row.in_flight - row.queued + 1)
            row.answer_bytes += attempt.answer_bytes
            row.cost_nano_usd += attempt.cost_nano_usd
            if attempt.events is not None:
                row.streams += 1
            if attempt.first_byte_ns > self.read_ns:
                fine_add(&row.first_byte_ns, attempt.first_byte_ns - self.read_ns)
        now_ns = self.worker.now()
        total_ns = now_ns - self.read_ns
        fine_add(&row.total_ns, total_ns)
        total_ns -= min(total_ns, self.queued_ns + self.upstream_ns)
        fine_add(&row.overhead_ns, total_ns)
        return 0

    # ---------------------------------------------------------------- record

    cdef int record(self) except -1:
        """The prediction log's line: built here once the log exists."""
        if self.table.queued:
            # A lease has come free: whoever waits longest may have it.
            return self.table.serve_queues(self.worker.now())
        return 0

    # ------------------------------------------------- deadlines, leaving early

    cdef int rearm(self, uint64_t now_ns) except -1:
        """One timer for whatever comes first."""
        cdef uint64_t at_ns = self.total_deadline_ns
        if self.state == EXCHANGE_QUEUED:
            at_ns = min(at_ns, self.wait_until_ns)
        elif self.state == EXCHANGE_PAUSED:
            at_ns = min(at_ns, self.resume_ns)
        elif self.resume_ns:
            at_ns = min(at_ns, self.resume_ns)
        self.worker.wheel.arm(self, at_ns)
        return 0

    cdef void on_deadline(self, uint64_t now_ns):
        if self.state == EXCHANGE_QUEUED and now_ns < self.total_deadline_ns:
            if now_ns >= self.wait_until_ns:
                self.route.queue.remove(self)
                self.leave_queue(now_ns)
                self.fall_back(OUTCOME_QUEUE_TIMEOUT, now_ns)
                return
        elif self.state == EXCHANGE_PAUSED and now_ns < self.total_deadline_ns:
            if now_ns >= self.resume_ns:
                self.choose(now_ns)
                return
        elif now_ns >= self.total_deadline_ns:
            self.time_up(now_ns)
            return
        elif self.resume_ns and now_ns >= self.resume_ns and self.state == EXCHANGE_ATTEMPTING:
            self.start_hedge(now_ns)
        if self.state != EXCHANGE_DONE:
            self.rearm(now_ns)

    cdef int time_up(self, uint64_t now_ns) except -1:
        """The total time is over, wherever the exchange stands."""
        if self.state == EXCHANGE_QUEUED:
            self.route.queue.remove(self)
            self.leave_queue(now_ns)
        if self.committed:
            return self.break_short(OUTCOME_DEADLINE, now_ns)
        self.drop_attempts(now_ns)
        return self.fall_back(OUTCOME_DEADLINE, now_ns)

    cdef int drop_attempts(self, uint64_t now_ns) except -1:
        if self.hedge is not None:
            self.hedge.cancel(now_ns)
            self.hedge = None
        if self.attempt is not None and self.attempt.state != ATTEMPT_ENDED:
            self.upstream_ns += now_ns - asked_ns(self.attempt)
            self.attempt.cancel(now_ns)
        return 0

    cdef int client_gone(self, uint64_t now_ns) except -1:
        """Nobody is left to answer: stop the upstream at once, it costs money."""
        self.client = None
        if self.state == EXCHANGE_DONE:
            return 0
        if self.state == EXCHANGE_QUEUED:
            self.route.queue.remove(self)
            self.leave_queue(now_ns)
        self.drop_attempts(now_ns)
        return self.finish(OUTCOME_OK if self.state == EXCHANGE_TUNNELLING else OUTCOME_CLIENT_CLOSED, now_ns)

    cdef int cut(self, uint64_t now_ns) except -1:
        """The worker's time is up: an error event or a refusal, never a bare reset."""
        if self.state == EXCHANGE_DONE:
            return 0
        if self.state == EXCHANGE_QUEUED:
            self.route.queue.remove(self)
            self.leave_queue(now_ns)
        return self.refuse(OUTCOME_DRAINING, now_ns)

    # ------------------------------------------------------- last good answers

    cdef object answer_key(self):
        return self.table.slow.answer_key(
            self.request.path, self.request.field(b"authorization"), self.request.body
        )

    cdef int keep_answer(self, Attempt attempt) except -1:
        if self.fallback is None and not self.uploading and not attempt.is_head:
            self.route.answers.keep(self.answer_key(), (200, content_type_of(attempt.fields), attempt.body))
        return 0


cdef bytes content_type_of(bytes fields):
    """The content type among an attempt's answer fields."""
    cdef Py_ssize_t at = fields.lower().find(b"content-type: ")
    if at < 0:
        return b"application/json"
    return fields[at + 14:fields.find(CRLF, at)]


cdef bint is_good(Attempt attempt) noexcept:
    """An answer to give the client without a second thought."""
    return attempt.outcome == OUTCOME_OK


cdef uint64_t asked_ns(Attempt attempt) noexcept:
    """From when on an attempt was the backend's: its dial, or its request's last byte."""
    return attempt.sent_ns if attempt.is_reused and attempt.sent_ns else attempt.begun_ns


cdef bint is_stale(Attempt attempt) noexcept:
    """An idle connection that died as it was taken: nothing of the answer had come."""
    return attempt.is_reused and attempt.outcome == OUTCOME_UPSTREAM_CLOSED and not attempt.heard


cdef bint has_elements(bytes body, const Member* member) noexcept:
    """Whether a member is an array with something in it: some SDKs always send `"tools": []`."""
    cdef const char* at = PyBytes_AS_STRING(body) + member.start + 1
    if member.kind != JSON_ARRAY:
        return False
    while at[0] == 32 or at[0] == 9 or at[0] == 10 or at[0] == 13:
        at += 1
    return at[0] != c"]"


cdef uint64_t bits_of(Operation operation, uint32_t marks) noexcept:
    cdef uint64_t bits = 0
    if marks & MARKS_VISION:
        bits |= operation.vision_bit
    if marks & MARKS_AUDIO:
        bits |= operation.audio_bit
    if marks & MARKS_FILE:
        bits |= operation.files_bit
    if marks & MARKS_SCHEMA:
        bits |= operation.schema_bit
    return bits


cdef bint has_body(Request request) noexcept:
    return request.chunked or request.content_length >= 0


cdef bytes joined(Scratch scratch, bytes body, const Edit* edits, int count, int64_t length):
    """Head from the scratch and edited body, in one object. Cost: one allocation, one copy."""
    cdef bytes whole = PyBytes_FromStringAndSize(NULL, scratch.used + length)
    cdef char* at = PyBytes_AS_STRING(whole)
    # Safety: `whole` is new and long enough for both parts.
    memcpy(at, scratch.data, scratch.used)
    apply_edits_into(
        at + scratch.used, PyBytes_AS_STRING(body), PyBytes_GET_SIZE(body), edits, <uint32_t>count
    )
    return whole


cdef int hex_into(char* out, uint64_t number) noexcept nogil:
    cdef char[16] digits
    cdef int count = 0, i
    while True:
        digits[count] = b"0123456789abcdef"[number & 15]
        count += 1
        number >>= 4
        if number == 0:
            break
    for i in range(count):
        out[i] = digits[count - 1 - i]
    return count


cdef bint is_uuid(const char* id) noexcept nogil:
    cdef int i
    for i in range(36):
        if i == 8 or i == 13 or i == 18 or i == 23:
            if id[i] != c"-":
                return False
        elif not (48 <= id[i] <= 57 or 97 <= id[i] <= 102):
            return False
    return True


cdef void add_digits(Scratch scratch, const char* uuid) noexcept:
    """The digits of a UUID's text without its dashes."""
    scratch.add(uuid, 8)
    scratch.add(uuid + 9, 4)
    scratch.add(uuid + 14, 4)
    scratch.add(uuid + 19, 4)
    scratch.add(uuid + 24, 12)
