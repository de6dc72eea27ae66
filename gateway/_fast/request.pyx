"""What the client asked: see request.pxd for the rules."""

import cython

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy
from gateway._fast.head cimport (
    FIELD_ACCEPT_ENCODING, FIELD_CONNECTION, FIELD_CONTENT_LENGTH, FIELD_CONTENT_TYPE,
    FIELD_COOKIE, FIELD_CREDENTIAL, FIELD_EXPECT, FIELD_FORWARDED, FIELD_GATEWAY, FIELD_HOP,
    FIELD_HOST, FIELD_NAMED_BY_CONNECTION, FIELD_ORIGIN, FIELD_REQUEST_ID, FIELD_TRACEPARENT,
    FIELD_TRANSFER_ENCODING, FIELD_UNDERSCORE, FIELD_UPGRADE, FIELD_X_FORWARDED,
    FIELD_X_FORWARDED_FOR, METHOD_HEAD, Field, Head, equals, parse_request,
)
from gateway._fast.operation cimport (
    Operation, SLOT_MAX_COMPLETION_TOKENS, SLOT_MAX_OUTPUT_TOKENS, SLOT_MAX_TOKENS, SLOT_MODEL,
    SLOT_N, SLOT_STREAM, SLOT_STREAM_OPTIONS, SLOTS,
)
from gateway._fast.outcome cimport OUTCOME_BAD_BODY, OUTCOME_NO_MODEL, OUTCOME_OK, Outcome
from gateway._fast.clock cimport new_id
from gateway._fast.members cimport bytes_of_string, integer_of
from gateway._fast.scan cimport (
    JSON_MISSING, JSON_OBJECT, JSON_STRING, Member, SCAN_OK, is_true,
)
from gateway._fast.scratch cimport Scratch
from gateway._fast.shape cimport Shape
from gateway._fast.splice cimport Edit, member_inserted, object_at, value_replaced

cdef Shape STREAM_OPTIONS = Shape((b"include_usage",), ())
cdef const char* USAGE_OPTIONS = b'"stream_options":{"include_usage":true},'
cdef const char* USAGE_MEMBER = b'"include_usage":true,'
cdef const char* USAGE_OBJECT = b'{"include_usage":true}'
cdef const char* TRUE = b"true"
cdef tuple METHOD_NAMES = (
    b"", b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"PATCH", b"OPTIONS", b"CONNECT", b"TRACE"
)
cdef bytes NOTHING = b""

cdef enum:
    KNOWN_SLOTS = 32                    # a power of two
    KNOWN_BYTES = 128                   # longer ones are not kept

# Paths and names of models that came lately: the next request's are mostly among them, and an
# object that is there already has its hash.
cdef list KNOWN = [b""] * KNOWN_SLOTS


cdef bytes known_bytes(const char* at, uint32_t length):
    """These bytes. Cost: one comparison where they came lately, else one allocation."""
    cdef bytes found
    cdef uint32_t slot
    if length == 0 or length > KNOWN_BYTES:
        return PyBytes_FromStringAndSize(at, length)
    slot = (length * 5 + <uint8_t>at[length - 1] + <uint8_t>at[length >> 1] * 3) & (KNOWN_SLOTS - 1)
    found = <bytes>KNOWN[slot]
    if PyBytes_GET_SIZE(found) == length and memcmp(PyBytes_AS_STRING(found), at, length) == 0:
        return found
    found = PyBytes_FromStringAndSize(at, length)
    KNOWN[slot] = found
    return found


