"""Heads of HTTP/1.1 messages, read strictly: see head.pxd for the rules.

Cost: one vectorised look for control characters, one memchr a line, one table look-up a
byte of a name. No allocation, no Python object.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.string cimport memchr, memcmp
from gateway._fast.outcome cimport (
    OUTCOME_BAD_REQUEST, OUTCOME_CODING_UNKNOWN, OUTCOME_EXPECTATION_FAILED,
    OUTCOME_HEAD_TOO_LARGE, OUTCOME_OK, OUTCOME_VERSION_UNKNOWN, Outcome,
)

# What a byte may be part of.
cdef enum:
    TOKEN = 1           # RFC 9110 tchar
    TARGET = 2          # visible ASCII but "#"
    HOST = 4            # reg-name, IPv4address, port and IP-literal
    DIGIT = 8
    UNDERSCORE = 16

cdef uint8_t CLASS[256]


cdef void fill_classes() noexcept nogil:
    cdef const char* tchars = b"!#$%&'*+-.^_`|~"
    cdef const char* hosts = b"-._~!$&'()*+,;=%:[]"
    cdef int c
    for c in range(256):
        CLASS[c] = 0
        if 48 <= c <= 57 or 65 <= c <= 90 or 97 <= c <= 122:
            CLASS[c] = TOKEN | HOST
        if 48 <= c <= 57:
            CLASS[c] |= DIGIT
        if 0x21 <= c <= 0x7E and c != 35:
            CLASS[c] |= TARGET
    for c in range(15):
        CLASS[<uint8_t>tchars[c]] |= TOKEN
    for c in range(19):
        CLASS[<uint8_t>hosts[c]] |= HOST
    CLASS[95] |= UNDERSCORE


fill_classes()


cdef inline uint8_t kind(const char* at) noexcept nogil:
    return CLASS[<uint8_t>at[0]]


cdef bint equals(
    const char* data, uint32_t length, const char* lower, uint32_t lower_length
) noexcept nogil:
    """Whether the bytes are `lower`, ignoring ASCII case; `lower` holds no capital."""
    cdef uint32_t i
    cdef char c
    if length != lower_length:
        return False
    for i in range(length):
        c = data[i]
        if 65 <= c <= 90:
            c = c + 32
        if c != lower[i]:
            return False
    return True


cdef bint starts_with(
    const char* data, uint32_t length, const char* lower, uint32_t lower_length
) noexcept nogil:
    return length >= lower_length and equals(data, lower_length, lower, lower_length)


cdef bint is_token(const char* data, uint32_t length) noexcept nogil:
    cdef uint32_t i
    if length == 0:
        return False
    for i in range(length):
        if not CLASS[<uint8_t>data[i]] & TOKEN:
            return False
    return True


cdef int head_end(const char* data, uint32_t length, uint32_t start) noexcept nogil:
    """Offset just after the empty line that ends a head, or -1; look from `start` on.

    An LF followed by LF or CRLF ends it, so that a head with bare LFs is seen whole, and
    then refused, whatever way it was cut.
    """
    cdef const char* end = data + length
    cdef const char* at = data + start
    while at < end:
        at = <const char*>memchr(at, 10, end - at)
        if at == NULL:
            return -1
        at += 1
        if at < end and at[0] == 10:
            return <int>(at + 1 - data)
        if at + 1 < end and at[0] == 13 and at[1] == 10:
            return <int>(at + 2 - data)
    return -1


# ---------------------------------------------------------------------------
# names

cdef FieldName by_first_letter(const char* n, uint32_t length) noexcept nogil:
    """The field's meaning; one comparison or two, chosen by length and first letter."""
    cdef int first = n[0] | 0x20
    if first == c"c":
        return c_names(n, length)
    if first == c"x":
        return x_names(n, length)
    if first == c"a":
        return a_names(n, length)
    return other_names(n, length, first)


