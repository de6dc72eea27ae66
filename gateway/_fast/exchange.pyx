"""One downstream request and all that happens to it: see exchange.pxd for states and rules.

The phases follow in the order in which they happen.
"""

import cython

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint32_t, uint64_t
from gateway._fast.attempt cimport ATTEMPT_ENDED, Attempt, verdict_of
from gateway._fast.backend cimport Backend
from gateway._fast.board cimport ANOMALY_SLOTS, Row
from gateway._fast.breaker cimport VERDICT_FAILURE, VERDICT_RATE_LIMITED, breaker_admit
from gateway._fast.budget cimport budget_deposit
from gateway._fast.hashing cimport bucket_ppm, xxh3
from gateway._fast.histogram cimport fine_add
from gateway._fast.intake cimport Intake
from gateway._fast.layers cimport assign
from gateway._fast.operation cimport (
    MARKS_AUDIO, MARKS_FILE, MARKS_JSON, MARKS_SCHEMA, MARKS_VISION, Operation, SLOT_TOOLS,
)
from gateway._fast.outcome cimport *
from gateway._fast.peer cimport Peer
from gateway._fast.record cimport Recorder
from gateway._fast.recovery cimport (
    EXCHANGE_ATTEMPTING, EXCHANGE_DONE, EXCHANGE_PAUSED, EXCHANGE_QUEUED, EXCHANGE_READING,
    EXCHANGE_RELAYING, EXCHANGE_TUNNELLING, is_stale,
)
from gateway._fast.reply cimport tee_bound, tees
from gateway._fast.request cimport Request
from gateway._fast.routes cimport CHOSEN_NOT_CAPABLE, CHOSEN_WAIT, Wish
from gateway._fast.scratch cimport Scratch
from gateway._fast.shadow cimport Original, copy_request
from gateway._fast.scan cimport JSON_ARRAY, Member
from gateway._fast.table cimport PAYLOAD_FULL, PAYLOAD_SAMPLED, Route
from gateway._fast.worker cimport Worker

cdef enum:
    JOIN_BYTES = 65536                  # answers up to this are copied behind their head: one write

cdef bytes LAST_CHUNK = b"0\r\n\r\n"


cdef bytes SWITCHING = (
    b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
)


cdef Exchange new_exchange(Worker worker, Peer client):
    cdef Exchange exchange = Exchange.__new__(Exchange)
    exchange.worker = worker
    exchange.table = worker.table
    exchange.client = client
    exchange.forced = -1
    worker.in_flight += 1
    return exchange


