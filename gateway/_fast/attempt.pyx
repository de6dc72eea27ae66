"""One try of an exchange at one backend: see attempt.pxd for states and rules."""

import cython

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.math cimport NAN
from libc.string cimport memchr
from gateway._fast.backend cimport Backend
from gateway._fast.board cimport Row
from gateway._fast.breaker cimport (
    VERDICT_FAILURE, VERDICT_NEUTRAL, VERDICT_RATE_LIMITED, VERDICT_SUCCESS,
    breaker_cooldown, breaker_observe,
)
from gateway._fast.events cimport EVENTS_NDJSON, EVENTS_SSE, EventKind, new_events
from gateway._fast.head cimport (
    FIELD_CACHE_CONTROL, FIELD_CONTENT_ENCODING, FIELD_CONTENT_LENGTH, FIELD_DATE,
    FIELD_CONTENT_TYPE, FIELD_CORS, FIELD_CONNECTION,
    FIELD_HOP, FIELD_NAMED_BY_CONNECTION, FIELD_ORGANISATION, FIELD_REQUEST_ID, FIELD_RETRY_AFTER,
    FIELD_RETRY_AFTER_MS, FIELD_SERVER, FIELD_SET_COOKIE, FIELD_SHOULD_RETRY,
    FIELD_TRANSFER_ENCODING, FIELD_UPGRADE, FIELD_GATEWAY, Field, Head, equals,
)
from gateway._fast.histogram cimport fine_add, window_add
from gateway._fast.learned cimport ewma_fold, failure_rtt, learned_refresh, usage_fold
from gateway._fast.limit cimport limit_decrease, limit_update
from gateway._fast.marks cimport Marks
from gateway._fast.members cimport bytes_of_string, double_of
from gateway._fast.outcome cimport (
    OUTCOME_CANCELLED, OUTCOME_CLIENT_CLOSED, OUTCOME_CONNECT_TIMEOUT, OUTCOME_FIRST_BYTE_TIMEOUT,
    OUTCOME_IDLE_TIMEOUT, OUTCOME_OK, OUTCOME_STREAM_ERROR, OUTCOME_TRUNCATED,
    OUTCOME_TOTAL_TIMEOUT, OUTCOME_UPSTREAM_429, OUTCOME_UPSTREAM_4XX, OUTCOME_UPSTREAM_5XX, Outcome,
)
from gateway._fast.peer cimport Peer, iovec
from gateway._fast.pool cimport Borrower
from gateway._fast.scratch cimport Scratch
from gateway._fast.routes cimport Terms
from gateway._fast.scan cimport (
    JSON_NUMBER, JSON_STRING, Member, SCAN_MALFORMED, SCAN_OK, SCAN_TRUNCATED,
)
from gateway._fast.table cimport Turn

cdef enum:
    # What may be kept of an answer that is an error: enough for any message, then cut off.
    OPENING_BYTES = 65536               # of a stream without a whole first event: commit anyway
    NS_PER_S = 1_000_000_000
    NS_PER_MS = 1_000_000


cdef class Caller(Turn):
    """Whoever an attempt works for; Exchange and Shadow implement it."""

    cdef int attempt_lent(self, Attempt attempt) except -1:
        raise NotImplementedError

    cdef int attempt_committed(self, Attempt attempt) except -1:
        raise NotImplementedError

    cdef int attempt_piece(self, Attempt attempt, bytes piece) except -1:
        raise NotImplementedError

    cdef int attempt_ended(self, Attempt attempt) except -1:
        raise NotImplementedError

    cdef int attempt_crashed(self, Attempt attempt) except -1:
        raise NotImplementedError

    cdef int attempt_upgraded(self, Attempt attempt) except -1:
        raise NotImplementedError

    cdef int attempt_writable(self, Attempt attempt, bint writable) except -1:
        return 0


