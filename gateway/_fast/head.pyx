"""Heads of HTTP/1.1 messages, read strictly: see head.pxd for the rules.

Cost: one vectorised look for ends of lines and controls; a name of the usual form is
classified and looked up in two words. No allocation, no Python object.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memchr, memcmp, memcpy, memset
from gateway._fast.blocks cimport (
    __builtin_ctz, controls16, empty16, equal16, named16, target16,
)
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

cdef enum:
    LINES_MAX = FIELDS_MAX + 2          # the first one and the empty one
    SHORTEST_HEAD = 16                  # HTTP/1.1 200 and A / HTTP/1.1, each with two line ends
    LONGEST_NAME = 32                   # of those that mean something, with room

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
    cdef uint32_t bits
    while end - at >= 18:
        bits = empty16(<const uint8_t*>at)
        if bits:
            at += __builtin_ctz(bits)
            return <int>(at - data) + (2 if at[1] == 10 else 3)
        at += 16
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


cdef struct Lines:                      # of a whole head
    uint32_t[LINES_MAX] ends            # where their LFs are
    int count                           # of them; of more only as many are looked at
    bint has_bare_return                # a CR without its LF


cdef bint find_lines(Lines* lines, const char* data, uint32_t length) noexcept nogil:
    """Where the lines of a head end; False: it holds a control, or is too short to be one.

    Cost: sixteen bytes a step; the last step looks at some a second time.
    """
    cdef uint32_t at = 0, block, fresh, feeds, returns, last_return = 0, bad = 0, torn = 0
    lines.count = 0
    if length < SHORTEST_HEAD:
        return False
    while at < length:
        block = min(at, length - 16)
        fresh = <uint32_t>0xFFFF << (at - block)
        feeds = equal16(<const uint8_t*>data + block, 10) & fresh
        returns = equal16(<const uint8_t*>data + block, 13) & fresh
        bad |= controls16(<const uint8_t*>data + block)
        torn |= (returns << 1 | last_return << (at - block)) & ~feeds & 0xFFFF
        last_return = returns >> 15
        while feeds and lines.count < LINES_MAX:
            lines.ends[lines.count] = block + __builtin_ctz(feeds)
            lines.count += 1
            feeds &= feeds - 1
        at = block + 16
    lines.has_bare_return = torn != 0 or last_return
    return bad == 0


# ---------------------------------------------------------------------------
# names

# Names that mean something, whole. Those that share a beginning are in `prefixed`.
cdef tuple MEANINGS = (
    (b"accept-encoding", FIELD_ACCEPT_ENCODING),
    (b"alt-svc", FIELD_SET_COOKIE),
    (b"api-key", FIELD_CREDENTIAL),
    (b"authorization", FIELD_CREDENTIAL),
    (b"cache-control", FIELD_CACHE_CONTROL),
    (b"connection", FIELD_CONNECTION),
    (b"content-encoding", FIELD_CONTENT_ENCODING),
    (b"content-length", FIELD_CONTENT_LENGTH),
    (b"content-type", FIELD_CONTENT_TYPE),
    (b"cookie", FIELD_COOKIE),
    (b"date", FIELD_DATE),
    (b"expect", FIELD_EXPECT),
    (b"forwarded", FIELD_FORWARDED),
    (b"host", FIELD_HOST),
    (b"keep-alive", FIELD_HOP),
    (b"openai-organization", FIELD_ORGANISATION),
    (b"openai-project", FIELD_ORGANISATION),
    (b"origin", FIELD_ORIGIN),
    (b"retry-after", FIELD_RETRY_AFTER),
    (b"retry-after-ms", FIELD_RETRY_AFTER_MS),
    (b"server", FIELD_SERVER),
    (b"set-cookie", FIELD_SET_COOKIE),
    (b"strict-transport-security", FIELD_SET_COOKIE),
    (b"te", FIELD_HOP),
    (b"traceparent", FIELD_TRACEPARENT),
    (b"trailer", FIELD_HOP),
    (b"transfer-encoding", FIELD_TRANSFER_ENCODING),
    (b"upgrade", FIELD_UPGRADE),
    (b"via", FIELD_SERVER),
    (b"x-accel-buffering", FIELD_HOP),
    (b"x-api-key", FIELD_CREDENTIAL),
    (b"x-forwarded-for", FIELD_X_FORWARDED_FOR),
    (b"x-goog-api-key", FIELD_CREDENTIAL),
    (b"x-powered-by", FIELD_SERVER),
    (b"x-real-ip", FIELD_X_FORWARDED),
    (b"x-request-id", FIELD_REQUEST_ID),
    (b"x-should-retry", FIELD_SHOULD_RETRY),
)

cdef union Name:                        # lower case, zeros behind
    char[LONGEST_NAME] text
    uint64_t[4] words

cdef Name[64] NAMES                     # of MEANINGS, by length
cdef uint16_t[64] MEANT
cdef uint8_t[LONGEST_NAME + 2] FIRST    # of a length; the next one's is behind its last
cdef uint64_t[17][2] KEPT               # bits of the first so many bytes


cdef int fill_names() except -1:
    cdef int n = 0
    cdef bytes text
    for length in range(LONGEST_NAME + 1):
        FIRST[<int>length] = <uint8_t>n
        for text, meaning in MEANINGS:
            if len(text) == length:
                memset(&NAMES[n], 0, sizeof(Name))
                memcpy(NAMES[n].text, <const char*>text, length)
                MEANT[n] = meaning
                n += 1
    FIRST[LONGEST_NAME + 1] = <uint8_t>n
    for length in range(17):
        memset(&KEPT[<int>length][0], 0, 16)
        memset(&KEPT[<int>length][0], 255, length)
    return 0


fill_names()


cdef inline FieldName meaning_of(Name* name, uint32_t length) noexcept nogil:
    """A field's meaning; of a name that is longer than LONGEST_NAME `name` holds the beginning."""
    cdef int n
    cdef const uint64_t* words = name.words
    cdef const uint64_t* known
    if length <= LONGEST_NAME:
        for n in range(FIRST[length], FIRST[length + 1]):
            known = NAMES[n].words
            if words[0] == known[0] and words[1] == known[1] and (
                words[2] == known[2] and words[3] == known[3]
            ):
                return <FieldName>MEANT[n]
    return prefixed(name)