@cython.final
@cython.freelist(256)
cdef class Request:
    """Filled by read_head, then by the exchange with the body, then by decode."""

    cdef int read_head(
        self, Scratch scratch, uint64_t* random, const Head* head, bytes data, uint32_t end
    ) except -1:
        cdef const char* at = PyBytes_AS_STRING(data)
        cdef uint32_t path_end = head.target_at + head.path_length
        # Cost: the whole first read is kept instead of a copy of its head.
        self.data = data
        self.head_bytes = end
        self.method = head.method
        self.method_name = <bytes>METHOD_NAMES[head.method] if head.method else at[:head.method_length]
        self.path = known_bytes(at + head.target_at, head.path_length)
        self.query = NOTHING
        if head.path_length < head.target_length:
            self.query = at[path_end:head.target_at + head.target_length]
        self.is_head = head.method == METHOD_HEAD
        self.is_http10 = head.minor == 0
        self.keep_alive = head.keep_alive
        self.websocket = head.websocket
        self.chunked = head.chunked
        self.content_length = head.content_length
        self.choices = 1
        self.read_fields(scratch, head, at)
        if self.id_length == 0:
            new_id(self.id, random)
            self.id_length = 36
            self.is_own_id = True
        return 0

    cdef int read_fields(self, Scratch scratch, const Head* head, const char* data) except -1:
        """Copy what may be passed on, and note the rest."""
        cdef const Field* field
        cdef int i
        scratch.begin()
        for i in range(head.count):
            field = &head.fields[i]
            if field.name and not self.read_field(field, data):
                continue
            scratch.add_field(data, field)
        self.fields = scratch.built()
        return 0

    cdef bint read_field(self, const Field* field, const char* data) except -1:
        """Note a field that means something here; True when it is passed on as well."""
        cdef const char* value = data + field.value_at
        if field.name == FIELD_CONTENT_TYPE:
            self.is_multipart = field.value_length > 10 and equals(value, 10, b"multipart/", 10)
            return True
        if field.name == FIELD_REQUEST_ID:
            if is_sound_id(value, field.value_length):
                memcpy(self.id, value, field.value_length)
                self.id_length = field.value_length
        elif field.name == FIELD_TRACEPARENT:
            self.has_traceparent = is_traceparent(value, field.value_length)
            self.trace_at = field.value_at + 3
            return self.has_traceparent
        elif field.name == FIELD_GATEWAY:
            self.has_overrides = True
        elif field.name == FIELD_ORIGIN:
            self.has_origin = True
        return is_passed_upstream(field.name)

    cdef Outcome decode(self, Operation operation) except *:
        """Read the members that decide anything; refuse what two readers could read differently."""
        cdef const char* at
        cdef Member* model = &self.members[<int>SLOT_MODEL]
        cdef int slot
        if operation.shape is None:
            return OUTCOME_OK
        if self.is_multipart:
            return self.decode_multipart()
        at = PyBytes_AS_STRING(self.body)
        if operation.shape.scan(at, PyBytes_GET_SIZE(self.body), self.members, &self.marks, NULL) != SCAN_OK:
            return OUTCOME_OK if operation.is_body_optional else OUTCOME_BAD_BODY
        self.decoded = True
        for slot in range(SLOTS):
            if self.members[slot].count > 1:
                return OUTCOME_BAD_BODY
        if model.kind == JSON_MISSING:
            return OUTCOME_OK
        if model.kind == JSON_STRING and not model.escaped:
            self.model = known_bytes(at + model.start + 1, model.end - model.start - 2)
        else:
            self.model = bytes_of_string(at, model)
        if self.model is None:
            return OUTCOME_NO_MODEL
        self.read_wishes(at)
        return OUTCOME_OK

    cdef int read_wishes(self, const char* at) except -1:
        cdef int64_t number
        cdef Member inner
        self.wants_stream = is_true(&self.members[<int>SLOT_STREAM])
        number = integer_of(at, &self.members[<int>SLOT_MAX_COMPLETION_TOKENS])
        if number < 0:
            number = integer_of(at, &self.members[<int>SLOT_MAX_TOKENS])
        if number < 0:
            number = integer_of(at, &self.members[<int>SLOT_MAX_OUTPUT_TOKENS])
        self.max_output_tokens = <uint64_t>max(0, number)
        number = integer_of(at, &self.members[<int>SLOT_N])
        self.choices = <uint32_t>min(max(1, number), 64)
        if self.members[<int>SLOT_STREAM_OPTIONS].kind == JSON_OBJECT:
            STREAM_OPTIONS.scan_span(
                at, self.members[<int>SLOT_STREAM_OPTIONS].start, self.members[<int>SLOT_STREAM_OPTIONS].end,
                &inner, NULL, NULL,
            )
            self.wants_usage = is_true(&inner)
        return 0

    cdef Outcome decode_multipart(self) except *:
        """Find the part named `model`: audio and file uploads name theirs that way."""
        cdef bytes marker = b'name="model"\r\n'
        cdef Py_ssize_t at = self.body.find(marker)
        cdef Py_ssize_t start, end
        if at < 0:
            return OUTCOME_OK
        if self.body.find(marker, at + 1) >= 0:
            return OUTCOME_BAD_BODY
        start = self.body.find(b"\r\n\r\n", at)
        end = self.body.find(b"\r\n", start + 4)
        if start < 0 or end < 0 or end - start > 260:
            return OUTCOME_BAD_BODY
        self.model = self.body[start + 4:end]
        self.model_at = <uint32_t>(start + 4)
        return OUTCOME_OK

    cdef int edits_for(self, Operation operation, bytes model_json, Edit* edits) except -1:
        """What changes in the body for a backend: its own model name, and usage switched on.

        At most EDITS_MAX, in order; returns how many. `model_json` is quoted.
        """
        cdef int count = 0
        cdef Edit swap
        if self.model_at:
            edits[0].at = self.model_at
            edits[0].cut = <uint32_t>PyBytes_GET_SIZE(self.model)
            edits[0].text = PyBytes_AS_STRING(model_json) + 1
            edits[0].text_length = <uint32_t>PyBytes_GET_SIZE(model_json) - 2
            return 1
        if not self.decoded:
            return 0
        if self.members[<int>SLOT_MODEL].kind == JSON_STRING:
            edits[0] = value_replaced(
                &self.members[<int>SLOT_MODEL], PyBytes_AS_STRING(model_json),
                <uint32_t>PyBytes_GET_SIZE(model_json),
            )
            count = 1
        if self.wants_stream and operation.adds_usage and not self.wants_usage:
            edits[count] = self.usage_edit()
            count += 1
        if count == 2 and edits[1].at < edits[0].at:
            swap = edits[0]
            edits[0] = edits[1]
            edits[1] = swap
        return count

    cdef Edit usage_edit(self) except *:
        """Ask for the usage event, wherever the client's options leave room for it."""
        cdef const char* at = PyBytes_AS_STRING(self.body)
        cdef Member* options = &self.members[<int>SLOT_STREAM_OPTIONS]
        cdef Member inner
        if options.kind == JSON_MISSING:
            return member_inserted(at, object_at(at), USAGE_OPTIONS, 40)
        if options.kind != JSON_OBJECT:
            return value_replaced(options, USAGE_OBJECT, 22)
        STREAM_OPTIONS.scan_span(at, options.start, options.end, &inner, NULL, NULL)
        if inner.kind != JSON_MISSING:
            return value_replaced(&inner, TRUE, 4)
        return member_inserted(at, options.start, USAGE_MEMBER, 21)

    cdef Request with_body(self, bytes body, Operation operation):
        """The same request with another body; None when that cannot be read."""
        cdef Request other = Request.__new__(Request)
        other.data = self.data
        other.head_bytes = self.head_bytes
        other.method = self.method
        other.method_name = self.method_name
        other.path = self.path
        other.query = self.query
        other.fields = self.fields
        other.id = self.id
        other.id_length = self.id_length
        other.is_own_id = self.is_own_id
        other.trace_at = self.trace_at
        other.has_traceparent = self.has_traceparent
        other.is_head = self.is_head
        other.keep_alive = self.keep_alive
        other.chunked = self.chunked
        other.content_length = self.content_length
        other.body = body
        other.body_bytes = <uint64_t>PyBytes_GET_SIZE(body)
        other.choices = 1
        return other if other.decode(operation) == OUTCOME_OK else None

    cdef bytes field(self, bytes name):
        """The value of the first field of this lower-case name, or None. Cost: parses again."""
        cdef Head head
        cdef Field* field
        cdef const char* at = PyBytes_AS_STRING(self.data)
        cdef int i
        parse_request(&head, at, self.head_bytes, 128)
        for i in range(head.count):
            field = &head.fields[i]
            if equals(at + field.name_at, field.name_length, name, <uint32_t>PyBytes_GET_SIZE(name)):
                return at[field.value_at:field.value_at + field.value_length]
        return None

    cdef dict overrides(self):
        """Every x-gateway-* field, names lower-case; the last of a name wins."""
        cdef Head head
        cdef Field* field
        cdef const char* at = PyBytes_AS_STRING(self.data)
        cdef int i
        cdef dict found = {}
        parse_request(&head, at, self.head_bytes, 128)
        for i in range(head.count):
            field = &head.fields[i]
            if field.name == FIELD_GATEWAY:
                name = at[field.name_at:field.name_at + field.name_length]
                found[name.lower()] = at[field.value_at:field.value_at + field.value_length]
        return found


