"""Something that is asked of backends: see errand.pxd for the rules."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint32_t, uint64_t
from gateway._fast.attempt cimport Attempt, Caller
from gateway._fast.backend cimport Backend
from gateway._fast.board cimport Row
from gateway._fast.hashing cimport random_next
from gateway._fast.operation cimport Operation
from gateway._fast.peer cimport iovec
from gateway._fast.request cimport EDITS_MAX, Request
from gateway._fast.scan cimport JSON_MISSING, Member, SCAN_OK
from gateway._fast.scratch cimport SCRATCH_BYTES, Scratch
from gateway._fast.splice cimport (
    Edit, apply_edits_into, edited_length, member_inserted, object_at, value_replaced,
)

cdef enum:
    NS_PER_MS = 1_000_000
    COPIED_BYTES = 16384                # bodies up to this are copied behind their head
    PARTS_MAX = 2 + 2 * EDITS_MAX       # of a request: head, texts of edits, what stands around them


cdef class Errand(Caller):

    cdef Attempt attempt_at(self, Backend backend, Row* row):
        """The next attempt, not begun; limits and ways of its own are its maker's to set."""
        cdef Attempt attempt = Attempt.__new__(Attempt)
        cdef Request request = self.request
        self.attempts += 1
        if self.first_attempt is None:
            self.first_attempt = attempt
        elif self.later_attempts is None:
            self.later_attempts = [attempt]
        else:
            self.later_attempts.append(attempt)
        attempt.worker = self.worker
        attempt.caller = self
        attempt.backend = backend
        attempt.operation = self.operation
        attempt.row = row
        attempt.number = self.attempts
        attempt.first_byte_limit_ns = backend.first_byte_ns
        attempt.idle_limit_ns = backend.idle_ns
        attempt.cooldown_max_ns = self.route.retry_after_max_ns
        attempt.is_head = request.is_head
        attempt.may_stream = True
        attempt.withholds_usage = (
            request.wants_stream and self.operation.adds_usage and not request.wants_usage
        )
        attempt.choices = request.choices
        return attempt

    cdef int attempt_lent(self, Attempt attempt) except -1:
        """A connection is there."""
        return self.write_request(attempt)

    cdef int write_request(self, Attempt attempt) except -1:
        """Rewrite the head, splice the model's name, send."""
        cdef Request request = self.request
        cdef Scratch scratch = self.worker.scratch
        cdef Edit[EDITS_MAX] edits
        cdef iovec[PARTS_MAX] parts
        cdef int count
        cdef int64_t length
        cdef bytes body = request.body
        count = request.edits_for(self.operation, attempt.backend.model_json, edits)
        if attempt.backend.model_pointer is not None:
            count = self.model_edit(attempt.backend, edits)
        length = edited_length(PyBytes_GET_SIZE(body), edits, <uint32_t>count)
        if length < 0:
            raise ValueError("edits of a body overlap")
        self.write_request_head(attempt, <uint64_t>length)
        attempt.request_bytes = <uint64_t>length
        parts[0] = iovec(scratch.data, scratch.used)
        if length <= min(COPIED_BYTES, <int64_t>SCRATCH_BYTES - scratch.used):
            # Safety: the scratch has room for so much behind the head.
            apply_edits_into(
                scratch.data + scratch.used, PyBytes_AS_STRING(body), PyBytes_GET_SIZE(body),
                edits, <uint32_t>count,
            )
            parts[0].iov_len += <size_t>length
            return attempt.send_whole(parts, 1)
        return attempt.send_whole(parts, 1 + parts_into(parts + 1, body, edits, count))

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
        scratch.put(b" ")
        self.write_target(backend)
        scratch.put(b" HTTP/1.1\r\n")
        scratch.add_bytes(backend.fields)
        scratch.add_bytes(request.fields if backend.own_names is None else self.other_fields(backend))
        scratch.put(b"x-request-id: ")
        scratch.add(request.id, request.id_length)
        scratch.put(b"\r\n")
        if not request.has_traceparent:
            self.write_traceparent()
        scratch.put(b"x-request-timeout-ms: ")
        scratch.add_number(self.left_ns() // NS_PER_MS)
        scratch.put(b"\r\n")
        if self.table.has_forwarded or backend.forward or backend.passes_encoding:
            scratch.add_bytes(self.client_fields(backend))
        self.write_framing(length)
        scratch.put(b"\r\n")
        return 0

    cdef int write_framing(self, uint64_t length) except -1:
        cdef Scratch scratch = self.worker.scratch
        if length or has_body(self.request):
            scratch.put(b"content-length: ")
            scratch.add_number(length)
            scratch.put(b"\r\n")
        return 0

    cdef bytes other_fields(self, Backend backend):
        """The client's fields but those that the configuration sets itself."""
        return self.table.slow.without(self.request.fields, backend.own_names)

    cdef bytes client_fields(self, Backend backend):
        """What only some backends or plans let through: credentials, encodings, addresses."""
        cdef bytes head = self.request.data[:self.request.head_bytes]
        return self.table.slow.client_fields(backend.plan, head, self.client_address())

    cdef str client_address(self):
        raise NotImplementedError

    cdef uint64_t left_ns(self) noexcept:
        return 0

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
        scratch.put(b"traceparent: 00-")
        if self.request.is_own_id or self.request.id_length == 36 and is_uuid(self.request.id):
            add_digits(scratch, self.request.id)
        else:
            scratch.add_hex(random_next(&self.worker.random))
            scratch.add_hex(random_next(&self.worker.random))
        scratch.put(b"-")
        scratch.add_hex(random_next(&self.worker.random) | 1)
        scratch.put(b"-01\r\n")
        return 0


cdef bint has_body(Request request) noexcept:
    return request.chunked or request.content_length >= 0


cdef int parts_into(iovec* out, bytes body, const Edit* edits, int count) noexcept:
    """The edited body as parts: what stands between the edits, and their texts; how many.

    Safety: `out` has room for two an edit and one; the edits do not overlap and end in the body.
    """
    cdef char* data = PyBytes_AS_STRING(body)
    cdef size_t at = 0
    cdef int n, used = 0
    for n in range(count):
        out[used] = iovec(data + at, edits[n].at - at)
        out[used + 1] = iovec(<char*>edits[n].text, edits[n].text_length)
        used += 2
        at = <size_t>edits[n].at + edits[n].cut
    out[used] = iovec(data + at, <size_t>PyBytes_GET_SIZE(body) - at)
    return used + 1


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
