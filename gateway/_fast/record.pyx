"""The prediction log's line of an exchange: see record.pxd for the rules."""

import cython
import json

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.math cimport isnan
from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcpy
from gateway._fast.attempt cimport Attempt
from gateway._fast.board cimport OUTCOME_SLOTS
from gateway._fast.clock cimport new_id, realtime_ns
from gateway._fast.decision cimport Decision
from gateway._fast.errand cimport Errand
from gateway._fast.hashing cimport xxh3
from gateway._fast.layers cimport Assignments, Layer
from gateway._fast.layers import REASONS
from gateway._fast.line cimport Line, base64_bound, text_bound, utf8_length
from gateway._fast.members cimport bytes_of_string
from gateway._fast.operation cimport SLOT_USER
from gateway._fast.outcome cimport OUTCOME_CLIENT_CLOSED, OUTCOME_LOG_FULL
from gateway._fast.pointer cimport Pointer
from gateway._fast.policies cimport (
    COLUMN_LOAD, COLUMN_PREDICTED, COLUMN_SCORE, COLUMN_USD, COLUMN_WEIGHT, has,
)
from gateway._fast.recovery cimport Recovery
from gateway._fast.request cimport Request
from gateway._fast.routes import EXCLUDED, POLICIES
from gateway._fast.scan cimport JSON_MISSING, JSON_STRING, Member, SCAN_OK, scan_value
from gateway._fast.segment cimport Stream
from gateway._fast.shadow cimport Shadow
from gateway._fast.table cimport PAYLOAD_NONE, Route

cdef enum:
    HEAD_BYTES = 2048                   # all fields of a bounded length together

# By marks.Finish.
cdef tuple FINISHES = (b"", b"stop", b"length", b"tools", b"filter", b"other")
cdef tuple EXCLUSION_TOKENS = tuple([token.encode("ascii") for token in EXCLUDED])
cdef tuple REASON_TOKENS = tuple([token.encode("ascii") for token in REASONS])
cdef tuple POLICY_TOKENS = tuple([token.encode("ascii") for token in POLICIES])