cdef FieldName c_names(const char* n, uint32_t length) noexcept nogil:
    if length == 14 and equals(n, length, b"content-length", 14):
        return FIELD_CONTENT_LENGTH
    if length == 12 and equals(n, length, b"content-type", 12):
        return FIELD_CONTENT_TYPE
    if length == 10 and equals(n, length, b"connection", 10):
        return FIELD_CONNECTION
    if length == 16 and equals(n, length, b"content-encoding", 16):
        return FIELD_CONTENT_ENCODING
    if length == 6 and equals(n, length, b"cookie", 6):
        return FIELD_COOKIE
    if length == 13 and equals(n, length, b"cache-control", 13):
        return FIELD_CACHE_CONTROL
    return FIELD_OTHER


cdef FieldName x_names(const char* n, uint32_t length) noexcept nogil:
    if length == 12 and equals(n, length, b"x-request-id", 12):
        return FIELD_REQUEST_ID
    if length == 9 and equals(n, length, b"x-api-key", 9):
        return FIELD_CREDENTIAL
    if length == 14 and equals(n, length, b"x-goog-api-key", 14):
        return FIELD_CREDENTIAL
    if starts_with(n, length, b"x-gateway-", 10):
        return FIELD_GATEWAY
    if length == 15 and equals(n, length, b"x-forwarded-for", 15):
        return FIELD_X_FORWARDED_FOR
    if starts_with(n, length, b"x-forwarded-", 12):
        return FIELD_X_FORWARDED
    if length == 9 and equals(n, length, b"x-real-ip", 9):
        return FIELD_X_FORWARDED
    if length == 12 and equals(n, length, b"x-powered-by", 12):
        return FIELD_SERVER
    if length == 14 and equals(n, length, b"x-should-retry", 14):
        return FIELD_SHOULD_RETRY
    if length == 17 and equals(n, length, b"x-accel-buffering", 17):
        return FIELD_HOP
    return FIELD_OTHER


cdef FieldName a_names(const char* n, uint32_t length) noexcept nogil:
    if length == 13 and equals(n, length, b"authorization", 13):
        return FIELD_CREDENTIAL
    if length == 15 and equals(n, length, b"accept-encoding", 15):
        return FIELD_ACCEPT_ENCODING
    if length == 7 and equals(n, length, b"api-key", 7):
        return FIELD_CREDENTIAL
    if length == 7 and equals(n, length, b"alt-svc", 7):
        return FIELD_SET_COOKIE
    if starts_with(n, length, b"access-control-", 15):
        return FIELD_CORS
    return FIELD_OTHER


cdef FieldName other_names(const char* n, uint32_t length, int first) noexcept nogil:
    if first == c"h":
        return FIELD_HOST if length == 4 and equals(n, length, b"host", 4) else FIELD_OTHER
    if first == c"t":
        if length == 17 and equals(n, length, b"transfer-encoding", 17):
            return FIELD_TRANSFER_ENCODING
        if length == 11 and equals(n, length, b"traceparent", 11):
            return FIELD_TRACEPARENT
        if (length == 2 and equals(n, length, b"te", 2)) or (
            length == 7 and equals(n, length, b"trailer", 7)
        ):
            return FIELD_HOP
        return FIELD_OTHER
    if first == c"s":
        if length == 6 and equals(n, length, b"server", 6):
            return FIELD_SERVER
        if length == 10 and equals(n, length, b"set-cookie", 10):
            return FIELD_SET_COOKIE
        if length == 25 and equals(n, length, b"strict-transport-security", 25):
            return FIELD_SET_COOKIE
        return FIELD_OTHER
    return rare_names(n, length, first)