cdef bint is_passed_upstream(int name) noexcept nogil:
    return not (
        name == FIELD_HOST or name == FIELD_CONTENT_LENGTH or name == FIELD_TRANSFER_ENCODING
        or name == FIELD_CONNECTION or name == FIELD_EXPECT or name == FIELD_UPGRADE
        or name == FIELD_HOP or name == FIELD_CREDENTIAL or name == FIELD_COOKIE
        or name == FIELD_FORWARDED or name == FIELD_X_FORWARDED_FOR or name == FIELD_X_FORWARDED
        or name == FIELD_REQUEST_ID or name == FIELD_GATEWAY or name == FIELD_ACCEPT_ENCODING
        or name == FIELD_UNDERSCORE or name == FIELD_NAMED_BY_CONNECTION
    )


cdef bint is_sound_id(const char* value, uint32_t length) noexcept nogil:
    """`[A-Za-z0-9._-]{1,64}`: what may stand in logs, headers and file names alike."""
    cdef uint32_t i
    cdef char c
    if length == 0 or length > 64:
        return False
    for i in range(length):
        c = value[i]
        if not (48 <= c <= 57 or 65 <= c <= 90 or 97 <= c <= 122 or c == c"." or c == c"_" or c == c"-"):
            return False
    return True


cdef bint is_traceparent(const char* value, uint32_t length) noexcept nogil:
    """W3C Trace Context, version 00: two digits, 32, 16 and 2 lower-case hex digits."""
    cdef uint32_t i
    cdef bint trace = False
    cdef bint parent = False
    if length != 55 or value[0] != c"0" or value[1] != c"0":
        return False
    for i in range(2, 55):
        if i == 2 or i == 35 or i == 52:
            if value[i] != c"-":
                return False
        elif not (48 <= value[i] <= 57 or 97 <= value[i] <= 102):
            return False
        elif value[i] != c"0":
            trace = trace or i < 35
            parent = parent or 35 < i < 52
    return trace and parent