@cython.final
cdef class Recorder:
    """One a worker; `outcomes` and `capabilities` are errors.OUTCOMES' reasons and plan.CAPABILITIES."""

    def __init__(self, Stream stream not None, gateway, worker, outcomes, capabilities):
        self.stream = stream
        self.line = Line()
        self.origin = b',"gateway":%b,"worker":%d,"stream":%b,"seq":' % (
            json.dumps(gateway).encode("ascii"), worker, json.dumps(stream.name).encode("ascii")
        )
        if len(outcomes) > OUTCOME_SLOTS:
            raise ValueError(f"{len(outcomes)} outcomes")
        self.outcomes = tuple([reason.encode("ascii") for reason in outcomes])
        self.capabilities = tuple([
            (bit, json.dumps(name).encode("ascii")) for name, bit in capabilities.items()
        ])

    cdef int write(self, Recovery exchange) except -1:
        """Build the line of this exchange and append it."""
        cdef Line line = self.line
        cdef uint64_t now_ns = exchange.ended_ns
        cdef uint64_t read_ns = exchange.read_ns or now_ns
        if exchange.outcome == OUTCOME_LOG_FULL:
            # Why: what is left is for requests that were let in; their answers must be recorded.
            self.stream.skip()
            return 0
        line.begin()
        self.make_room(HEAD_BYTES + PyBytes_GET_SIZE(self.origin))
        self.add_ids(exchange, now_ns)
        line.add_bytes(self.origin)
        line.add_number(self.stream.seq + 1)
        line.add_bytes(exchange.table.record_fields)
        line.put(b',"outcome":"')
        line.add_bytes(<bytes>self.outcomes[exchange.outcome])
        line.put(b'","status":')
        line.add_number(exchange.status)
        self.add_timing(exchange, read_ns)
        line.put(b',"request":')
        self.add_request(exchange)
        line.put(b',"response":')
        self.add_response(exchange)
        self.add_question(exchange)
        self.add_answerer(exchange)
        self.add_decisions(exchange)
        self.add_attempts(exchange)
        if exchange.assignments is not None:
            self.add_assignments(exchange.assignments)
        self.make_room(HEAD_BYTES)
        if exchange.fallback is not None:
            line.put(b',"fallback":"')
            line.add_bytes(exchange.fallback.encode("ascii"))
            line.put(b'"')
        self.add_cost(exchange)
        if exchange.findings is not None:
            self.add_findings(exchange)
        self.add_features(exchange)
        if exchange.attempt is not None and exchange.said is None:
            self.add_predictions(exchange, answered(exchange))
        self.make_room(1)
        line.put(b"}")
        self.stream.append(line.data, line.used, now_ns)
        return 0

    def write_copy(self, Shadow shadow not None, bytes comparison):
        """The line of a copy that is over, with its comparison as JSON."""
        cdef Line line = self.line
        line.begin()
        self.make_room(HEAD_BYTES + PyBytes_GET_SIZE(self.origin))
        new_id(self.id, &shadow.worker.random)
        line.put(b'{"v":1,"id":"')
        line.add(self.id, 36)
        self.add_request_id(shadow)
        line.put(b',"time":')
        line.add_time(realtime_ns() - (shadow.worker.now() - shadow.begun_ns))
        line.put(b',"kind":"shadow"')
        line.add_bytes(self.origin)
        line.add_number(self.stream.seq + 1)
        line.add_bytes(shadow.table.record_fields)
        line.put(b',"outcome":"')
        line.add_bytes(<bytes>self.outcomes[shadow.outcome])
        line.put(b'","status":')
        line.add_number(shadow.status)
        self.add_timing(shadow, shadow.read_ns)
        self.add_copy(shadow)
        self.add_attempts(shadow)
        self.make_room(HEAD_BYTES + PyBytes_GET_SIZE(comparison))
        line.put(b',"comparison":')
        line.add_bytes(comparison)
        self.add_cost(shadow)
        if shadow.attempt.body is not None:
            self.add_predictions(shadow, shadow.attempt.body)
        self.make_room(1)
        line.put(b"}")
        self.stream.append(line.data, line.used, shadow.ended_ns)

    cdef int add_copy(self, Shadow shadow) except -1:
        """What was asked and answered, and by whom."""
        cdef Line line = self.line
        cdef Attempt attempt = shadow.attempt
        cdef Request request = shadow.request
        cdef bint redacts = shadow.keeps_bodies and shadow.route.redacts
        line.put(b',"request":')
        self.add_payload(
            shadow, request.body, <uint64_t>PyBytes_GET_SIZE(request.body), False,
            request.field(b"content-type") if redacts else None, True,
        )
        line.put(b',"response":')
        self.add_payload(
            shadow, shadow.body(), attempt.answer_bytes, attempt.is_encoded, attempt.fields, False
        )
        self.add_question(shadow)
        return self.add_backend(attempt)

    cdef int make_room(self, size_t more) except -1:
        if not self.line.ensure(more):
            raise MemoryError
        return 0

    cdef int add_ids(self, Recovery exchange, uint64_t now_ns) except -1:
        cdef Line line = self.line
        cdef Request request = exchange.request
        if request is not None and request.is_own_id:
            memcpy(self.id, request.id, 36)
        else:
            new_id(self.id, &exchange.worker.random)
        line.put(b'{"v":1,"id":"')
        line.add(self.id, 36)
        self.add_request_id(exchange)
        line.put(b',"time":')
        # now_ns was read a moment ago; the record says microseconds.
        line.add_time(realtime_ns() - (now_ns - (exchange.begun_ns or now_ns)))
        line.put(b',"kind":"')
        if exchange.outcome == OUTCOME_CLIENT_CLOSED:
            line.put(b"cancelled")
        elif exchange.first_attempt is None and exchange.fallback is None:
            line.put(b"refusal")
        else:
            line.put(b"prediction")
        line.put(b'"')
        return 0

    cdef int add_request_id(self, Errand errand) except -1:
        cdef Request request = errand.request
        self.line.put(b'","request_id":')
        if request is not None and not request.is_own_id:
            return self.add_name(errand, request.id, request.id_length)
        self.line.put(b'"')
        if request is None:
            self.line.add(self.id, 36)
        else:
            self.line.add(request.id, 36)
        self.line.put(b'"')
        return 0

    cdef int add_timing(self, Errand exchange, uint64_t read_ns) except -1:
        cdef Line line = self.line
        cdef uint64_t total_ns = exchange.ended_ns - read_ns
        cdef uint64_t others_ns = exchange.queued_ns + exchange.upstream_ns
        cdef Attempt attempt = exchange.attempt
        line.put(b',"timing":{"total_us":')
        line.add_number(total_ns // 1000)
        if exchange.queued_ns:
            line.put(b',"queue_us":')
            line.add_number(exchange.queued_ns // 1000)
        if exchange.upstream_ns:
            line.put(b',"upstream_us":')
            line.add_number(exchange.upstream_ns // 1000)
        line.put(b',"gateway_us":')
        line.add_number((total_ns - min(total_ns, others_ns)) // 1000)
        if exchange.begun_ns and read_ns > exchange.begun_ns:
            line.put(b',"read_us":')
            line.add_number((read_ns - exchange.begun_ns) // 1000)
        if attempt is not None and attempt.first_byte_ns > read_ns:
            line.put(b',"first_byte_us":')
            line.add_number((attempt.first_byte_ns - read_ns) // 1000)
        if attempt is not None and attempt.gaps:
            line.put(b',"gaps":')
            line.add_number(attempt.gaps)
            line.put(b',"gap_max_us":')
            line.add_number(attempt.gap_max_ns // 1000)
        line.put(b"}")
        return 0

    # ------------------------------------------------------------- payloads

    cdef int add_request(self, Recovery exchange) except -1:
        cdef Request request = exchange.request
        if request is None:
            self.line.put(b'{"bytes":0}')
            return 0
        return self.add_payload(
            exchange, request.body if exchange.received is None else exchange.received,
            request.body_bytes, False,
            request.field(b"content-type") if exchange.keeps_bodies and exchange.route.redacts else None,
            True,
        )

    cdef int add_response(self, Recovery exchange) except -1:
        cdef Attempt attempt = exchange.attempt
        cdef bytes body = exchange.said
        if body is not None:
            return self.add_payload(exchange, body, <uint64_t>PyBytes_GET_SIZE(body), False, None, False)
        if attempt is None:
            self.line.put(b'{"bytes":0}')
            return 0
        body = attempt.body
        # Why not always: pieces of a stream may be kept only to see whether they are JSON.
        if exchange.teed is not None and (body is not None or exchange.keeps_bodies):
            body = b"".join(exchange.teed)
        return self.add_payload(
            exchange, body, attempt.answer_bytes, attempt.is_encoded, attempt.fields, False,
        )

    cdef int add_payload(
        self, Errand exchange, bytes body, uint64_t total_bytes, bint is_encoded,
        bytes content_type, bint is_request,
    ) except -1:
        """One body as far as the route's policy has it; `content_type` may be a whole head."""
        cdef Line line = self.line
        cdef Route route = exchange.route
        cdef bint is_whole = body is not None and <uint64_t>PyBytes_GET_SIZE(body) == total_bytes
        cdef bytes made
        if exchange.keeps_bodies and route.redacts and body is not None:
            made = exchange.table.slow.payload(
                exchange.worker, route, body, content_type, total_bytes, is_whole, is_encoded,
                self.id[:36], is_request,
            )
            self.make_room(<size_t>PyBytes_GET_SIZE(made) + HEAD_BYTES)
            line.add_bytes(made)
            return 0
        self.make_room(HEAD_BYTES)
        line.put(b'{"bytes":')
        line.add_number(total_bytes)
        # Why not where something may be taken out: a hash of a short text betrays it.
        if is_whole and total_bytes and route is not None and route.payload != PAYLOAD_NONE and not (
            exchange.keeps_bodies and route.redacts
        ):
            line.put(b',"xxh3":')
            line.add_hex(xxh3(PyBytes_AS_STRING(body), <size_t>PyBytes_GET_SIZE(body), 0))
        if exchange.keeps_bodies and body is not None:
            self.add_body(body, route.payload_bytes, is_whole, is_encoded)
        line.put(b"}")
        return 0

    cdef int add_body(self, bytes body, uint64_t limit, bint is_whole, bint is_encoded) except -1:
        cdef Line line = self.line
        cdef const char* at = PyBytes_AS_STRING(body)
        cdef size_t length = <size_t>PyBytes_GET_SIZE(body)
        cdef size_t kept = min(length, <size_t>limit)
        cdef size_t good
        cdef Member whole
        if kept == length and is_whole and not is_encoded and length and (
            scan_value(at, 0, <unsigned int>length, &whole) == SCAN_OK
        ):
            self.make_room(length + HEAD_BYTES)
            line.put(b',"type":"json","body":')
            line.add_json(at, length)
            return 0
        good = utf8_length(at, kept)
        # A character that the limit cuts in two is left out; other bytes make it no text.
        if not is_encoded and (good == kept or (kept < length and kept - good < 4)):
            kept = good
            self.make_room(text_bound(kept) + HEAD_BYTES)
            line.put(b',"type":"text","body":')
            line.add_text(at, kept)
        else:
            self.make_room(base64_bound(kept) + HEAD_BYTES)
            line.put(b',"type":"base64","body":')
            line.add_base64(at, kept)
        if kept < length or not is_whole:
            line.put(b',"truncated":true')
        return 0

    # -------------------------------------------------------- what was asked

    cdef int add_question(self, Errand exchange) except -1:
        cdef Line line = self.line
        cdef Request request = exchange.request
        cdef Route route = exchange.route
        self.make_room(HEAD_BYTES)
        if route is not None:
            line.add_bytes(route.record_fields)
        if exchange.operation is not None:
            line.add_bytes(exchange.operation.record_fields)
        if request is None:
            return 0
        line.put(b',"method":')
        self.add_name(exchange, PyBytes_AS_STRING(request.method_name), <size_t>PyBytes_GET_SIZE(request.method_name))
        if exchange.operation is None:
            self.add_told(exchange, b',"path":', request.path)
        if request.model is not None:
            if route is None:
                self.add_told(exchange, b',"model":', request.model)
            else:
                line.put(b',"model":')
                self.add_short(PyBytes_AS_STRING(request.model), <size_t>PyBytes_GET_SIZE(request.model))
        if route is None or not route.hides_user:
            self.add_user(exchange)
        self.make_room(HEAD_BYTES)
        if request.has_traceparent:
            line.put(b',"trace_id":"')
            line.add(PyBytes_AS_STRING(request.data) + request.trace_at, 32)
            line.put(b'"')
        if exchange.attempt is not None and exchange.attempt.events is not None:
            line.put(b',"streamed":true')
        if route is not None and route.records_headers:
            headers = <bytes>exchange.table.slow.recorded_headers(
                exchange.worker, route, request.data[:request.head_bytes]
            )
            self.make_room(<size_t>PyBytes_GET_SIZE(headers) + HEAD_BYTES)
            line.put(b',"headers":')
            line.add_bytes(headers)
        return 0

    cdef int add_told(self, Errand exchange, const char* name, bytes text) except -1:
        """What a client said and nobody has recognised, made safe to keep."""
        text = <bytes>exchange.table.slow.recorded_text(exchange.worker, text[:NAME_BYTES])
        self.line.put(name)
        return self.add_short(PyBytes_AS_STRING(text), <size_t>PyBytes_GET_SIZE(text))

    cdef int add_name(self, Errand exchange, const char* text, size_t length) except -1:
        """A name that a client chose; one that might be a credential is looked at first."""
        cdef bytes checked
        cdef Route route = exchange.route
        if is_harmless(text, length) and (route is None or not route.redacts_names):
            return self.add_short(text, length)
        checked = exchange.table.slow.recorded_name(exchange.worker, route, text[:length])
        return self.add_short(PyBytes_AS_STRING(checked), <size_t>PyBytes_GET_SIZE(checked))

    cdef int add_short(self, const char* text, size_t length) except -1:
        """At most NAME_BYTES of a text, cut between two characters."""
        if length > NAME_BYTES:
            length = NAME_BYTES
            while length and text[length] & 0xC0 == 0x80:
                length -= 1
        self.make_room(text_bound(length) + HEAD_BYTES)
        self.line.add_text(text, length)
        return 0

    cdef int add_user(self, Errand exchange) except -1:
        cdef Line line = self.line
        cdef Request request = exchange.request
        cdef const Member* user = &request.members[<int>SLOT_USER]
        cdef bytes value
        if request.decoded and user.kind == JSON_STRING:
            if user.end - user.start > NAME_BYTES:
                return 0
            value = bytes_of_string(PyBytes_AS_STRING(request.body), user)
            if value is not None:
                line.put(b',"user":')
                self.add_name(exchange, PyBytes_AS_STRING(value), <size_t>PyBytes_GET_SIZE(value))
        elif PyBytes_GET_SIZE(exchange.table.user_header):
            value = request.field(exchange.table.user_header)
            if value is not None and PyBytes_GET_SIZE(value):
                line.put(b',"user":')
                self.add_name(exchange, PyBytes_AS_STRING(value), <size_t>PyBytes_GET_SIZE(value))
        return 0

    cdef int add_answerer(self, Recovery exchange) except -1:
        """Whose answer it was: nobody's where the gateway answered itself."""
        cdef Attempt attempt = exchange.attempt
        if attempt is None or exchange.said is not None:
            return 0
        return self.add_backend(attempt)

    cdef int add_backend(self, Attempt attempt) except -1:
        """The backend of an attempt, and which version of the model answered there."""
        cdef Line line = self.line
        cdef bytes version = attempt.version or attempt.backend.version
        self.make_room(<size_t>PyBytes_GET_SIZE(attempt.backend.record_fields) + HEAD_BYTES)
        line.add_bytes(attempt.backend.record_fields)
        if PyBytes_GET_SIZE(version):
            line.put(b',"version":')
            self.add_short(PyBytes_AS_STRING(version), <size_t>PyBytes_GET_SIZE(version))
        return 0

    # -------------------------------------------------------------- decisions

    cdef int add_decisions(self, Recovery exchange) except -1:
        if exchange.decision is None:
            return 0
        self.make_room(HEAD_BYTES)
        self.line.put(b',"decisions":[')
        if exchange.decisions is not None:
            for earlier in exchange.decisions:
                self.add_decision(exchange, <Decision>earlier)
                self.line.put(b",")
        self.add_decision(exchange, exchange.decision)
        self.line.put(b"]")
        return 0

    cdef int add_decision(self, Recovery exchange, Decision decision) except -1:
        cdef Line line = self.line
        cdef int count = decision.candidates.length
        cdef int position
        cdef uint64_t read_ns = exchange.read_ns
        cdef list names = decision.names
        self.make_room(DECISION_BYTES + <size_t>count * CANDIDATE_BYTES + 64 * 140)
        line.put(b'{"route":')
        line.add_bytes(decision.route_fields)
        line.put(b',"policy":"')
        line.add_bytes(<bytes>POLICY_TOKENS[decision.wish.policy])
        line.put(b'","at_us":')
        line.add_number((decision.wish.now_ns - min(decision.wish.now_ns, read_ns)) // 1000)
        line.put(b',"candidates":[')
        for position in range(count):
            if position:
                line.put(b",")
            self.add_candidate(decision, position, <bytes>names[position])
        line.put(b"]")
        if decision.choice.position >= 0:
            line.put(b',"chosen":')
            line.add_bytes(<bytes>names[decision.choice.position])
            line.put(b',"probability":')
            line.add_decimal(decision.choice.probability, 9)
        if decision.choice.is_exploring:
            line.put(b',"exploring":true')
        if decision.choice.is_panic:
            line.put(b',"panic":true')
        self.add_wish(decision)
        line.put(b',"draw":')
        line.add_hex(decision.draw)
        line.put(b"}")
        return 0

    cdef bytes names_of(self, uint64_t capabilities):
        """Their quoted names. Cost: put together where they are others than last time."""
        if capabilities != self.wanted or self.wanted_names is None:
            self.wanted = capabilities
            self.wanted_names = b",".join(
                [name for bit, name in self.capabilities if capabilities & <uint64_t>bit]
            )
        return self.wanted_names

    cdef int add_wish(self, Decision decision) except -1:
        cdef Line line = self.line
        cdef bint follows = False
        cdef int position
        if decision.wish.capabilities:
            line.put(b',"capabilities":[')
            line.add_bytes(self.names_of(decision.wish.capabilities))
            line.put(b"]")
        if decision.wish.input_bytes:
            line.put(b',"input_bytes":')
            line.add_number(decision.wish.input_bytes)
        if decision.wish.output_tokens:
            line.put(b',"output_tokens":')
            line.add_number(decision.wish.output_tokens)
        if decision.wish.required >= 0:
            line.put(b',"required":')
            for position in range(decision.candidates.length):
                if decision.candidates.roster.terms[position].index == decision.wish.required:
                    line.add_bytes(<bytes>decision.names[position])
                    break
            else:
                line.put(b'"?"')
        if decision.wish.sticky:
            line.put(b',"sticky":')
            line.add_hex(decision.wish.sticky)
        if decision.wish.tried:
            line.put(b',"tried":[')
            follows = False
            for position in range(decision.candidates.length):
                if has(decision.wish.tried, position):
                    if follows:
                        line.put(b",")
                    line.add_bytes(<bytes>decision.names[position])
                    follows = True
            line.put(b"]")
        return 0

    cdef void add_candidate(self, Decision decision, int position, bytes name) noexcept:
        cdef Line line = self.line
        cdef int reason = 0
        if not has(decision.choice.eligible, position):
            reason = decision.candidates.reason_of(&decision.choice, position)
        line.put(b'{"backend":')
        line.add_bytes(name)
        if reason:
            line.put(b',"excluded":"')
            line.add_bytes(<bytes>EXCLUSION_TOKENS[reason])
            line.put(b'"')
        else:
            self.add_measures(decision, position)
        line.put(b"}")

    cdef void add_measures(self, Decision decision, int position) noexcept:
        """What the policy looked at."""
        cdef Line line = self.line
        cdef int columns = decision.columns
        cdef const double* figure = decision.figures() + position
        if columns & 1 << COLUMN_WEIGHT:
            line.put(b',"weight":')
            line.add_decimal(figure[0], 6)
            figure += decision.candidates.length
        if columns & 1 << COLUMN_LOAD:
            line.put(b',"load_us":')
            line.add_us(figure[0])
            figure += decision.candidates.length
        if columns & 1 << COLUMN_USD:
            line.put(b',"expected_usd":')
            line.add_decimal(figure[0], 12)
            figure += decision.candidates.length
        if columns & 1 << COLUMN_PREDICTED:
            line.put(b',"predicted_us":')
            line.add_us(figure[0])
            figure += decision.candidates.length
            if has(decision.stale, position):
                line.put(b',"stale":true')
        if columns & 1 << COLUMN_SCORE:
            line.put(b',"score":')
            line.add_decimal(figure[0], 12)

    # ------------------------------------------------------------ assignments

    cdef int add_assignments(self, Assignments assignments) except -1:
        cdef Line line = self.line
        cdef Layer layer
        cdef bytes behind
        cdef int at
        line.put(b',"assignments":[')
        for at in range(assignments.count):
            layer = <Layer>assignments.layers[at]
            behind = <bytes>layer.behind[assignments.drawn[at].arm]
            self.make_room(<size_t>PyBytes_GET_SIZE(layer.before) + <size_t>PyBytes_GET_SIZE(behind) + HEAD_BYTES)
            if at:
                line.put(b",")
            line.add_bytes(layer.before)
            line.add_number(assignments.drawn[at].bucket)
            line.add_bytes(behind)
            line.put(b',"unit":"')
            line.add_bytes(b"request" if assignments.drawn[at].is_stand_in else layer.unit_name)
            if assignments.drawn[at].reason:
                line.put(b'","reason":"')
                line.add_bytes(<bytes>REASON_TOKENS[assignments.drawn[at].reason])
            line.put(b'"}')
        line.put(b"]")
        return 0

    # --------------------------------------------------------------- attempts

    cdef int add_attempts(self, Errand exchange) except -1:
        cdef Line line = self.line
        if exchange.first_attempt is None:
            return 0
        self.make_room(HEAD_BYTES)
        line.put(b',"attempts":[')
        self.add_attempt(exchange.first_attempt, exchange.read_ns)
        if exchange.later_attempts is not None:
            for attempt in exchange.later_attempts:
                line.put(b",")
                self.add_attempt(<Attempt>attempt, exchange.read_ns)
        line.put(b"]")
        return 0

    cdef int add_attempt(self, Attempt attempt, uint64_t read_ns) except -1:
        cdef Line line = self.line
        self.make_room(ATTEMPT_BYTES + <size_t>PyBytes_GET_SIZE(attempt.backend.record_name))
        line.put(b'{"backend":')
        line.add_bytes(attempt.backend.record_name)
        line.put(b',"outcome":"')
        line.add_bytes(<bytes>self.outcomes[<int>attempt.outcome])
        line.put(b'","begun_us":')
        line.add_number(us_since(read_ns, attempt.begun_ns))
        line.put(b',"ended_us":')
        line.add_number(us_since(read_ns, attempt.ended_ns))
        if attempt.status:
            line.put(b',"status":')
            line.add_number(<uint64_t>attempt.status)
        if attempt.sent_ns:
            line.put(b',"sent_us":')
            line.add_number(us_since(read_ns, attempt.sent_ns))
        if attempt.first_byte_ns:
            line.put(b',"first_byte_us":')
            line.add_number(us_since(read_ns, attempt.first_byte_ns))
        if attempt.is_reused:
            line.put(b',"reused":true')
        if attempt.is_hedge:
            line.put(b',"hedge":true')
        if attempt.request_bytes:
            line.put(b',"request_bytes":')
            line.add_number(attempt.request_bytes)
        if attempt.answer_bytes:
            line.put(b',"answer_bytes":')
            line.add_number(attempt.answer_bytes)
        if attempt.cost_nano_usd:
            line.put(b',"cost_usd":')
            line.add_decimal(<double>attempt.cost_nano_usd * 1e-9, 9)
        line.put(b"}")
        return 0

    # ---------------------------------------------------- what the answer said

    cdef int add_cost(self, Errand exchange) except -1:
        """Usage and price of the answer; the cost of all attempts."""
        cdef Line line = self.line
        cdef Attempt attempt = exchange.attempt
        cdef uint64_t nano_usd
        if attempt is None:
            return 0
        if attempt.usage.input_tokens >= 0 or attempt.usage.output_tokens >= 0:
            line.put(b',"usage":{"input_tokens":')
            line.add_number(<uint64_t>max(<int64_t>0, attempt.usage.input_tokens))
            line.put(b',"output_tokens":')
            line.add_number(<uint64_t>max(<int64_t>0, attempt.usage.output_tokens))
            if attempt.usage.cached_tokens > 0:
                line.put(b',"cached_tokens":')
                line.add_number(<uint64_t>attempt.usage.cached_tokens)
            line.put(b"}")
        nano_usd = exchange.first_attempt.cost_nano_usd
        if exchange.later_attempts is not None:
            for later in exchange.later_attempts:
                nano_usd += (<Attempt>later).cost_nano_usd
        if nano_usd:
            line.put(b',"cost_usd":')
            line.add_decimal(<double>nano_usd * 1e-9, 9)
        line.add_bytes(attempt.backend.record_price)
        if attempt.usage.finish:
            line.put(b',"finish_reason":"')
            line.add_bytes(<bytes>FINISHES[attempt.usage.finish])
            line.put(b'"')
        if not isnan(attempt.confidence):
            line.put(b',"confidence":')
            add_signed(line, attempt.confidence)
        return 0

    cdef int add_findings(self, Recovery exchange) except -1:
        """What contracts say of request and answer, and the JSON that was asked for."""
        cdef bytes found = exchange.table.slow.recorded_findings(
            exchange.worker, exchange.route, exchange.findings
        )
        self.make_room(<size_t>PyBytes_GET_SIZE(found) + HEAD_BYTES)
        self.line.add_bytes(found)
        return 0

    cdef int add_features(self, Recovery exchange) except -1:
        """The inputs of a prediction."""
        cdef Request request = exchange.request
        cdef Route route = exchange.route
        if route is None or route.features is None or request.body is None:
            return 0
        if exchange.first_attempt is None or PyBytes_GET_SIZE(request.body) == 0:
            return 0
        return self.add_part(exchange, b',"features":', route.features, request.body, True)

    cdef int add_predictions(self, Errand exchange, bytes body) except -1:
        """What the model answered: `body` is as it came, whole."""
        cdef Route route = exchange.route
        cdef Attempt attempt = exchange.attempt
        if route is None or route.predictions is None or body is None:
            return 0
        # Why the capability: what a server says of a model has members of the same names.
        if attempt.is_encoded or not attempt.is_json or exchange.operation.capability == 0:
            return 0
        if not 200 <= attempt.status < 300:
            return 0
        if not 0 < <uint64_t>PyBytes_GET_SIZE(body) <= route.predictions_bytes:
            return 0
        return self.add_part(exchange, b',"predictions":', route.predictions, body, False)

    cdef int add_part(
        self, Errand exchange, const char* name, Pointer pointer, bytes body, bint is_request
    ) except -1:
        """One value of a body, whole or not at all: half of it would be no JSON."""
        cdef Route route = exchange.route
        cdef const char* at = PyBytes_AS_STRING(body)
        cdef Member member
        cdef bytes made
        if pointer.find(at, <size_t>PyBytes_GET_SIZE(body), &member) != SCAN_OK:
            return 0
        if member.kind == JSON_MISSING or member.end - member.start > route.payload_bytes:
            return 0
        if route.redacts:
            made = exchange.table.slow.recorded_part(
                exchange.worker, route, body, self.id[:36], is_request
            )
            if made is None:
                return 0
            if PyBytes_GET_SIZE(made):
                self.make_room(<size_t>PyBytes_GET_SIZE(made) + HEAD_BYTES)
                self.line.put(name)
                self.line.add_bytes(made)
                return 0
        self.make_room(member.end - member.start + HEAD_BYTES)
        self.line.put(name)
        self.line.add_json(at + member.start, member.end - member.start)
        return 0


cdef bytes answered(Recovery exchange):
    """A whole answer as it came, before it was repaired; None of a stream."""
    if exchange.attempt.body is None or exchange.teed is None:
        return exchange.attempt.body
    return b"".join(exchange.teed)


cdef bint is_harmless(const char* text, size_t length) noexcept nogil:
    """Too short for a credential, or nothing but the digits and dashes of a UUID or hash."""
    cdef size_t i
    if length < SHORT_BYTES:
        return True
    for i in range(length):
        if not (48 <= text[i] <= 57 or 97 <= text[i] <= 102 or text[i] == c"-"):
            return False
    return True


cdef uint64_t us_since(uint64_t from_ns, uint64_t at_ns) noexcept nogil:
    return (at_ns - min(at_ns, from_ns)) // 1000


cdef void add_signed(Line line, double value) noexcept nogil:
    if value < 0:
        line.put(b"-")
        value = -value
    line.add_decimal(value, 9)