cdef FieldName rare_names(const char* n, uint32_t length, int first) noexcept nogil:
    if first == c"e":
        return FIELD_EXPECT if length == 6 and equals(n, length, b"expect", 6) else FIELD_OTHER
    if first == c"u":
        return FIELD_UPGRADE if length == 7 and equals(n, length, b"upgrade", 7) else FIELD_OTHER
    if first == c"d":
        return FIELD_DATE if length == 4 and equals(n, length, b"date", 4) else FIELD_OTHER
    if first == c"f":
        return FIELD_FORWARDED if length == 9 and equals(n, length, b"forwarded", 9) else FIELD_OTHER
    if first == c"v":
        return FIELD_SERVER if length == 3 and equals(n, length, b"via", 3) else FIELD_OTHER
    if first == c"k" and length == 10 and equals(n, length, b"keep-alive", 10):
        return FIELD_HOP
    if first == c"p" and starts_with(n, length, b"proxy-", 6):
        return FIELD_HOP
    if first == c"r":
        if length == 11 and equals(n, length, b"retry-after", 11):
            return FIELD_RETRY_AFTER
        if length == 14 and equals(n, length, b"retry-after-ms", 14):
            return FIELD_RETRY_AFTER_MS
    if first == c"o":
        if length == 6 and equals(n, length, b"origin", 6):
            return FIELD_ORIGIN
        if equals(n, length, b"openai-organization", 19) or equals(n, length, b"openai-project", 14):
            return FIELD_ORGANISATION
    return FIELD_OTHER


cdef FieldName name_of(const char* name, uint32_t length) noexcept nogil:
    if memchr(name, c"_", length) != NULL:
        return FIELD_UNDERSCORE
    return by_first_letter(name, length)


# ---------------------------------------------------------------------------
# fields

cdef int count_returns(const char* data, uint32_t length) noexcept nogil:
    """How many CRs there are; -1 if there is a control other than HTAB, CR and LF.

    Cost: no branch in the loop, so that the compiler vectorises it.
    """
    cdef uint32_t i
    cdef uint8_t c
    cdef uint8_t bad = 0
    cdef int returns = 0
    for i in range(length):
        c = <uint8_t>data[i]
        bad |= (c < 32) & (c != 9) & (c != 10) & (c != 13)
        bad |= c == 127
        returns += c == 13
    return -1 if bad else returns


cdef Outcome parse_fields(
    Head* head, const char* data, uint32_t at, uint32_t length, int limit, int returns
) noexcept nogil:
    """Read field lines from `at` to the empty line that ends the head.

    `returns` is how many CRs the whole head has: one a line, so that none is bare.
    """
    cdef const char* lf
    cdef const char* line
    cdef uint32_t end
    cdef Outcome outcome
    while True:
        line = data + at
        lf = <const char*>memchr(line, 10, length - at)
        if lf == NULL or lf == line or (lf - 1)[0] != 13:
            return OUTCOME_BAD_REQUEST
        end = <uint32_t>(lf - data) - 1
        if end == at:
            # The first line and the empty one have a CR each as well.
            return OUTCOME_OK if end + 2 == length and returns == head.count + 2 else OUTCOME_BAD_REQUEST
        if head.count >= limit or head.count >= FIELDS_MAX:
            return OUTCOME_HEAD_TOO_LARGE
        outcome = parse_field(&head.fields[head.count], data, at, end)
        if outcome != OUTCOME_OK:
            return outcome
        head.count += 1
        at = end + 2


cdef Outcome parse_field(Field* field, const char* data, uint32_t at, uint32_t end) noexcept nogil:
    cdef uint32_t colon = at
    cdef uint32_t value
    cdef uint8_t seen = 0
    cdef uint8_t c
    while colon < end:
        c = kind(data + colon)
        if not c & TOKEN:
            break
        seen |= c
        colon += 1
    if colon == at or colon == end or data[colon] != c":" or colon - at > 65535:
        return OUTCOME_BAD_REQUEST
    value = colon + 1
    while value < end and (data[value] == 32 or data[value] == 9):
        value += 1
    while end > value and (data[end - 1] == 32 or data[end - 1] == 9):
        end -= 1
    field.name_at = at
    field.name_length = <uint16_t>(colon - at)
    field.value_at = value
    field.value_length = end - value
    if seen & UNDERSCORE:
        field.name = FIELD_UNDERSCORE
    else:
        field.name = <uint16_t>by_first_letter(data + at, colon - at)
    return OUTCOME_OK


