"""The side of an exchange that faces its client: see reply.pxd for the rules."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.math cimport isnan
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcpy
from gateway._fast.attempt cimport Attempt
from gateway._fast.backend cimport Backend
from gateway._fast.errand cimport Errand
from gateway._fast.head cimport is_token
from gateway._fast.operation cimport MARKS_JSON
from gateway._fast.outcome cimport Outcome
from gateway._fast.request cimport Request
from gateway._fast.scratch cimport Scratch

cdef enum:
    NS_PER_S = 1_000_000_000
    JSON_BYTES = 262144                 # of an answer that may be asked to be JSON


cdef class Reply(Errand):

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
        if tees(self):
            self.tee(piece)
        if self.original is not None:
            self.original.keep(piece)
        if self.client is None or self.request.is_head:
            return 0
        if not self.chunked and attempt.promised >= 0 and attempt.answer_bytes >= <uint64_t>attempt.promised:
            # Rule: the last byte of an answer leaves when its record is written.
            self.last_piece = piece
            return 0
        if self.chunked and attempt.raw is not None:
            return self.client.send(attempt.raw)
        return self.client.send(self.framed(piece))

    cdef int tee(self, bytes piece) except -1:
        """Keep a piece for the record, up to the payload's bound. Cost: no copy."""
        if self.teed_bytes > tee_bound(self):
            return 0
        if self.teed is None:
            self.teed = []
        self.teed.append(piece)
        self.teed_bytes += <uint64_t>PyBytes_GET_SIZE(piece)
        return 0

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
        scratch.put(b"x-gateway-backend: ")
        scratch.add_bytes(attempt.backend.name_bytes)
        scratch.put(b"\r\nx-gateway-attempts: ")
        scratch.add_number(<uint64_t>self.attempts)
        if complete and (attempt.version is not None or PyBytes_GET_SIZE(attempt.backend.version)):
            self.write_version(attempt)
        if complete and attempt.cost_nano_usd:
            scratch.put(b"\r\nx-gateway-cost-usd: ")
            scratch.add_usd(attempt.cost_nano_usd)
        scratch.put(b"\r\nserver-timing: queue;dur=")
        scratch.add_millis(self.queued_ns)
        scratch.put(b", upstream;dur=")
        upstream_ns = self.upstream_ns
        if not complete:
            upstream_ns += attempt.first_byte_ns - asked_ns(attempt)
        scratch.add_millis(upstream_ns)
        scratch.put(b", gateway;dur=")
        own_ns = self.worker.now() - self.read_ns
        scratch.add_millis(own_ns - min(own_ns, self.queued_ns + upstream_ns))
        scratch.put(b"\r\n")
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
            scratch.put(b"\r\nx-gateway-model-version: ")
            scratch.add_bytes(version)
        if not isnan(attempt.confidence):
            scratch.put(b"\r\nx-gateway-confidence: ")
            scratch.add_bytes(b"%.6g" % attempt.confidence)
        return 0

    cdef int write_length(self, uint64_t length) except -1:
        self.worker.scratch.put(b"content-length: ")
        self.worker.scratch.add_number(length)
        self.worker.scratch.put(b"\r\n")
        return 0

    cdef bint has_unread_body(self) noexcept:
        return False

    cdef int end_head(self) except -1:
        """Fields that every answer has, and the empty line."""
        cdef Scratch scratch = self.worker.scratch
        cdef Request request = self.request
        if request is not None:
            scratch.put(b"x-request-id: ")
            scratch.add(request.id, request.id_length)
            scratch.put(b"\r\n")
        scratch.add_bytes(self.table.server_line)
        if self.route is not None and self.route.arm_field is not None:
            scratch.add_bytes(self.route.arm_field)
        if self.fallback is not None:
            scratch.put(b"x-gateway-fallback: ")
            scratch.add_bytes(self.fallback.encode("ascii"))
            scratch.put(b"\r\n")
        if self.cors is not None:
            scratch.add_bytes(self.cors)
        if self.must_close or self.worker.draining or request is None or not request.keep_alive or (
            self.client.served + 1 == self.worker.limits.connection_requests or self.has_unread_body()
        ):
            self.must_close = True
            scratch.put(b"connection: close\r\n")
        elif request.is_http10:
            scratch.put(b"connection: keep-alive\r\n")
        scratch.put(b"\r\n")
        return 0

    cdef int say(
        self, int status, bytes content_type, bytes body, Outcome outcome, uint64_t now_ns
    ) except -1:
        """An answer of the gateway's own."""
        cdef Scratch scratch = self.worker.scratch
        if self.client is None:
            return 0
        self.begin_answer(status)
        scratch.add_date()
        scratch.put(b"content-type: ")
        scratch.add_bytes(content_type)
        scratch.put(b"\r\n")
        if self.attempts:
            scratch.put(b"x-gateway-attempts: ")
            scratch.add_number(<uint64_t>self.attempts)
            scratch.put(b"\r\n")
        if status == 503 or status == 429:
            scratch.put(b"retry-after: ")
            scratch.add_number(self.retry_after_s(now_ns))
            scratch.put(b"\r\n")
        self.said = body
        return self.send_answer(body, outcome, now_ns)

    cdef int send_answer(self, bytes body, Outcome outcome, uint64_t now_ns) except -1:
        if self.status != 204 and self.status != 304:
            self.write_length(<uint64_t>PyBytes_GET_SIZE(body))
        self.end_head()
        if self.request is not None and self.request.is_head:
            body = b""
        self.committed = True
        whole = self.worker.scratch.built_with(body)
        self.close_account(outcome, now_ns)
        return self.client.send(whole)

    cdef int close_account(self, Outcome outcome, uint64_t now_ns) except -1:
        raise NotImplementedError

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


cdef uint64_t asked_ns(Attempt attempt) noexcept:
    """From when on an attempt was the backend's: its dial, or its request's last byte."""
    return attempt.sent_ns if attempt.is_reused and attempt.sent_ns else attempt.begun_ns


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


cdef bint tees(Reply reply) noexcept:
    return reply.keeps_bodies or reply.request.marks & MARKS_JSON


cdef uint64_t tee_bound(Reply reply) noexcept:
    if reply.request.marks & MARKS_JSON:
        return max(reply.route.tee_bytes, <uint64_t>JSON_BYTES)
    return reply.route.tee_bytes
