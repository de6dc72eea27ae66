# What the client asked: one request, head and body, as the gateway understood it.
#
# Rule 1: `fields` is what may be passed on; hop-by-hop fields, credentials, cookies,
#         framing and the gateway's own fields are never in it.
# Rule 2: the head is kept as it came, for what few requests need (overrides, sticky
#         fields, credentials a backend is allowed to see); it never leaves the process.
# Rule 3: members are views into `body`.

from libc.stdint cimport int64_t, uint32_t, uint64_t
from gateway._fast.head cimport Field, Head
from gateway._fast.operation cimport Operation, SLOTS
from gateway._fast.outcome cimport Outcome
from gateway._fast.scan cimport Member
from gateway._fast.scratch cimport Scratch
from gateway._fast.splice cimport Edit

cdef enum:
    EDITS_MAX = 4

cdef class Request:
    cdef bytes data                     # begins with the head's bytes
    cdef uint32_t head_bytes
    cdef int method                     # Method
    cdef bytes method_name
    cdef bytes path
    cdef bytes query                    # "?…" or b""
    cdef bytes fields
    cdef char[64] id                    # x-request-id: the client's if it is a sound one, else ours
    cdef uint32_t id_length
    cdef bint is_own_id                 # it is a UUIDv7 of ours
    cdef bytes record_id                # of its record, where copies will name it; None
    cdef uint32_t trace_at              # of 32 digits in `data`; 0 none
    cdef bint has_traceparent           # a valid one is among `fields`
    cdef bint has_overrides             # an x-gateway-* field is there
    cdef bint has_origin
    cdef bint is_head
    cdef bint is_http10
    cdef bint keep_alive
    cdef bint websocket
    cdef bint chunked
    cdef int64_t content_length         # -1 unknown
    # the body
    cdef bytes body                     # None until it is whole; kept for retries
    cdef uint64_t body_bytes            # received
    cdef bint is_multipart
    cdef bint decoded
    cdef Member[SLOTS] members
    cdef uint32_t marks
    cdef bytes model                    # the name the client used
    cdef uint32_t model_at              # multipart: where it stands
    cdef bint wants_stream
    cdef bint wants_usage               # the client itself asked for the usage event
    cdef uint64_t max_output_tokens     # 0 not given
    cdef uint32_t choices               # `n`, at least 1

    cdef int read_head(
        self, Scratch scratch, uint64_t* random, const Head* head, bytes data, uint32_t end
    ) except -1
    cdef int read_fields(self, Scratch scratch, const Head* head, const char* data) except -1
    cdef bint read_field(self, const Field* field, const char* data) except -1
    cdef Outcome decode(self, Operation operation) except *
    cdef int read_wishes(self, const char* at) except -1
    cdef Outcome decode_multipart(self) except *
    cdef int edits_for(self, Operation operation, bytes model_json, Edit* edits) except -1
    cdef Edit usage_edit(self) except *
    cdef Request with_body(self, bytes body, Operation operation)
    cdef bytes field(self, bytes name)
    cdef dict overrides(self)
