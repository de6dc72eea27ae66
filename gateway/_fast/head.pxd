# Heads of HTTP/1.1 messages: RFC 9112 sections 2 to 5, read strictly in one pass.
#
# A head is parsed only when it is whole, so how the network cut it cannot matter:
# `head_end` finds its last byte, `parse_request` or `parse_response` reads it. The
# result is a table of (offset, length) views into the caller's buffer; nothing is
# copied or allocated.
#
# Rule 1: whatever two readers could understand differently is refused: bare CR or LF,
#         obs-fold, space before a colon, NUL and other controls, both lengths, repeated
#         or signed lengths, codings other than exactly `chunked`, a Host that is missing,
#         repeated or no `uri-host [":" port]`.
# Rule 2: views are valid as long as the buffer they were parsed from.
# Knows nothing of connections or bodies; downstream and upstream call it.

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t
from gateway._fast.outcome cimport Outcome

cdef enum:
    FIELDS_MAX = 128                    # room in Head; the configured limit is lower

cdef enum Method:
    METHOD_OTHER = 0
    METHOD_GET = 1
    METHOD_HEAD = 2
    METHOD_POST = 3
    METHOD_PUT = 4
    METHOD_DELETE = 5
    METHOD_PATCH = 6
    METHOD_OPTIONS = 7
    METHOD_CONNECT = 8
    METHOD_TRACE = 9

# What a proxy does with a field, or which field it must understand.
cdef enum FieldName:
    FIELD_OTHER = 0                     # passed on
    FIELD_HOST = 1
    FIELD_CONTENT_LENGTH = 2
    FIELD_TRANSFER_ENCODING = 3
    FIELD_CONNECTION = 4
    FIELD_EXPECT = 5
    FIELD_UPGRADE = 6
    FIELD_HOP = 7                       # keep-alive, proxy-*, te, trailer: never passed on
    FIELD_CREDENTIAL = 8                # authorization, x-api-key, api-key, x-goog-api-key
    FIELD_COOKIE = 9
    FIELD_FORWARDED = 10                # forwarded
    FIELD_X_FORWARDED_FOR = 11
    FIELD_X_FORWARDED = 12              # x-forwarded-*, x-real-ip
    FIELD_REQUEST_ID = 13               # x-request-id
    FIELD_TRACEPARENT = 14
    FIELD_GATEWAY = 15                  # x-gateway-*
    FIELD_CONTENT_TYPE = 16
    FIELD_ACCEPT_ENCODING = 17
    FIELD_CONTENT_ENCODING = 18
    FIELD_RETRY_AFTER = 19
    FIELD_RETRY_AFTER_MS = 20
    FIELD_ORIGIN = 21
    FIELD_SERVER = 22                   # server, via, x-powered-by: the upstream's own business
    FIELD_SET_COOKIE = 23               # set-cookie, alt-svc, strict-transport-security
    FIELD_DATE = 24
    FIELD_ORGANISATION = 25             # openai-organization, openai-project
    FIELD_SHOULD_RETRY = 26             # x-should-retry
    FIELD_CORS = 27                     # access-control-*
    FIELD_UNDERSCORE = 28               # a name with "_": dropped, it collides with "-" in CGI-like readers
    FIELD_CACHE_CONTROL = 30
    FIELD_NAMED_BY_CONNECTION = 29      # listed in Connection: never passed on

cdef struct Field:
    uint32_t name_at
    uint32_t value_at
    uint32_t value_length
    uint16_t name_length
    uint16_t name                       # FieldName

cdef struct Head:
    Field fields[FIELDS_MAX]
    int count                           # fields used
    int method                          # Method; requests
    int status                          # responses
    int minor                           # HTTP/1.minor
    uint32_t method_length
    uint32_t target_at                  # origin-form, after an absolute-form was taken apart
    uint32_t target_length
    uint32_t path_length                # target up to "?"
    int64_t content_length              # -1: none
    int host                            # index of its field; -1: none
    bint chunked
    bint close                          # Connection says close; it wins over keep-alive
    bint keep_alive                     # as version and Connection say
    bint upgrade                        # Connection lists upgrade and an Upgrade field is there
    bint websocket                      # … and it says websocket
    bint expect_continue
    bint has_target_authority           # absolute-form

cdef int head_end(const char* data, uint32_t length, uint32_t start) noexcept nogil
cdef Outcome parse_request(Head* head, const char* data, uint32_t length, int fields_limit) noexcept nogil
cdef Outcome parse_response(Head* head, const char* data, uint32_t length, int fields_limit) noexcept nogil
cdef FieldName name_of(const char* name, uint32_t length) noexcept nogil
cdef bint equals(const char* data, uint32_t length, const char* lower, uint32_t lower_length) noexcept nogil
cdef bint is_token(const char* data, uint32_t length) noexcept nogil