# ---------------------------------------------------------------------------
# framing: content-length, transfer-encoding, connection

cdef Outcome read_length(Head* head, const char* value, uint32_t length) noexcept nogil:
    cdef uint32_t i
    cdef int64_t number = 0
    # Why: 18 digits cannot overflow, and no body is longer than an exabyte.
    if head.content_length >= 0 or length == 0 or length > 18:
        return OUTCOME_BAD_REQUEST
    for i in range(length):
        if not CLASS[<uint8_t>value[i]] & DIGIT:
            return OUTCOME_BAD_REQUEST
        number = number * 10 + (value[i] - 48)
    head.content_length = number
    return OUTCOME_OK


cdef Outcome read_coding(Head* head, const char* value, uint32_t length) noexcept nogil:
    if head.chunked:
        return OUTCOME_BAD_REQUEST
    if equals(value, length, b"chunked", 7):
        head.chunked = True
        return OUTCOME_OK
    return OUTCOME_CODING_UNKNOWN if is_known_coding(value, length) else OUTCOME_BAD_REQUEST


cdef bint is_known_coding(const char* value, uint32_t length) noexcept nogil:
    """Whether it is one well-formed coding, or one followed by `chunked`: then 501, not 400."""
    cdef const char* comma = <const char*>memchr(value, c",", length)
    cdef uint32_t first = length if comma == NULL else <uint32_t>(comma - value)
    if not is_token(value, first) or equals(value, first, b"chunked", 7):
        return False
    return comma == NULL or equals(comma, length - first, b", chunked", 9) or equals(
        comma, length - first, b",chunked", 8
    )


cdef Outcome read_connection(Head* head, const char* data, Field* field) noexcept nogil:
    """Walk the comma-separated options; mark the fields they name."""
    cdef uint32_t at = field.value_at
    cdef uint32_t end = field.value_at + field.value_length
    cdef uint32_t start, stop
    cdef Outcome outcome
    while at < end:
        while at < end and (data[at] == 32 or data[at] == 9 or data[at] == c","):
            at += 1
        start = at
        while at < end and data[at] != c",":
            at += 1
        stop = at
        while stop > start and (data[stop - 1] == 32 or data[stop - 1] == 9):
            stop -= 1
        if stop > start:
            outcome = connection_option(head, data, data + start, stop - start)
            if outcome != OUTCOME_OK:
                return outcome
    return OUTCOME_OK


cdef Outcome connection_option(
    Head* head, const char* data, const char* option, uint32_t length
) noexcept nogil:
    cdef FieldName name
    cdef Field* field
    cdef int i
    if equals(option, length, b"keep-alive", 10):
        head.keep_alive = True
        return OUTCOME_OK
    if equals(option, length, b"close", 5):
        head.close = True
        return OUTCOME_OK
    if equals(option, length, b"upgrade", 7):
        head.upgrade = True
        return OUTCOME_OK
    if not is_token(option, length):
        return OUTCOME_BAD_REQUEST
    name = name_of(option, length)
    if name == FIELD_HOP:
        return OUTCOME_OK
    # Why: naming a field here asks proxies to drop it; what we or the upstream decide by
    # must not be dropped on a client's word.
    if name != FIELD_OTHER or equals(option, length, b"cookie", 6):
        return OUTCOME_BAD_REQUEST
    for i in range(head.count):
        field = &head.fields[i]
        if field.name_length == length and same(data + field.name_at, option, length):
            field.name = FIELD_NAMED_BY_CONNECTION
    return OUTCOME_OK


cdef bint same(const char* left, const char* right, uint32_t length) noexcept nogil:
    cdef uint32_t i
    cdef char a, b
    for i in range(length):
        a = left[i]
        b = right[i]
        if 65 <= a <= 90:
            a += 32
        if 65 <= b <= 90:
            b += 32
        if a != b:
            return False
    return True