@cython.final
cdef class Exchange(Intake):

    # ------------------------------------------------------------------ read
    # intake.pyx

    cdef int proceed(self, uint64_t now_ns) except -1:
        """From a readable request to a lease: the straight line down the page."""
        cdef Outcome outcome
        if self.read_ns == 0:
            self.read_ns = now_ns
        outcome = self.identify()
        if outcome == OUTCOME_OK:
            outcome = self.admit()
        if self.is_feedback and outcome == OUTCOME_OK:
            return self.take_feedback(now_ns)
        if self.asks_flags and outcome == OUTCOME_OK:
            return self.answer_flags(now_ns)
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
        if self.worker.sheds and self.worker.stream.is_short():
            return OUTCOME_LOG_FULL
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
        if self.route.layers is not None:
            self.take_variant()
        self.is_counted = True
        self.route.row.requests += 1
        self.route.row.in_flight += 1
        self.route.row.request_bytes += request.body_bytes
        if self.route.is_off:
            return OUTCOME_SWITCHED_OFF
        if self.route.checks_requests and self.operation.capability:
            outcome = self.check()
            if outcome != OUTCOME_OK:
                return outcome
        if self.route.is_patched:
            outcome = self.patch()
            if outcome != OUTCOME_OK:
                return outcome
        self.fill_wish()
        self.keeps_bodies = self.keeps_payload()
        self.wish.now_ns = now_ns
        self.total_deadline_ns = now_ns + self.route.total_ns
        if request.has_overrides:
            outcome = self.apply_overrides(request.overrides())
        budget_deposit(&self.route.retry_budget, now_ns)
        budget_deposit(&self.route.hedge_budget, now_ns)
        return outcome

    cdef int take_variant(self) except -1:
        """The arms this request is given, and the variant of the route that they make."""
        self.assignments = assign(self.route.layers, self.request, self.client, self.table.slow)
        self.route = <Route>self.route.variants[self.assignments.variant]
        return 0

    cdef Outcome check(self) except *:
        """The route's contract: None is found in a good request, which is what it costs."""
        cdef bytes body = self.request.body
        self.findings = self.table.slow.checked(self.route.plan, body)
        if self.findings is None:
            return OUTCOME_OK
        if self.findings.is_refused:
            return OUTCOME_CONTRACT_VIOLATED
        if self.findings.body is None:
            return OUTCOME_OK
        self.received = body
        self.request.body = self.findings.body
        return self.request.decode(self.operation)

    cdef Outcome patch(self) except *:
        """What the arm asks otherwise: its prompt, its parameters. A body that is no JSON stays."""
        cdef bytes patched
        if self.uploading or not self.request.decoded:
            return OUTCOME_OK
        patched = self.table.slow.patched(self.route.plan, self.operation.name, self.request.body)
        if patched is None:
            return OUTCOME_OK
        if self.received is None:
            self.received = self.request.body
        self.request.body = patched
        return self.request.decode(self.operation)

    cdef bint keeps_payload(self) except -1:
        """Whether the record will hold the bodies; `sampled` goes by the request's id."""
        cdef Route route = self.route
        if self.worker.recorder is None or route.payload < PAYLOAD_SAMPLED:
            return False
        return route.payload == PAYLOAD_FULL or (
            bucket_ppm(xxh3(self.request.id, self.request.id_length, 0)) < route.sample_ppm
        )

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
        if route.sticky is not None:
            wish.sticky = self.sticky_hash()
        return 0

    cdef uint64_t sticky_hash(self) except? 0:
        """A hash of what the route sticks to; 0 when the request does not carry it."""
        cdef bytes value = self.route.sticky.of(self.request, self.client)
        if value is None:
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
                position = self.decide()
            self.forced = -1
            if position < 0:
                return self.no_choice(position, now_ns)
            backend = <Backend>route.backends[position]
            if self.is_panicking or breaker_admit(backend.cell, &backend.terms.breaker, now_ns):
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

    # ------------------------------------------------------------------ send

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
        if tees(self):
            self.tee(first)
        if attempt.events is None and attempt.promised >= 0:
            self.write_length(<uint64_t>attempt.promised)
        elif request.is_http10:
            self.must_close = True
        else:
            self.chunked = True
            scratch.put(b"transfer-encoding: chunked\r\n")
        if attempt.events is not None:
            scratch.put(b"x-accel-buffering: no\r\n")
            if not attempt.has_cache_control:
                scratch.put(b"cache-control: no-cache\r\n")
        self.end_head()
        if request.is_head:
            self.client.send(scratch.built())
            return 0
        self.client.send(scratch.built_with(self.framed(first)))
        if self.route.mirrors is not None:
            self.begin_copies()
            if self.original is not None:
                self.original.keep(first)
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
        self.worker.scratch.add_bytes(SWITCHING)
        self.worker.scratch.add_bytes(attempt.fields)
        self.write_attempt_fields(attempt, False)
        self.worker.scratch.put(b"\r\n")
        client.send(self.worker.scratch.built())
        client.tunnel = server
        server.tunnel = client
        self.status = 101
        return client.send_early()

    # ----------------------------------------------------------------- retry

    # ---------------------------------------------------------------- answer

    cdef int answer(self, Attempt attempt, uint64_t now_ns) except -1:
        """A held answer, whole, in one write."""
        cdef Scratch scratch = self.worker.scratch
        cdef bytes head
        cdef bint is_long
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
            is_long = PyBytes_GET_SIZE(attempt.body) > JOIN_BYTES
            head = scratch.built() if is_long else scratch.built_with(attempt.body)
            self.close_account(attempt.outcome, now_ns)
            self.client.send(head)
            if is_long and self.client is not None:
                self.client.send(attempt.body)
        if self.route.answers is not None and attempt.outcome == OUTCOME_OK and attempt.status == 200:
            self.keep_answer(attempt)
        return self.finish(attempt.outcome, now_ns)

    cdef int attempt_crashed(self, Attempt attempt) except -1:
        """A defect while its end was dealt with: nobody is left waiting for an answer."""
        cdef Peer client = self.client
        if self.state == EXCHANGE_DONE:
            return 0
        self.client = None
        self.drop_attempts(attempt.ended_ns)
        self.finish(OUTCOME_UPSTREAM_PROTOCOL, attempt.ended_ns)
        if client is not None:
            client.abort()
        return 0

    cdef int end_relay(self, Attempt attempt, uint64_t now_ns) except -1:
        """A relayed answer is over: end it properly, or make sure that nobody takes it for whole."""
        if attempt is not self.attempt:
            return 0
        self.close_account(attempt.outcome, now_ns)
        if self.client is not None and self.state == EXCHANGE_TUNNELLING:
            self.client.close()
        elif self.client is not None and attempt.outcome == OUTCOME_OK:
            if self.chunked:
                self.client.send(LAST_CHUNK)
            elif self.last_piece is not None:
                self.client.send(self.last_piece)
        elif self.client is not None:
            self.break_off(attempt.outcome, attempt.events is not None)
        return self.finish(attempt.outcome, now_ns)

    cdef int break_short(self, Outcome outcome, uint64_t now_ns) except -1:
        """End an answer that has begun and cannot be finished."""
        cdef bint is_stream = self.attempt is not None and self.attempt.events is not None
        self.drop_attempts(now_ns)
        self.close_account(outcome, now_ns)
        if self.client is not None and self.attempt is not None:
            self.break_off(outcome, is_stream)
        return self.finish(outcome, now_ns)

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
            if self.request is not None and self.request.model is not None:
                detail = self.request.model.decode("utf-8", "replace")
            if outcome == OUTCOME_CONTRACT_VIOLATED:
                status, content_type, body = self.table.slow.contract_refusal(protocol, self.findings)
            else:
                status, content_type, body = self.table.slow.refusal(protocol, outcome, detail)
            if self.route is not None and (outcome == OUTCOME_QUEUE_FULL or outcome == OUTCOME_QUEUE_TIMEOUT):
                status = self.route.queue_status
            self.say(status, content_type, body, outcome, now_ns)
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
        self.close_account(outcome, now_ns)
        self.state = EXCHANGE_DONE
        self.worker.wheel.disarm(self)
        if self.table.queued:
            # A lease has come free: whoever waits longest may have it.
            self.table.serve_queues(self.worker.now())
        if self.original is None and self.first_attempt is not None and self.route.mirrors is not None:
            if self.outcome != OUTCOME_CLIENT_CLOSED:
                self.begin_copies()
        if self.original is not None:
            self.end_copies()
        self.client = None
        if client is not None:
            client.release(keep, now_ns)
        return 0

    # ---------------------------------------------------------------- copies

    cdef int begin_copies(self) except -1:
        """The client's answer has been sent, or has begun: whoever mirrors the route may be asked."""
        cdef str address = ""
        try:
            if self.table.has_forwarded and self.client is not None:
                address = self.client.address()
            self.original = copy_request(self, self.wish.capabilities, not self.uploading, address)
        except BaseException as error:
            self.worker.failed(error)
        return 0

    cdef int end_copies(self) except -1:
        cdef Original original = self.original
        self.original = None
        try:
            original.close(self.said)
        except BaseException as error:
            self.worker.failed(error)
        return 0

    cdef int close_account(self, Outcome outcome, uint64_t now_ns) except -1:
        """Settle and record, once, before the answer's last byte leaves.

        Why before: a worker that is killed in between has a record too many, not one too few.
        """
        if self.is_settled:
            return 0
        self.is_settled = True
        self.outcome = outcome
        if self.is_counted and self.request.marks & MARKS_JSON and outcome == OUTCOME_OK:
            judge_json(self)
        self.settle(now_ns)
        return self.record(now_ns)

    cdef int settle(self, uint64_t now_ns) except -1:
        """Counters and histograms of the route; the attempts have accounted themselves."""
        cdef Row* row
        cdef Attempt attempt = self.attempt
        cdef uint64_t total_ns
        if self.read_ns == 0:
            self.read_ns = now_ns
        self.ended_ns = now_ns
        self.worker.in_flight -= 1
        self.worker.buffered_bytes -= self.buffered
        self.buffered = 0
        if not self.is_counted:
            if not self.is_silent:
                self.worker.seat.refused[<int>self.outcome] += 1
            return 0
        row = self.route.row
        row.in_flight -= 1
        row.outcomes[<int>self.outcome] += 1
        row.statuses[self.status // 100 if self.status < 600 else 0] += 1
        if attempt is not None:
            self.route.queue.on_served(attempt.ended_ns - attempt.begun_ns, row.in_flight - row.queued + 1)
            row.answer_bytes += attempt.answer_bytes
            row.cost_nano_usd += attempt.cost_nano_usd
            row.finishes[<int>attempt.usage.finish] += 1
            if self.assignments is not None:
                self.settle_arm(attempt)
            if attempt.events is not None:
                row.streams += 1
            if attempt.first_byte_ns > self.read_ns:
                fine_add(&row.first_byte_ns, attempt.first_byte_ns - self.read_ns)
        now_ns = self.worker.now()
        self.ended_ns = now_ns
        total_ns = now_ns - self.read_ns
        fine_add(&row.total_ns, total_ns)
        total_ns -= min(total_ns, self.queued_ns + self.upstream_ns)
        fine_add(&row.overhead_ns, total_ns)
        return 0

    cdef int settle_arm(self, Attempt attempt) except -1:
        """What gates compare beside that: sums and squares of tokens and cost."""
        cdef Row* row = self.route.row
        cdef double usd = attempt.cost_nano_usd * 1e-9
        cdef double input_tokens = max(<int64_t>0, attempt.usage.input_tokens)
        cdef double output_tokens = max(<int64_t>0, attempt.usage.output_tokens)
        row.input_tokens += <uint64_t>input_tokens
        row.output_tokens += <uint64_t>output_tokens
        row.recovered += self.outcome == OUTCOME_OK and has_failed(self.first_attempt)
        row.cost_squares += usd * usd
        row.input_squares += input_tokens * input_tokens
        row.output_squares += output_tokens * output_tokens
        if self.findings is not None:
            row.invalid += <bint>self.findings.is_not_as_asked
        return 0

    # ---------------------------------------------------------------- record

    cdef int record(self, uint64_t now_ns) except -1:
        """One line into the prediction log."""
        if self.findings is not None and self.route is not None:
            self.count_anomalies()
        if self.worker.recorder is None or self.is_silent:
            return 0
        (<Recorder>self.worker.recorder).write(self)
        if self.is_counted:
            self.route.row.recorded += 1
        if self.route is not None and self.route.mirrors is not None:
            self.request.record_id = (<Recorder>self.worker.recorder).id[:36]
        return 0

    cdef int count_anomalies(self) except -1:
        """What contracts say, on the route's row."""
        cdef Py_ssize_t slot
        for slot in self.table.slow.anomaly_slots(self.findings):
            if 0 <= slot < ANOMALY_SLOTS:
                self.route.row.anomalies[slot] += 1
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


cdef int judge_json(Exchange exchange) except -1:
    """Whether the answer is the JSON that the request asks for; see dataplane/asked_json.py."""
    cdef Attempt attempt = exchange.attempt
    cdef bytes body
    if attempt is None or attempt.is_encoded or attempt.status != 200 or exchange.said is not None:
        return 0
    if exchange.teed is None or exchange.teed_bytes > tee_bound(exchange):
        body = attempt.body
    else:
        body = b"".join(exchange.teed)
    if body is not None:
        exchange.findings = exchange.table.slow.judged_json(
            exchange.worker, exchange.request.body, body, exchange.operation.name,
            attempt.events is not None, exchange.findings,
        )
    return 0


cdef bint has_failed(Attempt attempt) noexcept nogil:
    """Whether its backend is to blame for its end: a later attempt that saves it hides that."""
    cdef int verdict = verdict_of(attempt.outcome, attempt.status)
    if is_stale(attempt):
        return False
    return verdict == VERDICT_FAILURE or verdict == VERDICT_RATE_LIMITED


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