@cython.final
cdef class Attempt(Borrower):
    """Made by a Caller, which fills in worker, backend, row and limits, then calls start()."""

    # -- towards the backend

    cdef int start(self, uint64_t now_ns) except -1:
        """Ask for a connection; attempt_lent follows, at once if one is idle."""
        self.begun_ns = now_ns
        self.last_ns = now_ns
        self.total_until_ns = now_ns + self.backend.total_ns
        if self.total_limit_ns:
            self.total_until_ns = min(self.total_until_ns, now_ns + self.total_limit_ns)
        self.promised = -1
        self.confidence = NAN
        self.usage.input_tokens = -1
        self.usage.output_tokens = -1
        self.usage.cached_tokens = -1
        self.state = ATTEMPT_DIALING
        self.row.requests += 1
        self.row.in_flight += 1
        self.backend.gauge.in_flight += 1
        self.backend.borrow(self)
        if self.state == ATTEMPT_DIALING:
            self.wait_for(self.backend.connect_ns, now_ns)
        return 0

    cdef int on_lent(self, Peer peer) except -1:
        self.server = peer
        # The dial's limit is over; the wait for an answer begins with the request's last byte.
        if self.deadline_ns:
            self.worker.wheel.disarm(self)
        if self.caller is None:
            return self.let_go(False, self.worker.now())
        self.state = ATTEMPT_SENT
        return self.caller.attempt_lent(self)

    cdef int on_not_lent(self, Outcome outcome) except -1:
        return self.fail(outcome, self.worker.now())

    cdef int send(self, bytes data, bint last) except -1:
        """Send a part of the request; with its last one the wait for an answer begins."""
        self.note_sent(last)
        return self.server.send(data)

    cdef int send_whole(self, iovec* parts, int count) except -1:
        """Send the request."""
        self.note_sent(True)
        return self.server.send_parts(parts, count)

    cdef int note_sent(self, bint last) except -1:
        # Why before the write: on one machine the answer may be there when it returns.
        cdef uint64_t now_ns = self.worker.now()
        self.sent_ns = now_ns
        if last and self.state == ATTEMPT_SENT:
            self.request_ended = True
            self.wait_for(self.first_byte_limit_ns, now_ns)
        return 0

    # -- from the backend

    cdef int on_head(self, const Head* head, bytes data, uint64_t now_ns) except -1:
        """The answer's head; its views point into `data`."""
        self.status = head.status
        self.promised = head.content_length
        self.last_ns = now_ns
        self.read_fields(head, data)
        self.row.statuses[head.status // 100 if head.status < 600 else 0] += 1
        if self.events is not None and self.status < 400:
            self.state = ATTEMPT_OPENING
        else:
            self.events = None
            self.state = ATTEMPT_HOLDING
        return 0

    cdef int read_fields(self, const Head* head, bytes data) except -1:
        """Choose what goes downstream, and learn what the fields say about the body."""
        cdef const char* at = PyBytes_AS_STRING(data)
        cdef const Field* field
        cdef Scratch scratch = self.worker.scratch
        cdef int i
        scratch.begin()
        for i in range(head.count):
            field = &head.fields[i]
            if passes_downstream(field.name):
                scratch.add_field(at, field)
            if field.name:
                self.read_field(field, at)
        self.fields = scratch.built()
        return 0

    cdef int read_field(self, const Field* field, const char* data) except -1:
        cdef const char* value = data + field.value_at
        cdef uint32_t length = field.value_length
        if field.name == FIELD_CONTENT_TYPE:
            self.read_content_type(value, length)
        elif field.name == FIELD_CONTENT_ENCODING:
            self.is_encoded = not equals(value, length, b"identity", 8)
        elif field.name == FIELD_RETRY_AFTER and self.retry_after_ns == 0:
            self.retry_after_ns = number_of(value, length) * <uint64_t>NS_PER_S
        elif field.name == FIELD_RETRY_AFTER_MS and number_of(value, length):
            self.retry_after_ns = number_of(value, length) * <uint64_t>NS_PER_MS
        elif field.name == FIELD_DATE:
            self.has_date = True
        elif field.name == FIELD_CACHE_CONTROL:
            self.has_cache_control = True
        elif field.name == FIELD_SHOULD_RETRY:
            self.should_not_retry = equals(value, length, b"false", 5)
        elif field.name == FIELD_REQUEST_ID:
            # The backend's own id helps its operators; ours has the plain name.
            self.worker.scratch.put(b"x-upstream-request-id: ")
            self.worker.scratch.add(value, length)
            self.worker.scratch.put(b"\r\n")
        return 0

    cdef int read_content_type(self, const char* value, uint32_t length) except -1:
        cdef const char* semicolon = <const char*>memchr(value, c";", length)
        cdef EventKind kind
        if semicolon != NULL:
            length = <uint32_t>(semicolon - value)
        while length and (value[length - 1] == 32 or value[length - 1] == 9):
            length -= 1
        self.is_json = equals(value, length, b"application/json", 16)
        if not self.may_stream:
            return 0
        if equals(value, length, b"text/event-stream", 17):
            kind = EVENTS_SSE
        elif equals(value, length, b"application/x-ndjson", 20) or equals(
            value, length, b"application/jsonl", 17
        ):
            kind = EVENTS_NDJSON
        else:
            return 0
        self.events = new_events(self.marks(), kind, self.withholds_usage, self.choices)
        return 0

    cdef Marks marks(self):
        """What to look for in a stream's events."""
        return self.operation.marks if self.backend.marks is None else self.backend.marks

    cdef Marks answer_marks(self):
        """What to look for in a whole answer."""
        return self.operation.answer_marks if self.backend.marks is None else self.backend.marks

    cdef int on_body(self, bytes piece, uint64_t now_ns) except -1:
        """A piece of the body, framing taken off; never empty."""
        if self.state == ATTEMPT_RELAYING:
            return self.relay(piece, now_ns)
        if self.first_byte_ns == 0:
            self.first_byte_ns = now_ns
        self.last_ns = now_ns
        self.answer_bytes += PyBytes_GET_SIZE(piece)
        if self.state == ATTEMPT_OPENING:
            return self.open(piece, now_ns)
        self.keep(piece)
        if self.answer_bytes > self.hold_bytes:
            return self.commit(now_ns)
        if self.deadline_ns == 0 or self.first_byte_ns == now_ns:
            self.wait_for(self.idle_limit_ns, now_ns)
        return 0

    cdef int wait_for(self, uint64_t limit_ns, uint64_t now_ns) except -1:
        """Wake up when this limit is over, or the attempt's whole time."""
        self.worker.wheel.arm(self, min(now_ns + limit_ns, self.total_until_ns))
        return 0

    cdef int keep(self, bytes piece) except -1:
        """Hold a piece behind what is held already. Cost: no list for an answer in one piece."""
        if self.pieces is not None:
            self.pieces.append(piece)
        elif self.body is None:
            self.body = piece
        else:
            self.pieces = [self.body, piece]
        return 0

    cdef int join(self) except -1:
        if self.pieces is not None:
            self.body = b"".join(self.pieces)
            self.pieces = None
        elif self.body is None:
            self.body = b""
        return 0

    cdef int open(self, bytes piece, uint64_t now_ns) except -1:
        """A stream before it is committed: an error in its first event can still be retried."""
        cdef bytes out = <bytes>self.events.feed(piece)
        self.keep(out)
        if self.events.failed:
            return self.fail(OUTCOME_STREAM_ERROR, now_ns)
        if self.events.count or self.answer_bytes > OPENING_BYTES:
            return self.commit(now_ns)
        # Why: comments keep a connection alive but are no first token; the limit stands.
        self.first_byte_ns = 0
        return 0

    cdef int commit(self, uint64_t now_ns) except -1:
        """From here on the answer goes downstream as it comes, and cannot be retried."""
        self.state = ATTEMPT_RELAYING
        if self.first_byte_ns == 0:
            self.first_byte_ns = now_ns
        self.wait_for(self.idle_limit_ns, now_ns)
        self.join()
        if self.caller is not None:
            self.caller.attempt_committed(self)
        self.body = None
        return 0

    cdef int relay(self, bytes piece, uint64_t now_ns) except -1:
        cdef bytes out
        if now_ns > self.last_ns:
            fine_add(&self.row.gap_ns, now_ns - self.last_ns)
            self.gap_max_ns = max(self.gap_max_ns, now_ns - self.last_ns)
            self.gaps += 1
        self.last_ns = now_ns
        self.answer_bytes += PyBytes_GET_SIZE(piece)
        out = piece if self.events is None else <bytes>self.events.feed(piece)
        if out is not piece:
            self.raw = None
        if PyBytes_GET_SIZE(out) and self.caller is not None:
            return self.caller.attempt_piece(self, out)
        return 0

    cdef int on_end(self, bint proper, uint64_t now_ns) except -1:
        """The framing says the body is over; `proper` is False where only a close said so."""
        cdef Outcome outcome = OUTCOME_OK
        if self.state == ATTEMPT_ENDED:
            return 0
        self.last_ns = now_ns
        if self.first_byte_ns == 0:
            self.first_byte_ns = now_ns
        if self.events is not None:
            outcome = self.close_stream(proper, now_ns)
        elif self.state == ATTEMPT_HOLDING:
            self.join()
            outcome = self.held_outcome(proper)
        return self.end(outcome, now_ns)

    cdef Outcome close_stream(self, bint proper, uint64_t now_ns) except *:
        """Relay what was held; a stream that said nothing worth relaying stays uncommitted."""
        cdef bytes rest = <bytes>self.events.flush()
        cdef Outcome outcome = self.stream_outcome(proper)
        self.usage = self.events.usage
        if self.state == ATTEMPT_OPENING:
            self.keep(rest)
            if outcome == OUTCOME_OK:
                self.commit(now_ns)
        elif PyBytes_GET_SIZE(rest) and self.caller is not None:
            self.caller.attempt_piece(self, rest)
        return outcome

    cdef Outcome stream_outcome(self, bint proper) except *:
        if self.events.failed:
            return OUTCOME_STREAM_ERROR
        if self.events.finished or self.events.done:
            return OUTCOME_OK
        return OUTCOME_TRUNCATED if self.operation.needs_end or not proper else OUTCOME_OK

    cdef Outcome held_outcome(self, bint proper) except *:
        """What a complete answer amounts to; JSON that stops in the middle is not complete."""
        cdef int scan
        cdef Marks marks = self.answer_marks()
        if self.status == 429:
            return OUTCOME_UPSTREAM_429
        if self.status >= 400:
            return OUTCOME_UPSTREAM_4XX if self.status < 500 else OUTCOME_UPSTREAM_5XX
        if self.is_head or self.status == 204 or self.status == 304:
            return OUTCOME_OK
        if marks is not None and self.is_json and not self.is_encoded:
            scan = marks.usage_of(PyBytes_AS_STRING(self.body), PyBytes_GET_SIZE(self.body), &self.usage)
            if scan == SCAN_TRUNCATED or scan == SCAN_MALFORMED:
                return OUTCOME_TRUNCATED
            if self.backend.confidence_pointer is not None or self.backend.version_pointer is not None:
                self.read_answer()
        return OUTCOME_OK

    cdef int read_answer(self) except -1:
        """What the backend's configuration says is in a prediction: its confidence, its version."""
        cdef const char* at = PyBytes_AS_STRING(self.body)
        cdef size_t length = PyBytes_GET_SIZE(self.body)
        cdef Backend backend = self.backend
        cdef Member member
        if backend.confidence_pointer is not None:
            if backend.confidence_pointer.find(at, length, &member) == SCAN_OK:
                self.confidence = double_of(at, &member)
        if backend.version_pointer is not None:
            if backend.version_pointer.find(at, length, &member) == SCAN_OK:
                if member.kind == JSON_STRING:
                    self.version = bytes_of_string(at, &member)
                elif member.kind == JSON_NUMBER:
                    self.version = at[member.start:member.end]
        return 0

    cdef int on_lost(self, Outcome outcome, uint64_t now_ns) except -1:
        """The connection failed or broke the protocol before the answer was whole."""
        return self.fail(outcome, now_ns)

    cdef int on_upgraded(self, const Head* head, bytes data, uint64_t now_ns) except -1:
        """101: from here on both connections carry bytes, not messages."""
        self.status = 101
        self.first_byte_ns = now_ns
        self.read_fields(head, data)
        self.row.statuses[1] += 1
        self.state = ATTEMPT_TUNNELLING
        self.worker.wheel.disarm(self)
        if self.caller is not None:
            return self.caller.attempt_upgraded(self)
        return 0

    cdef int on_server_writable(self, bint writable) except -1:
        if self.caller is not None:
            return self.caller.attempt_writable(self, writable)
        return 0

    # -- time, ends

    cdef void on_deadline(self, uint64_t now_ns):
        if self.state == ATTEMPT_DIALING:
            self.backend.pool.stop_waiting(self)
            self.fail(OUTCOME_CONNECT_TIMEOUT, now_ns)
        elif now_ns >= self.total_until_ns:
            self.fail(OUTCOME_TOTAL_TIMEOUT, now_ns)
        elif self.state == ATTEMPT_SENT or self.state == ATTEMPT_OPENING:
            self.fail(OUTCOME_FIRST_BYTE_TIMEOUT, now_ns)
        elif self.state == ATTEMPT_HOLDING or self.state == ATTEMPT_RELAYING:
            # Why: pieces only note the time; the timer is moved here, once an idle limit.
            if now_ns - self.last_ns < self.idle_limit_ns or self.is_paused():
                self.wait_for(
                    self.idle_limit_ns, max(self.last_ns, now_ns - self.idle_limit_ns // 2)
                )
            else:
                self.fail(OUTCOME_IDLE_TIMEOUT, now_ns)

    cdef bint is_paused(self) noexcept:
        """The client reads slowly, so that the gap is ours, not the backend's."""
        return self.server is not None and not self.server.reading

    cdef int fail(self, Outcome outcome, uint64_t now_ns) except -1:
        cdef Peer server = self.server
        if self.state == ATTEMPT_ENDED:
            return 0
        if self.events is not None:
            self.usage = self.events.usage
        # Rule 2: what is here of the answer is not whole, and nobody may take it for that.
        self.body = None
        self.pieces = None
        if server is not None:
            self.server = None
            server.abort()
        return self.end(outcome, now_ns)

    cdef int end(self, Outcome outcome, uint64_t now_ns) except -1:
        cdef Caller caller = self.caller
        # Cost: the two point at each other no longer, so that no cycle is left to collect.
        self.caller = None
        self.outcome = outcome
        self.settle(now_ns)
        if caller is None:
            return 0
        try:
            return caller.attempt_ended(self)
        except BaseException as error:
            self.worker.failed(error)
            return caller.attempt_crashed(self)

    cdef int cancel(self, uint64_t now_ns) except -1:
        """Nobody wants the answer any more. The caller hears nothing further."""
        self.caller = None
        if self.state == ATTEMPT_ENDED:
            return 0
        if self.waiting:
            self.backend.pool.stop_waiting(self)
        self.outcome = OUTCOME_CANCELLED
        if self.events is not None:
            self.usage = self.events.usage
        self.settle(now_ns)
        return self.let_go(False, now_ns)

    cdef int let_go(self, bint reusable, uint64_t now_ns) except -1:
        cdef Peer server = self.server
        self.server = None
        if server is not None:
            if reusable:
                return server.release(True, now_ns)
            server.abort()
        return 0

    cdef int pause(self) except -1:
        if self.server is not None:
            self.server.pause()
        return 0

    cdef int resume(self) except -1:
        if self.server is not None:
            self.last_ns = self.worker.now()
            self.server.resume()
        return 0

    cdef int settle(self, uint64_t now_ns) except -1:
        """Account what happened: gauges, histograms, breaker, learned figures. Once."""
        cdef Backend backend = self.backend
        cdef Row* row = self.row
        cdef uint64_t total_ns = now_ns - self.begun_ns
        cdef int verdict
        if self.settled:
            return 0
        self.settled = True
        self.state = ATTEMPT_ENDED
        self.ended_ns = now_ns
        self.worker.wheel.disarm(self)
        backend.gauge.in_flight -= 1
        row.in_flight -= 1
        row.outcomes[<int>self.outcome] += 1
        row.answer_bytes += self.answer_bytes
        row.request_bytes += self.request_bytes
        verdict = verdict_of(self.outcome, self.status)
        breaker_observe(
            backend.cell, &backend.terms.breaker, verdict,
            self.is_slow(total_ns), self.begun_ns, now_ns, &self.worker.random,
        )
        if self.retry_after_ns and (self.status == 429 or self.status == 503):
            self.cool_down(now_ns)
        if self.outcome == OUTCOME_OK:
            self.settle_success(total_ns, now_ns)
        elif verdict == VERDICT_FAILURE:
            ewma_fold(backend.gauge, failure_rtt(backend.cell, total_ns), now_ns)
        if backend.terms.adaptive.initial:
            if verdict == VERDICT_RATE_LIMITED:
                limit_decrease(backend.cell, &backend.terms.adaptive, now_ns)
            limit_update(backend.cell, &backend.terms.adaptive, &backend.gauges, now_ns)
        learned_refresh(backend.cell, &backend.gauges, now_ns)
        return 0

    cdef bint is_slow(self, uint64_t total_ns) noexcept nogil:
        cdef uint64_t slow_ns = self.backend.terms.breaker.slow_ns
        if slow_ns == 0:
            return False
        if self.first_byte_ns and self.sent_ns:
            return self.first_byte_ns - self.sent_ns > slow_ns
        return total_ns > slow_ns

    cdef int cool_down(self, uint64_t now_ns) except -1:
        """The backend said when to come back: nobody asks it before, in any worker."""
        cdef uint64_t wait_ns = self.retry_after_ns
        if wait_ns > self.cooldown_max_ns:
            wait_ns = self.cooldown_max_ns
        breaker_cooldown(self.backend.cell, now_ns + wait_ns)
        return 0

    cdef int settle_success(self, uint64_t total_ns, uint64_t now_ns) except -1:
        cdef Row* row = self.row
        cdef Backend backend = self.backend
        cdef uint64_t first_ns = 0
        if self.first_byte_ns > self.sent_ns and self.sent_ns:
            first_ns = self.first_byte_ns - self.sent_ns
        fine_add(&row.total_ns, total_ns)
        window_add(&backend.recent.total, total_ns, now_ns)
        # Why not 0: that would make a known backend look unknown.
        first_ns += first_ns == 0
        fine_add(&row.first_byte_ns, first_ns)
        window_add(&backend.recent.first_byte, first_ns, now_ns)
        ewma_fold(backend.gauge, first_ns, now_ns)
        if self.usage.input_tokens >= 0 or backend.terms.request_usd > 0:
            self.settle_usage()
        return 0

    cdef int settle_usage(self) except -1:
        """Tokens and price of the answer, as the backend reported them."""
        cdef Terms* terms = &self.backend.terms
        cdef Row* row = self.row
        cdef int64_t input_tokens = max(0, self.usage.input_tokens)
        cdef int64_t output_tokens = max(0, self.usage.output_tokens)
        cdef int64_t cached_tokens = min(max(0, self.usage.cached_tokens), input_tokens)
        cdef double usd = terms.request_usd + output_tokens * terms.output_usd
        usd += (input_tokens - cached_tokens) * terms.input_usd + cached_tokens * terms.cached_usd
        self.cost_nano_usd = <uint64_t>(usd * 1e9 + 0.5)
        row.cost_nano_usd += self.cost_nano_usd
        row.input_tokens += <uint64_t>input_tokens
        row.output_tokens += <uint64_t>output_tokens
        row.cached_tokens += <uint64_t>cached_tokens
        if self.usage.input_tokens > 0:
            usage_fold(
                self.backend.gauge, self.request_bytes, <uint64_t>input_tokens, <uint64_t>output_tokens
            )
        return 0


cdef int verdict_of(Outcome outcome, int status) noexcept nogil:
    """What an ending says about the backend, for its breaker."""
    if outcome == OUTCOME_OK:
        return VERDICT_SUCCESS
    if outcome == OUTCOME_CANCELLED or outcome == OUTCOME_CLIENT_CLOSED:
        return VERDICT_NEUTRAL
    if outcome == OUTCOME_UPSTREAM_429:
        return VERDICT_RATE_LIMITED
    if outcome == OUTCOME_UPSTREAM_4XX:
        # Why: our own credentials were refused; for routing that backend is as good as down.
        return VERDICT_FAILURE if status == 401 or status == 403 else VERDICT_SUCCESS
    return VERDICT_FAILURE


cdef bint passes_downstream(int name) noexcept nogil:
    return not (
        name == FIELD_CONTENT_LENGTH or name == FIELD_TRANSFER_ENCODING or name == FIELD_CONNECTION
        or name == FIELD_HOP or name == FIELD_NAMED_BY_CONNECTION or name == FIELD_UPGRADE
        or name == FIELD_SERVER or name == FIELD_SET_COOKIE or name == FIELD_ORGANISATION
        or name == FIELD_REQUEST_ID or name == FIELD_GATEWAY or name == FIELD_CORS
    )


cdef uint64_t number_of(const char* value, uint32_t length) noexcept nogil:
    """A decimal number of at most nine digits; anything else (a date, a fraction) is 0."""
    cdef uint64_t number = 0
    cdef uint32_t i
    if length == 0 or length > 9:
        return 0
    for i in range(length):
        if not 48 <= value[i] <= 57:
            return 0
        number = number * 10 + <uint64_t>(value[i] - 48)
    return number