cdef Outcome read_framing(Head* head, const char* data) noexcept nogil:
    """Understand the fields that both kinds of message frame themselves by."""
    cdef Field* field
    cdef Outcome outcome
    cdef int i
    head.content_length = -1
    head.chunked = False
    head.upgrade = False
    head.close = False
    head.keep_alive = head.minor == 1
    for i in range(head.count):
        field = &head.fields[i]
        outcome = OUTCOME_OK
        if field.name == FIELD_CONTENT_LENGTH:
            outcome = read_length(head, data + field.value_at, field.value_length)
        elif field.name == FIELD_TRANSFER_ENCODING:
            outcome = read_coding(head, data + field.value_at, field.value_length)
        elif field.name == FIELD_CONNECTION:
            outcome = read_connection(head, data, field)
        if outcome != OUTCOME_OK:
            return outcome
    if head.close:
        head.keep_alive = False
    if head.chunked and (head.content_length >= 0 or head.minor == 0):
        return OUTCOME_BAD_REQUEST
    return OUTCOME_OK


# ---------------------------------------------------------------------------
# requests

cdef int method_of(const char* data, uint32_t length) noexcept nogil:
    if length == 4 and memcmp(data, b"POST", 4) == 0:
        return METHOD_POST
    if length == 3 and memcmp(data, b"GET", 3) == 0:
        return METHOD_GET
    if length == 4 and memcmp(data, b"HEAD", 4) == 0:
        return METHOD_HEAD
    if length == 7 and memcmp(data, b"OPTIONS", 7) == 0:
        return METHOD_OPTIONS
    if length == 3 and memcmp(data, b"PUT", 3) == 0:
        return METHOD_PUT
    if length == 6 and memcmp(data, b"DELETE", 6) == 0:
        return METHOD_DELETE
    if length == 5 and memcmp(data, b"PATCH", 5) == 0:
        return METHOD_PATCH
    if length == 7 and memcmp(data, b"CONNECT", 7) == 0:
        return METHOD_CONNECT
    if length == 5 and memcmp(data, b"TRACE", 5) == 0:
        return METHOD_TRACE
    return METHOD_OTHER


cdef Outcome read_version(Head* head, const char* at, uint32_t length) noexcept nogil:
    """`HTTP/1.0` or `HTTP/1.1`, exactly; another well-formed version is 505."""
    if length != 8 or memcmp(at, b"HTTP/", 5) != 0 or at[6] != c".":
        return OUTCOME_BAD_REQUEST
    if not (kind(at + 5) & DIGIT and kind(at + 7) & DIGIT):
        return OUTCOME_BAD_REQUEST
    if at[5] != c"1" or at[7] > c"1":
        return OUTCOME_VERSION_UNKNOWN
    head.minor = at[7] - 48
    return OUTCOME_OK


cdef Outcome read_request_line(Head* head, const char* data, uint32_t end) noexcept nogil:
    """`method SP target SP version`, single spaces, nothing else."""
    cdef uint32_t at = 0
    while at < end and kind(data + at) & TOKEN:
        at += 1
    if at == 0 or at == end or data[at] != 32:
        return OUTCOME_BAD_REQUEST
    head.method_length = at
    head.method = method_of(data, at)
    at += 1
    head.target_at = at
    while at < end and kind(data + at) & TARGET:
        at += 1
    if at == head.target_at or at == end or data[at] != 32:
        return OUTCOME_BAD_REQUEST
    head.target_length = at - head.target_at
    return read_version(head, data + at + 1, end - at - 1)