cdef FieldName prefixed(Name* name) noexcept nogil:
    """What a name means by its beginning."""
    cdef const char* text = name.text
    if text[0] == c"x" and memcmp(text, b"x-gateway-", 10) == 0:
        return FIELD_GATEWAY
    if text[0] == c"x" and memcmp(text, b"x-forwarded-", 12) == 0:
        return FIELD_X_FORWARDED
    if text[0] == c"a" and memcmp(text, b"access-control-", 15) == 0:
        return FIELD_CORS
    if text[0] == c"p" and memcmp(text, b"proxy-", 6) == 0:
        return FIELD_HOP
    return FIELD_OTHER


cdef FieldName lowered_meaning(const char* text, uint32_t length) noexcept nogil:
    """meaning_of any name."""
    cdef Name name
    cdef uint32_t i
    memset(&name, 0, sizeof(Name))
    for i in range(min(length, <uint32_t>LONGEST_NAME)):
        name.text[i] = text[i] + 32 if 65 <= text[i] <= 90 else text[i]
    return meaning_of(&name, length)


cdef FieldName name_of(const char* name, uint32_t length) noexcept nogil:
    if memchr(name, c"_", length) != NULL:
        return FIELD_UNDERSCORE
    return lowered_meaning(name, length)


# ---------------------------------------------------------------------------
# fields