cdef Outcome read_target(Head* head, const char* data) noexcept nogil:
    """Origin-form as it is; absolute-form taken apart; `*` for OPTIONS alone."""
    cdef const char* target = data + head.target_at
    cdef uint32_t length = head.target_length
    head.has_target_authority = False
    if target[0] != c"/":
        if head.method == METHOD_CONNECT:
            head.path_length = length
            return OUTCOME_OK                   # refused by method later, whatever its target
        if length == 1 and target[0] == c"*" and head.method == METHOD_OPTIONS:
            head.path_length = 1
            return OUTCOME_OK
        return read_absolute(head, data)
    return read_path(head, data)


cdef Outcome read_absolute(Head* head, const char* data) noexcept nogil:
    """`http://authority/path`: the authority must be the Host field's (RFC 9112 3.2.2)."""
    cdef const char* target = data + head.target_at
    cdef uint32_t scheme = 7 if starts_with(target, head.target_length, b"http://", 7) else (
        8 if starts_with(target, head.target_length, b"https://", 8) else 0
    )
    cdef const char* authority = target + scheme
    cdef uint32_t rest = head.target_length - scheme
    cdef const char* slash
    cdef uint32_t length
    cdef Field* host
    if scheme == 0 or head.host < 0:
        return OUTCOME_BAD_REQUEST
    slash = <const char*>memchr(authority, c"/", rest)
    if slash == NULL:
        return OUTCOME_BAD_REQUEST
    length = <uint32_t>(slash - authority)
    host = &head.fields[head.host]
    if length != host.value_length or not same(authority, data + host.value_at, length):
        return OUTCOME_BAD_REQUEST
    head.has_target_authority = True
    head.target_at = <uint32_t>(slash - data)
    head.target_length = rest - length
    return read_path(head, data)


cdef Outcome read_path(Head* head, const char* data) noexcept nogil:
    """Where the path ends; one that climbs (`..`, also as `%2e`) means two things to two readers."""
    cdef const char* path = data + head.target_at
    cdef const char* question = <const char*>memchr(path, c"?", head.target_length)
    head.path_length = head.target_length if question == NULL else <uint32_t>(question - path)
    return OUTCOME_BAD_REQUEST if climbs(path, head.path_length) else OUTCOME_OK


cdef bint climbs(const char* path, uint32_t length) noexcept nogil:
    """Whether a segment is `.` or `..`, however its dots are spelt."""
    cdef uint32_t at = 0, dots, start
    # Cost: nearly every path has neither byte, and is done after two memchr.
    if memchr(path, c".", length) == NULL and memchr(path, c"%", length) == NULL:
        return False
    while at < length:
        at += 1                                     # behind the slash
        start = at
        dots = 0
        while at < length and path[at] != c"/":
            if path[at] == c".":
                at += 1
            elif length - at >= 3 and path[at] == c"%" and path[at + 1] == c"2" and path[at + 2] | 32 == c"e":
                at += 3
            else:
                dots = 3
                at += 1
            dots += 1
        if 0 < dots <= 2 and at > start:
            return True
    return False


cdef bint is_authority(const char* value, uint32_t length) noexcept nogil:
    """`uri-host [":" port]`, without userinfo; an IPv6 literal in brackets."""
    cdef uint32_t at = 0
    cdef const char* close
    if length == 0 or length > 255 + 6:
        return False
    if value[0] == c"[":
        close = <const char*>memchr(value, c"]", length)
        if close == NULL or close == value + 1:
            return False
        at = <uint32_t>(close - value)
        if not is_address(value + 1, at - 1):
            return False
        at += 1
    else:
        while at < length and value[at] != c":":
            if not kind(value + at) & HOST or value[at] == c"[" or value[at] == c"]":
                return False
            if value[at] == c"%" and not is_escape(value + at, length - at):
                return False
            at += 1
        if at == 0:
            return False
    return at == length or (value[at] == c":" and is_port(value + at + 1, length - at - 1))


cdef bint is_escape(const char* at, uint32_t length) noexcept nogil:
    return length >= 3 and is_hex(at[1]) and is_hex(at[2])


cdef bint is_hex(char c) noexcept nogil:
    return 48 <= c <= 57 or 97 <= (c | 32) <= 102


cdef bint is_address(const char* at, uint32_t length) noexcept nogil:
    """An IPv6 address (RFC 3986 IPv6address): eight groups, or fewer around one `::`."""
    cdef uint32_t i = 0, start = 0, digits = 0
    cdef int groups = 0
    cdef bint compressed = False
    while i < length:
        if at[i] == c".":
            return is_dotted(at + start, length - start) and (
                groups == 6 or (compressed and groups < 6)
            )
        if at[i] != c":":
            digits += 1
            if digits > 4 or not is_hex(at[i]):
                return False
            i += 1
            continue
        groups += digits > 0
        if i + 1 < length and at[i + 1] == c":":
            if compressed:
                return False
            compressed = True
            i += 1
        elif digits == 0 or i + 1 == length:
            return False
        digits = 0
        i += 1
        start = i
    groups += digits > 0
    return groups == 8 or (compressed and groups < 8)


cdef bint is_dotted(const char* at, uint32_t length) noexcept nogil:
    """Four decimal numbers up to 255, dots between them."""
    cdef uint32_t i
    cdef int numbers = 1, digits = 0, value = 0
    for i in range(length):
        if at[i] == c".":
            if digits == 0:
                return False
            numbers += 1
            digits = 0
            value = 0
        elif CLASS[<uint8_t>at[i]] & DIGIT and digits < 3:
            digits += 1
            value = value * 10 + (at[i] - 48)
            if value > 255:
                return False
        else:
            return False
    return numbers == 4 and digits > 0


cdef bint is_port(const char* at, uint32_t length) noexcept nogil:
    cdef uint32_t i
    if length > 5:
        return False
    for i in range(length):
        if not CLASS[<uint8_t>at[i]] & DIGIT:
            return False
    return True


cdef Outcome read_hosts_and_expectations(Head* head, const char* data) noexcept nogil:
    cdef Field* field
    cdef bint upgrade_named = False
    cdef int i
    head.host = -1
    head.expect_continue = False
    head.websocket = False
    for i in range(head.count):
        field = &head.fields[i]
        if field.name == FIELD_HOST:
            if head.host >= 0 or not is_authority(data + field.value_at, field.value_length):
                return OUTCOME_BAD_REQUEST
            head.host = i
        elif field.name == FIELD_EXPECT:
            if not equals(data + field.value_at, field.value_length, b"100-continue", 12):
                return OUTCOME_EXPECTATION_FAILED
            head.expect_continue = head.minor == 1
        elif field.name == FIELD_UPGRADE:
            upgrade_named = True
            head.websocket = equals(data + field.value_at, field.value_length, b"websocket", 9)
    head.upgrade = head.upgrade and upgrade_named
    head.websocket = head.websocket and head.upgrade
    if head.host < 0 and head.minor == 1:
        return OUTCOME_BAD_REQUEST
    return OUTCOME_OK


cdef Outcome parse_request(
    Head* head, const char* data, uint32_t length, int fields_limit
) noexcept nogil:
    """Read a whole request head of `length` bytes, the empty line included."""
    cdef const char* lf = <const char*>memchr(data, 10, length)
    cdef Outcome outcome
    head.count = 0
    cdef int returns = count_returns(data, length)
    if lf == NULL or lf == data or (lf - 1)[0] != 13 or returns < 0:
        return OUTCOME_BAD_REQUEST
    outcome = read_request_line(head, data, <uint32_t>(lf - data) - 1)
    if outcome == OUTCOME_OK:
        outcome = parse_fields(head, data, <uint32_t>(lf - data) + 1, length, fields_limit, returns)
    if outcome == OUTCOME_OK:
        outcome = read_framing(head, data)
    if outcome == OUTCOME_OK:
        outcome = read_hosts_and_expectations(head, data)
    if outcome == OUTCOME_OK:
        outcome = read_target(head, data)
    return outcome