cdef Outcome parse_fields(
    Head* head, const char* data, uint32_t length, const Lines* lines, int limit
) noexcept nogil:
    """Read the field lines, up to the empty line that ends the head."""
    cdef uint32_t at = lines.ends[0] + 1
    cdef uint32_t end
    cdef Outcome outcome
    cdef int line
    for line in range(1, lines.count):
        end = lines.ends[line] - 1
        if data[end] != 13:
            return OUTCOME_BAD_REQUEST
        if end == at:
            return OUTCOME_OK if end + 2 == length and not lines.has_bare_return else OUTCOME_BAD_REQUEST
        if head.count >= limit or head.count >= FIELDS_MAX:
            return OUTCOME_HEAD_TOO_LARGE
        outcome = parse_field(&head.fields[head.count], data, at, end, length)
        if outcome != OUTCOME_OK:
            return outcome
        head.count += 1
        at = end + 2
    return OUTCOME_BAD_REQUEST


cdef inline bint has_first_line(const Lines* lines, const char* data) noexcept nogil:
    return lines.count > 0 and lines.ends[0] > 0 and data[lines.ends[0] - 1] == 13


cdef inline uint32_t short_name(
    Field* field, const char* at, uint32_t left
) noexcept nogil:
    """The length of a name of at most 15 letters, digits and dashes before a colon, or 0.

    Its meaning is looked up in the same two words. Safety: `left` bytes can be read.
    """
    cdef Name name
    cdef uint32_t length
    if left < 16:
        return 0
    length = __builtin_ctz(~named16(<const uint8_t*>at))
    if length > 15 or at[length] != c":":
        return 0
    memcpy(name.words, at, 16)
    # In these bytes the bit 0x20 is what makes a letter small, and set in all others.
    name.words[0] = (name.words[0] | <uint64_t>0x2020202020202020) & KEPT[length][0]
    name.words[1] = (name.words[1] | <uint64_t>0x2020202020202020) & KEPT[length][1]
    name.words[2] = name.words[3] = 0
    field.name = <uint16_t>meaning_of(&name, length)
    return length


cdef inline uint32_t other_name(
    Field* field, const char* at, uint32_t left
) noexcept nogil:
    """The length of any name before a colon, or 0."""
    cdef uint32_t length = 0
    cdef uint8_t seen = 0
    while length < left and kind(at + length) & TOKEN:
        seen |= kind(at + length)
        length += 1
    if length == left or at[length] != c":" or length > 65535:
        return 0
    field.name = FIELD_UNDERSCORE if seen & UNDERSCORE else <uint16_t>lowered_meaning(at, length)
    return length


cdef inline Outcome parse_field(
    Field* field, const char* data, uint32_t at, uint32_t end, uint32_t length
) noexcept nogil:
    cdef uint32_t value
    cdef uint32_t name_length = short_name(field, data + at, length - at)
    if name_length == 0:
        name_length = other_name(field, data + at, end - at)
        if name_length == 0:
            return OUTCOME_BAD_REQUEST
    value = at + name_length + 1
    while value < end and (data[value] == 32 or data[value] == 9):
        value += 1
    while end > value and (data[end - 1] == 32 or data[end - 1] == 9):
        end -= 1
    field.name_at = at
    field.name_length = <uint16_t>name_length
    field.value_at = value
    field.value_length = end - value
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
        if field.name > FIELD_CONNECTION:
            continue
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
    while end - at >= 16 and target16(<const uint8_t*>data + at) == 0xFFFF:
        at += 16
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
    cdef Lines lines
    cdef Outcome outcome
    head.count = 0
    if not find_lines(&lines, data, length) or not has_first_line(&lines, data):
        return OUTCOME_BAD_REQUEST
    outcome = read_request_line(head, data, lines.ends[0] - 1)
    if outcome == OUTCOME_OK:
        outcome = parse_fields(head, data, length, &lines, fields_limit)
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
    cdef Lines lines
    cdef Outcome outcome
    head.count = 0
    if not find_lines(&lines, data, length) or not has_first_line(&lines, data):
        return OUTCOME_BAD_REQUEST
    outcome = read_status_line(head, data, lines.ends[0] - 1)
    if outcome == OUTCOME_OK:
        outcome = parse_fields(head, data, length, &lines, fields_limit)
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