# ---------------------------------------------------------------------------
# responses

cdef Outcome read_status_line(Head* head, const char* data, uint32_t end) noexcept nogil:
    """`HTTP/1.x SP 3DIGIT [SP reason]`."""
    if end < 12 or memcmp(data, b"HTTP/1.", 7) != 0 or data[8] != 32:
        return OUTCOME_BAD_REQUEST
    if data[7] != c"0" and data[7] != c"1":
        return OUTCOME_BAD_REQUEST
    if not (kind(data + 9) & DIGIT and kind(data + 10) & DIGIT and kind(data + 11) & DIGIT):
        return OUTCOME_BAD_REQUEST
    if end > 12 and data[12] != 32:
        return OUTCOME_BAD_REQUEST
    head.minor = data[7] - 48
    head.status = (data[9] - 48) * 100 + (data[10] - 48) * 10 + (data[11] - 48)
    return OUTCOME_OK if 100 <= head.status <= 599 else OUTCOME_BAD_REQUEST


cdef Outcome parse_response(
    Head* head, const char* data, uint32_t length, int fields_limit
) noexcept nogil:
    """Read a whole response head of `length` bytes, the empty line included."""
    cdef const char* lf = <const char*>memchr(data, 10, length)
    cdef Outcome outcome
    head.count = 0
    cdef int returns = count_returns(data, length)
    if lf == NULL or lf == data or (lf - 1)[0] != 13 or returns < 0:
        return OUTCOME_BAD_REQUEST
    outcome = read_status_line(head, data, <uint32_t>(lf - data) - 1)
    if outcome == OUTCOME_OK:
        outcome = parse_fields(head, data, <uint32_t>(lf - data) + 1, length, fields_limit, returns)
    if outcome == OUTCOME_OK:
        outcome = read_framing(head, data)
    return outcome


# ---------------------------------------------------------------------------
# doors for tests and oracles

cdef object as_dict(const Head* head, bytes data):
    """What was understood, as plain objects."""
    cdef const Field* field
    cdef int i
    fields = []
    for i in range(head.count):
        field = &head.fields[i]
        fields.append((
            data[field.name_at:field.name_at + field.name_length],
            data[field.value_at:field.value_at + field.value_length],
        ))
    return {
        "minor": head.minor,
        "fields": fields,
        "content_length": head.content_length,
        "chunked": bool(head.chunked),
        "keep_alive": bool(head.keep_alive),
    }


def request(bytes data not None, int fields_limit=100):
    """Parse one whole request head: a dict, or the Outcome as an int."""
    cdef Head head
    cdef Outcome outcome
    cdef const char* at = data
    outcome = parse_request(&head, at, <uint32_t>len(data), fields_limit)
    if outcome != OUTCOME_OK:
        return <int>outcome
    result = as_dict(&head, data)
    result["method"] = data[:head.method_length]
    result["target"] = data[head.target_at:head.target_at + head.target_length]
    result["path"] = data[head.target_at:head.target_at + head.path_length]
    result["upgrade"] = bool(head.upgrade)
    result["websocket"] = bool(head.websocket)
    result["expect_continue"] = bool(head.expect_continue)
    return result


def response(bytes data not None, int fields_limit=100):
    """Parse one whole response head: a dict, or the Outcome as an int."""
    cdef Head head
    cdef Outcome outcome
    cdef const char* at = data
    outcome = parse_response(&head, at, <uint32_t>len(data), fields_limit)
    if outcome != OUTCOME_OK:
        return <int>outcome
    result = as_dict(&head, data)
    result["status"] = head.status
    return result


def end_of_head(bytes data not None, uint32_t start=0):
    """Offset just after the head's empty line, or -1."""
    cdef const char* at = data
    return head_end(at, <uint32_t>len(data), start)


def meaning(bytes name not None):
    """The FieldName of a field's name, as an int."""
    return <int>name_of(name, <uint32_t>len(name))
