"""Partial JSON: find, cut and replace a member without re-encoding; see splice.pxd.

Works in one pass over the bytes with a stack of one byte a level; text inside strings is
passed in blocks of 16 and 64 bytes. Cost: about 0.7 ns a byte of small members, 0.1 ns a
byte of long text; never allocates. Knows nothing of HTTP or of any protocol's names;
the exchange, the protocols' tables and `events` call it. Grammar: RFC 8259, RFC 6901, RFC 3629.
"""

import cython

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from libc.math cimport NAN
from libc.stdint cimport UINT32_MAX
from libc.stdlib cimport strtod
from libc.string cimport memchr, memcmp, memcpy, memset
from gateway._fast.blocks cimport (
    __builtin_ctz, digits16, is_plain64, numeric16, plain16,
)
from gateway._fast.debug cimport FAST_DEBUG


cdef struct Walk:                       # one pass
    const uint8_t* base                 # offsets count from here
    const uint8_t* end
    const Wanted* wanted                # NULL: no names, no marks
    const Text* name                    # or this one name
    int64_t index                       # or this element of an array; counts down
    Member* members                     # what was found of them
    Member* open                        # the wanted member whose value is being read
    uint32_t marks                      # seen
    uint32_t pending                    # marks whose key came just before this value
    bint escaped                        # the last string held a backslash
    int fault                           # Scan
    const uint8_t* fault_at


cdef const uint8_t* fail(Walk* walk, int fault, const uint8_t* at) noexcept nogil:
    walk.fault = fault
    walk.fault_at = at
    return NULL


cdef const uint8_t* unexpected(Walk* walk, const uint8_t* at) noexcept nogil:
    return fail(walk, SCAN_TRUNCATED if at >= walk.end else SCAN_MALFORMED, at)


# Strings.

cdef inline const uint8_t* plain_end(const uint8_t* at, const uint8_t* end) noexcept nogil:
    """The first byte that is not plain text."""
    cdef uint32_t run
    while end - at >= 16:
        run = plain16(at)
        if run < 16:
            return at + run
        at += 16
        while end - at >= 64 and is_plain64(at):
            at += 64
    while at < end and 0x20 <= at[0] < 0x80 and at[0] != c'"' and at[0] != c'\\':
        at += 1
    return at


cdef inline bint is_tail(const uint8_t* at, const uint8_t* end) noexcept nogil:
    """Whether a continuation byte is there, or may still come."""
    return at >= end or at[0] & 0xC0 == 0x80


cdef const uint8_t* sequence_end(Walk* walk, const uint8_t* at) noexcept nogil:
    """Behind one UTF-8 sequence of two to four bytes (RFC 3629: no surrogates, shortest form)."""
    cdef uint8_t lead = at[0]
    cdef uint32_t length = 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4
    cdef uint8_t low = 0x80, high = 0xBF
    if lead < 0xC2 or lead > 0xF4:
        return fail(walk, SCAN_MALFORMED, at)
    if lead == 0xE0:
        low = 0xA0
    elif lead == 0xED:
        high = 0x9F
    elif lead == 0xF0:
        low = 0x90
    elif lead == 0xF4:
        high = 0x8F
    if walk.end - at > 1 and not low <= at[1] <= high:
        return fail(walk, SCAN_MALFORMED, at + 1)
    if length > 2 and not is_tail(at + 2, walk.end):
        return fail(walk, SCAN_MALFORMED, at + 2)
    if length > 3 and not is_tail(at + 3, walk.end):
        return fail(walk, SCAN_MALFORMED, at + 3)
    if walk.end - at < length:
        return fail(walk, SCAN_TRUNCATED, walk.end)
    return at + length


cdef inline int hex_of(uint8_t c) noexcept nogil:
    if c'0' <= c <= c'9':
        return c - c'0'
    c |= 0x20
    return c - c'a' + 10 if c'a' <= c <= c'f' else -1


cdef const uint8_t* escape_end(Walk* walk, const uint8_t* at) noexcept nogil:
    """Behind the escape whose backslash is at `at`."""
    cdef int _i
    at += 1
    if at >= walk.end or memchr(b'"\\/bfnrtu', at[0], 9) == NULL:
        return unexpected(walk, at)
    if at[0] == c'u':
        for _i in range(4):
            at += 1
            if at >= walk.end or hex_of(at[0]) < 0:
                return unexpected(walk, at)
    return at + 1


cdef inline const uint8_t* string_end(Walk* walk, const uint8_t* at) noexcept nogil:
    """Behind the closing quote of the string whose text begins at `at`."""
    walk.escaped = False
    while True:
        at = plain_end(at, walk.end)
        if at == walk.end:
            return fail(walk, SCAN_TRUNCATED, at)
        if at[0] == c'"':
            return at + 1
        if at[0] == c'\\':
            walk.escaped = True
            if walk.end - at > 1 and (at[1] == c'n' or at[1] == c'"'):
                at += 2                 # the two that text is full of
                continue
            at = escape_end(walk, at)
        elif at[0] >= 0x80:
            at = sequence_end(walk, at)
            while at != NULL and at < walk.end and at[0] >= 0x80:
                at = sequence_end(walk, at)
        else:
            return fail(walk, SCAN_MALFORMED, at)
        if at == NULL:
            return NULL


# Other scalars.

cdef inline const uint8_t* skip_space(const uint8_t* at, const uint8_t* end) noexcept nogil:
    while at < end and at[0] <= 0x20 and (
        at[0] == c' ' or at[0] == c'\n' or at[0] == c'\r' or at[0] == c'\t'
    ):
        at += 1
    return at


cdef inline const uint8_t* plain_number_end(const uint8_t* at) noexcept nogil:
    """Behind a number of at most 31 bytes with no exponent, or NULL: look closer.

    Why: numbers of an array differ in length and sign, and each loop over digits ends
    in a mispredicted branch; two masks tell the shape without one (bench/micro/splice.py).
    Safety: 32 bytes can be read.
    """
    cdef uint32_t numeric = numeric16(at)
    cdef uint32_t digits = digits16(at)
    cdef uint32_t length, sign, others, whole
    if numeric == 0xFFFF:
        numeric |= numeric16(at + 16) << 16
        digits |= digits16(at + 16) << 16
        if numeric == UINT32_MAX:
            return NULL
    length = __builtin_ctz(~numeric)
    sign = at[0] == c'-'
    others = ~digits & ((1u << length) - 1) & ~sign
    whole = length
    if others:
        whole = __builtin_ctz(others)
        if others & (others - 1) or at[whole] != c'.' or whole + 1 == length:
            return NULL
    if whole <= sign or at[length] | 0x20 == c'e' or at[sign] == c'0' and whole > sign + 1:
        return NULL
    return at + length


cdef inline const uint8_t* digits_end(const uint8_t* at, const uint8_t* end) noexcept nogil:
    while at < end and c'0' <= at[0] <= c'9':
        at += 1
    return at


cdef const uint8_t* number_end(Walk* walk, const uint8_t* at) noexcept nogil:
    cdef const uint8_t* digits
    if at[0] == c'-':
        at += 1
    if at < walk.end and at[0] == c'0':
        at += 1
    else:
        digits = at
        at = digits_end(at, walk.end)
        if at == digits:
            return unexpected(walk, at)
    if at < walk.end and at[0] == c'.':
        digits = at + 1
        at = digits_end(digits, walk.end)
        if at == digits:
            return unexpected(walk, at)
    if at < walk.end and at[0] | 0x20 == c'e':
        at += 1
        if at < walk.end and (at[0] == c'+' or at[0] == c'-'):
            at += 1
        digits = at
        at = digits_end(at, walk.end)
        if at == digits:
            return unexpected(walk, at)
    return at


cdef const uint8_t* word_end(Walk* walk, const uint8_t* at) noexcept nogil:
    """Behind true, false or null."""
    cdef const char* word
    if at[0] == c't':
        word = b"true"
    elif at[0] == c'f':
        word = b"false"
    elif at[0] == c'n':
        word = b"null"
    else:
        return fail(walk, SCAN_MALFORMED, at)
    while word[0]:
        if at >= walk.end or at[0] != <uint8_t>word[0]:
            return unexpected(walk, at)
        at += 1
        word += 1
    return at


# Names.

cdef int unescaped_char(const uint8_t** at, uint8_t* out) noexcept nogil:
    """The bytes of one character of checked string text, or -1 for a lone surrogate."""
    cdef const uint8_t* text = at[0]
    cdef uint32_t code, low
    cdef const char* short_form = b"b\bf\fn\nr\rt\t"
    cdef const void* known
    if text[0] != c'\\':
        out[0] = text[0]
        at[0] = text + 1
        return 1
    if text[1] != c'u':
        # Safety: the short form's value is the byte behind its letter.
        known = memchr(short_form, text[1], 10)
        out[0] = (<const uint8_t*>known)[1] if known != NULL else text[1]
        at[0] = text + 2
        return 1
    code = hex4(text + 2)
    at[0] = text + 6
    if 0xD800 <= code < 0xE000:
        # Safety: text[6] exists, the closing quote at the latest; text[7] behind a backslash.
        if code >= 0xDC00 or text[6] != c'\\' or text[7] != c'u':
            return -1
        low = hex4(text + 8)
        if not 0xDC00 <= low < 0xE000:
            return -1
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00)
        at[0] = text + 12
    return encoded(code, out)


cdef uint32_t hex4(const uint8_t* at) noexcept nogil:
    return <uint32_t>(
        hex_of(at[0]) << 12 | hex_of(at[1]) << 8 | hex_of(at[2]) << 4 | hex_of(at[3])
    )


cdef int encoded(uint32_t code, uint8_t* out) noexcept nogil:
    """UTF-8 of a code point; its length."""
    if code < 0x80:
        out[0] = <uint8_t>code
        return 1
    if code < 0x800:
        out[0] = <uint8_t>(0xC0 | code >> 6)
        out[1] = <uint8_t>(0x80 | code & 0x3F)
        return 2
    if code < 0x10000:
        out[0] = <uint8_t>(0xE0 | code >> 12)
        out[1] = <uint8_t>(0x80 | code >> 6 & 0x3F)
        out[2] = <uint8_t>(0x80 | code & 0x3F)
        return 3
    out[0] = <uint8_t>(0xF0 | code >> 18)
    out[1] = <uint8_t>(0x80 | code >> 12 & 0x3F)
    out[2] = <uint8_t>(0x80 | code >> 6 & 0x3F)
    out[3] = <uint8_t>(0x80 | code & 0x3F)
    return 4


cdef bint spells(
    const uint8_t* at, const uint8_t* end, bint escaped, const char* text, size_t length
) noexcept nogil:
    """Whether checked string text, unescaped, is `text`."""
    cdef uint8_t[4] char
    cdef int size
    if not escaped:
        return <size_t>(end - at) == length and memcmp(at, text, length) == 0
    while at < end:
        size = unescaped_char(&at, char)
        if size < 0 or <size_t>size > length or memcmp(char, text, size) != 0:
            return False
        text += size
        length -= <size_t>size
    return length == 0


cdef inline uint32_t candidates_of(
    const uint32_t* by_length, uint32_t length, bint escaped
) noexcept nogil:
    """Bits of the names that may be meant: an escape hides the length."""
    return UINT32_MAX if escaped else by_length[length & 31]


cdef inline Member* wanted_member(
    Walk* walk, const uint8_t* key, const uint8_t* end
) noexcept nogil:
    cdef uint32_t candidates, n
    if walk.name != NULL:
        if spells(key, end, walk.escaped, walk.name.at, walk.name.length):
            return walk.members
        return NULL
    candidates = candidates_of(walk.wanted.by_length, <uint32_t>(end - key), walk.escaped)
    while candidates:
        n = __builtin_ctz(candidates)
        candidates &= candidates - 1
        if n >= walk.wanted.count:
            return NULL
        if spells(key, end, walk.escaped, walk.wanted.names[n].at, walk.wanted.names[n].length):
            return &walk.members[n]
    return NULL


cdef inline uint32_t marks_named(
    Walk* walk, const uint8_t* key, const uint8_t* end
) noexcept nogil:
    """Marks whose key this is."""
    cdef uint32_t n, found = 0
    cdef uint32_t candidates = candidates_of(
        walk.wanted.mark_lengths, <uint32_t>(end - key), walk.escaped
    )
    while candidates:
        n = __builtin_ctz(candidates)
        candidates &= candidates - 1
        if n >= walk.wanted.mark_count:
            break
        if spells(
            key, end, walk.escaped, walk.wanted.mark_keys[n].at, walk.wanted.mark_keys[n].length
        ):
            found |= 1u << n
    return found


cdef void match_marks(Walk* walk, const uint8_t* value, const uint8_t* end) noexcept nogil:
    cdef uint32_t n
    cdef uint32_t pending = walk.pending
    walk.pending = 0
    while pending:
        n = __builtin_ctz(pending)
        pending &= pending - 1
        if spells(
            value, end, walk.escaped,
            walk.wanted.mark_values[n].at, walk.wanted.mark_values[n].length,
        ):
            walk.marks |= 1u << n


# The pass.

cdef inline uint8_t kind_of(uint8_t c) noexcept nogil:
    """What a value that begins with c is, if it is well-formed."""
    if c == c'"':
        return JSON_STRING
    if c == c'{':
        return JSON_OBJECT
    if c == c'[':
        return JSON_ARRAY
    if c == c't':
        return JSON_TRUE
    if c == c'f':
        return JSON_FALSE
    return JSON_NULL if c == c'n' else JSON_NUMBER


cdef void open_member(
    Walk* walk, const uint8_t* key, const uint8_t* value
) noexcept nogil:
    cdef Member* member = walk.open
    member.key_start = <uint32_t>(key - walk.base)
    member.start = <uint32_t>(value - walk.base)
    member.kind = kind_of(value[0]) if value < walk.end else JSON_MISSING
    member.escaped = 0
    if member.count < 255:
        member.count += 1


cdef inline void close_member(
    Walk* walk, const uint8_t* end, const uint8_t* next
) noexcept nogil:
    walk.open.end = <uint32_t>(end - walk.base)
    walk.open.member_end = <uint32_t>(next - walk.base)
    walk.open = NULL


cdef inline const uint8_t* member_value(
    Walk* walk, const uint8_t* at, bint is_top
) noexcept nogil:
    """Where the value of the member at `at` begins."""
    cdef const uint8_t* key = at
    if at >= walk.end or at[0] != c'"':
        return unexpected(walk, at)
    at = string_end(walk, at + 1)
    if at == NULL:
        return NULL
    if is_top and walk.members != NULL:
        walk.open = wanted_member(walk, key + 1, at - 1)
    if walk.wanted != NULL and walk.wanted.mark_count:
        walk.pending = marks_named(walk, key + 1, at - 1)
    at = skip_space(at, walk.end)
    if at >= walk.end or at[0] != c':':
        return unexpected(walk, at)
    at = skip_space(at + 1, walk.end)
    if walk.open != NULL and is_top:
        open_member(walk, key, at)
    return at


cdef inline const uint8_t* scalar_end(Walk* walk, const uint8_t* at) noexcept nogil:
    cdef const uint8_t* end
    if at[0] == c'"':
        end = string_end(walk, at + 1)
        if end != NULL and walk.pending:
            match_marks(walk, at + 1, end - 1)
        return end
    walk.pending = 0
    if <uint8_t>(at[0] - c'-') <= c'9' - c'-':      # "-./0-9" in one comparison
        end = plain_number_end(at) if walk.end - at >= 32 else NULL
        return end if end != NULL else number_end(walk, at)
    return word_end(walk, at)


cdef void count_element(Walk* walk, const uint8_t* at) noexcept nogil:
    """Opens the member when `at` begins the element looked for."""
    if walk.index == 0:
        walk.open = walk.members
        open_member(walk, at, at)
    walk.index -= 1


cdef const uint8_t* walk_text(Walk* walk, const uint8_t* at) noexcept nogil:
    """The end of the text when all of it is one value; otherwise NULL and walk.fault."""
    cdef uint8_t[MAX_DEPTH] outer       # outer[d]: whether level d is an object
    cdef uint32_t depth = 0
    cdef bint in_object = False
    cdef uint8_t bracket = 0
    cdef const uint8_t* value_end
    at = skip_space(at, walk.end)
    while True:
        # A value begins here.
        if at >= walk.end:
            return fail(walk, SCAN_TRUNCATED, at)
        if depth == 1 and not in_object and walk.index >= 0:
            count_element(walk, at)
        if at[0] == c'{' or at[0] == c'[':
            if depth == MAX_DEPTH:
                return fail(walk, SCAN_TOO_DEEP, at)
            outer[depth] = in_object
            depth += 1
            in_object = at[0] == c'{'
            bracket = c'}' if in_object else c']'
            walk.pending = 0
            at = skip_space(at + 1, walk.end)
            if at >= walk.end or at[0] != bracket:
                if in_object:
                    at = member_value(walk, at, depth == 1)
                    if at == NULL:
                        return NULL
                continue
        else:
            at = scalar_end(walk, at)
            if at == NULL:
                return NULL
            if walk.open != NULL and depth == 1:
                walk.open.escaped = walk.escaped and walk.open.kind == JSON_STRING
        # A value ended here (or an empty container has its bracket here).
        while True:
            value_end = at
            at = skip_space(at, walk.end)
            if depth == 0:
                return at if at == walk.end else fail(walk, SCAN_MALFORMED, at)
            if walk.open != NULL and depth == 1:
                close_member(walk, value_end, at)
            if at >= walk.end:
                return fail(walk, SCAN_TRUNCATED, at)
            if at[0] == c',':
                at = skip_space(at + 1, walk.end)
                if in_object:
                    at = member_value(walk, at, depth == 1)
                    if at == NULL:
                        return NULL
                break
            if at[0] != bracket:
                return fail(walk, SCAN_MALFORMED, at)
            at += 1
            depth -= 1
            in_object = outer[depth]
            bracket = c'}' if in_object else c']'


cdef void begin(
    Walk* walk, const char* data, uint32_t end, Member* members
) noexcept nogil:
    memset(walk, 0, sizeof(Walk))
    walk.base = <const uint8_t*>data
    walk.end = walk.base + end
    walk.members = members
    walk.index = -1


@cython.final
cdef class Exact:
    """The bytes as a door passes them on: in debug builds a copy with nothing behind it.

    Why: a bytes object has a NUL behind its end, which would hide a read too far from
    AddressSanitizer.
    """

    cdef char* at
    cdef char* copy
    cdef bytes kept

    def __cinit__(self, bytes data):
        # Safety: `kept` or `copy` outlives `at`.
        self.kept = data
        self.at = PyBytes_AS_STRING(data)
        if FAST_DEBUG:
            self.copy = <char*>PyMem_Malloc(len(data))
            if self.copy == NULL:
                raise MemoryError
            memcpy(self.copy, self.at, len(data))
            self.at = self.copy

    def __dealloc__(self):
        PyMem_Free(self.copy)


cdef tuple as_bytes(object names):
    return tuple([name.encode() if isinstance(name, str) else bytes(name) for name in names])


cdef Text text_of(bytes kept) noexcept:
    # Safety: the caller keeps `kept` alive for as long as the Text is used.
    cdef Text text
    text.at = PyBytes_AS_STRING(kept)
    text.length = <uint32_t>PyBytes_GET_SIZE(kept)
    return text


@cython.final
cdef class Shape:

    def __cinit__(self, names, marks=()):
        cdef Py_ssize_t n
        self.names = as_bytes(names)
        self.marks = tuple([as_bytes(pair) for pair in marks])
        if len(self.names) > MAX_NAMES or len(self.marks) > MAX_MARKS:
            raise ValueError(f"at most {MAX_NAMES} names and {MAX_MARKS} marks")
        if len(set(self.names)) != len(self.names):
            raise ValueError("a name is given twice")
        self.wanted.count = len(self.names)
        self.wanted.mark_count = len(self.marks)
        for n in range(len(self.names)):
            self.wanted.names[n] = text_of(self.names[n])
            self.wanted.by_length[self.wanted.names[n].length & 31] |= 1u << n
        for n in range(len(self.marks)):
            self.wanted.mark_keys[n] = text_of(self.marks[n][0])
            self.wanted.mark_values[n] = text_of(self.marks[n][1])
            self.wanted.mark_lengths[self.wanted.mark_keys[n].length & 31] |= 1u << n

    cdef int scan(
        self, const char* data, size_t length,
        Member* members, uint32_t* marks, uint32_t* error_at,
    ) noexcept nogil:
        if length > UINT32_MAX:
            if error_at != NULL:
                error_at[0] = UINT32_MAX
            return SCAN_TOO_LONG
        return self.scan_span(data, 0, <uint32_t>length, members, marks, error_at)

    cdef int scan_span(
        self, const char* data, uint32_t start, uint32_t end,
        Member* members, uint32_t* marks, uint32_t* error_at,
    ) noexcept nogil:
        cdef Walk walk
        cdef const uint8_t* at
        begin(&walk, data, end, members)
        walk.wanted = &self.wanted
        memset(members, 0, self.wanted.count * sizeof(Member))
        at = skip_space(walk.base + start, walk.end)
        if at < walk.end and at[0] != c'{':
            fail(&walk, SCAN_NOT_OBJECT, at)
        else:
            walk_text(&walk, at)
        if marks != NULL:
            marks[0] = walk.marks
        if error_at != NULL:
            error_at[0] = <uint32_t>(walk.fault_at - walk.base) if walk.fault else 0
        return walk.fault

    def look(self, bytes data, start=0, end=None):
        """(code, error_at, marks, members): what scan_span says of data[start:end]."""
        cdef Member[MAX_NAMES] members
        cdef uint32_t marks = 0, error_at = 0, n
        cdef uint32_t stop = len(data) if end is None else end
        if not start <= stop <= <size_t>len(data):
            raise ValueError("the span lies outside the data")
        cdef Exact exact = Exact(data[:stop])
        cdef int code = self.scan_span(exact.at, start, stop, members, &marks, &error_at)
        found = tuple([as_tuple(&members[n]) for n in range(self.wanted.count)])
        return code, error_at, marks, found


@cython.final
cdef class Pointer:

    def __cinit__(self, str text):
        cdef Py_ssize_t n
        if text and not text.startswith("/"):
            raise ValueError(f"a JSON pointer begins with '/': {text!r}")
        tokens = [token.replace("~1", "/").replace("~0", "~") for token in text.split("/")[1:]]
        if len(tokens) > MAX_TOKENS:
            raise ValueError(f"a JSON pointer of over {MAX_TOKENS} tokens: {text!r}")
        self.text = text
        self.tokens = as_bytes(tokens)
        self.count = len(tokens)
        for n in range(len(tokens)):
            self.steps[n] = text_of(self.tokens[n])
            self.indexes[n] = index_of(tokens[n])

    cdef int find(self, const char* data, size_t length, Member* out) noexcept nogil:
        if length > UINT32_MAX:
            return SCAN_TOO_LONG
        return self.find_span(data, 0, <uint32_t>length, out)

    cdef int find_span(
        self, const char* data, uint32_t start, uint32_t end, Member* out
    ) noexcept nogil:
        """Cost: one pass a token, each over the value the one before found."""
        cdef Walk walk
        cdef uint32_t n
        memset(out, 0, sizeof(Member))
        if self.count == 0:
            return whole_value(data, start, end, out)
        for n in range(self.count):
            begin(&walk, data, end, out)
            walk.name = &self.steps[n]
            walk.index = self.indexes[n]
            memset(out, 0, sizeof(Member))
            if walk_text(&walk, walk.base + start) == NULL:
                memset(out, 0, sizeof(Member))
                return walk.fault
            if out.kind == JSON_MISSING:
                return SCAN_OK
            start = out.start
            end = out.end
        return SCAN_OK

    def look(self, bytes data):
        """(code, member): what find says of data."""
        cdef Member member
        memset(&member, 0, sizeof(Member))
        cdef Exact exact = Exact(data)
        cdef int code = self.find(exact.at, len(data), &member)
        return code, as_tuple(&member)


cdef int64_t index_of(str token):
    """The array index a token is (RFC 6901 section 4), or -1."""
    if not (token.isascii() and token.isdigit()) or len(token) > 9:
        return -1
    return -1 if token[0] == "0" and token != "0" else int(token)


cdef int whole_value(
    const char* data, uint32_t start, uint32_t end, Member* out
) noexcept nogil:
    cdef Walk walk
    cdef const uint8_t* at
    begin(&walk, data, end, NULL)
    at = skip_space(walk.base + start, walk.end)
    if walk_text(&walk, at) == NULL:
        return walk.fault
    walk.open = out
    open_member(&walk, at, at)
    close_member(&walk, value_end(at, walk.end), walk.end)
    out.escaped = has_backslash(data, out)
    return SCAN_OK


# Inside checked bytes.

cdef const uint8_t* value_end(const uint8_t* at, const uint8_t* end) noexcept nogil:
    """Behind the value that begins at `at` of checked text."""
    cdef Walk walk
    cdef uint32_t depth = 0
    cdef uint8_t kind
    walk.end = end
    while at < end:
        kind = kind_of(at[0])
        if kind == JSON_OBJECT or kind == JSON_ARRAY:
            depth += 1
            at += 1
        elif at[0] == c'}' or at[0] == c']':
            depth -= 1
            at += 1
        elif kind == JSON_STRING:
            at = string_end(&walk, at + 1)
        elif depth:
            at += 1                     # scalars, commas, colons and space between
            continue
        else:
            walk.pending = 0
            at = scalar_end(&walk, at)
        if at == NULL or depth == 0:
            break
    return at if at != NULL else end


cdef bint has_backslash(const char* data, const Member* member) noexcept nogil:
    return member.kind == JSON_STRING and memchr(
        data + member.start, c'\\', member.end - member.start
    ) != NULL


cdef bint next_element(
    const char* data, const Member* array, uint32_t* at, Member* out
) noexcept nogil:
    cdef const uint8_t* base = <const uint8_t*>data
    cdef const uint8_t* end = base + array.end
    cdef const uint8_t* value
    if array.kind != JSON_ARRAY:
        return False
    value = skip_space(base + (at[0] if at[0] else array.start) + 1, end)
    if at[0] and base[at[0]] == c']' or value[0] == c']':
        return False
    memset(out, 0, sizeof(Member))
    out.kind = kind_of(value[0])
    out.count = 1
    out.start = out.key_start = <uint32_t>(value - base)
    out.end = <uint32_t>(value_end(value, end) - base)
    out.escaped = has_backslash(data, out)
    out.member_end = at[0] = <uint32_t>(skip_space(base + out.end, end) - base)
    return True


cdef int64_t integer_of(const char* data, const Member* member) noexcept nogil:
    cdef int64_t value = 0
    cdef uint32_t i
    if member.kind != JSON_NUMBER or member.end - member.start > 18:
        return -1
    for i in range(member.start, member.end):
        if not c'0' <= data[i] <= c'9':
            return -1
        value = value * 10 + (data[i] - c'0')
    return value


cdef double double_of(const char* data, const Member* member) noexcept nogil:
    # Rule: nothing in the gateway sets LC_NUMERIC, so strtod's point is a point.
    cdef char[128] text
    cdef uint32_t length = member.end - member.start
    if member.kind != JSON_NUMBER or length > 127:
        return NAN
    # Safety: 127 bytes at most and the NUL that strtod needs.
    memcpy(text, data + member.start, length)
    text[length] = 0
    return strtod(text, NULL)


cdef bint string_equals(
    const char* data, const Member* member, const char* text, size_t length
) noexcept nogil:
    if member.kind != JSON_STRING:
        return False
    # Safety: a string has its two quotes, so start + 1 <= end - 1.
    return spells(
        <const uint8_t*>data + member.start + 1, <const uint8_t*>data + member.end - 1,
        member.escaped, text, length,
    )


cdef int64_t string_into(
    char* out, size_t room, const char* data, const Member* member
) noexcept nogil:
    cdef const uint8_t* at = <const uint8_t*>data + member.start + 1
    cdef const uint8_t* end = <const uint8_t*>data + member.end - 1
    cdef uint8_t[4] char
    cdef size_t length = 0
    cdef int size
    if member.kind != JSON_STRING:
        return -1
    if not member.escaped:
        if <size_t>(end - at) > room:
            return -1
        memcpy(out, at, end - at)
        return end - at
    while at < end:
        size = unescaped_char(&at, char)
        if size < 0 or length + <size_t>size > room:
            return -1
        memcpy(out + length, char, size)
        length += <size_t>size
    return <int64_t>length


cdef object bytes_of_string(const char* data, const Member* member):
    cdef bytes text
    cdef int64_t length
    if member.kind != JSON_STRING:
        return None
    if not member.escaped:
        return PyBytes_FromStringAndSize(data + member.start + 1, member.end - member.start - 2)
    # Safety: unescaping never lengthens; the object is not shared before it is cut.
    text = PyBytes_FromStringAndSize(NULL, member.end - member.start - 2)
    length = string_into(PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text), data, member)
    return None if length < 0 else text[:length]


# Edits.

cdef Edit value_replaced(
    const Member* member, const char* text, uint32_t length
) noexcept nogil:
    return Edit(member.start, member.end - member.start, text, length)


cdef Edit member_swapped(
    const Member* member, const char* text, uint32_t length
) noexcept nogil:
    return Edit(member.key_start, member.end - member.key_start, text, length)


cdef Edit member_removed(const char* data, const Member* member) noexcept nogil:
    """A first member goes with the comma behind it, any other with the one before."""
    cdef uint32_t at = member.key_start - 1
    cdef uint32_t end = member.end
    # Safety: checked text has `{` or `,` before every key, with only white space between.
    while data[at] != c'{' and data[at] != c',':
        at -= 1
    if data[at] == c'{':
        at += 1
        end = member.member_end + (data[member.member_end] == c',')
    return Edit(at, end - at, NULL, 0)


cdef Edit member_inserted(
    const char* data, uint32_t object_start, const char* text, uint32_t length
) noexcept nogil:
    cdef uint32_t at = object_start + 1
    # Safety: a checked object has a quote or its bracket behind the white space.
    while data[at] != c'"' and data[at] != c'}':
        at += 1
    return Edit(object_start + 1, 0, text, length - (data[at] == c'}'))


cdef uint32_t object_at(const char* data) noexcept nogil:
    cdef uint32_t at = 0
    while data[at] != c'{':
        at += 1
    return at


cdef int64_t edited_length(size_t length, const Edit* edits, uint32_t count) noexcept nogil:
    cdef int64_t total = <int64_t>length
    cdef uint64_t free_from = 0         # the next edit may not begin before
    cdef uint64_t end
    cdef uint32_t n
    for n in range(count):
        end = <uint64_t>edits[n].at + edits[n].cut
        if edits[n].at < free_from or end > length:
            return EDIT_OVERLAP
        if n and edits[n].at == edits[n - 1].at:
            return EDIT_OVERLAP
        free_from = end
        total += <int64_t>edits[n].text_length - <int64_t>edits[n].cut
    return total


cdef void apply_edits_into(
    char* out, const char* data, size_t length, const Edit* edits, uint32_t count
) noexcept nogil:
    """Cost: copies each byte once."""
    cdef size_t at = 0
    cdef uint32_t n
    for n in range(count):
        memcpy(out, data + at, edits[n].at - at)
        out += edits[n].at - at
        if edits[n].text_length:
            memcpy(out, edits[n].text, edits[n].text_length)
        out += edits[n].text_length
        at = <size_t>edits[n].at + edits[n].cut
    memcpy(out, data + at, length - at)


cdef object edited(const char* data, size_t length, const Edit* edits, uint32_t count):
    cdef int64_t total = edited_length(length, edits, count)
    cdef bytes out
    if total < 0:
        return None
    out = PyBytes_FromStringAndSize(NULL, total)
    apply_edits_into(PyBytes_AS_STRING(out), data, length, edits, count)
    if FAST_DEBUG and PyBytes_GET_SIZE(out) != total:
        raise AssertionError("the edits changed the length they promised")
    return out


# The same from Python, for tests and the control plane: a member is the tuple
# (kind, start, end, key_start, member_end, count, escaped).

cdef tuple as_tuple(const Member* member):
    return (
        member.kind, member.start, member.end, member.key_start, member.member_end,
        member.count, bool(member.escaped),
    )


cdef Member as_member(bytes data, tuple fields) except *:
    cdef Member member
    (
        member.kind, member.start, member.end, member.key_start, member.member_end,
        member.count, member.escaped,
    ) = fields
    if not member.key_start <= member.start <= member.end <= <size_t>len(data):
        raise ValueError("the member lies outside the data")
    return member


def elements(bytes data, tuple array):
    """The members of an array member."""
    cdef Member whole = as_member(data, array)
    cdef Member element
    cdef uint32_t at = 0
    found = []
    while next_element(data, &whole, &at, &element):
        found.append(as_tuple(&element))
    return found


def read_integer(bytes data, tuple member):
    cdef Member read = as_member(data, member)
    return integer_of(data, &read)


def read_double(bytes data, tuple member):
    cdef Member read = as_member(data, member)
    return double_of(data, &read)


def read_string(bytes data, tuple member):
    cdef Member read = as_member(data, member)
    return bytes_of_string(data, &read)


def equals(bytes data, tuple member, bytes text):
    cdef Member read = as_member(data, member)
    return string_equals(data, &read, text, len(text))


def replaced(bytes data, tuple member, bytes text):
    """(at, cut, text): the edit that gives the member another value."""
    cdef Member read = as_member(data, member)
    return as_edit(value_replaced(&read, text, len(text)))


def swapped(bytes data, tuple member, bytes text):
    """(at, cut, text): the edit that puts the member `text` in this one's place."""
    cdef Member read = as_member(data, member)
    return as_edit(member_swapped(&read, text, len(text)))


def removed(bytes data, tuple member):
    """(at, cut, text): the edit that removes the member with its comma."""
    cdef Member read = as_member(data, member)
    return as_edit(member_removed(data, &read))


def inserted(bytes data, uint32_t object_start, bytes text):
    """(at, cut, text): the edit that makes `text` the object's first member."""
    return as_edit(member_inserted(data, object_start, text, len(text)))


cdef tuple as_edit(Edit edit):
    text = PyBytes_FromStringAndSize(edit.text, edit.text_length) if edit.text_length else b""
    return edit.at, edit.cut, text


def apply_edits(bytes data, edits):
    """data with each (at, cut, text) applied; ValueError when two of them overlap."""
    cdef Edit[64] compiled
    cdef uint32_t count = 0
    cdef bytes text
    ordered = sorted(edits)
    if len(ordered) > 64:
        raise ValueError("at most 64 edits")
    for at, cut, text in ordered:
        # Safety: `ordered` keeps each text alive until the edits are applied.
        compiled[count] = Edit(at, cut, PyBytes_AS_STRING(text), <uint32_t>len(text))
        count += 1
    out = edited(data, len(data), compiled, count)
    if out is None:
        raise ValueError("edits overlap or lie outside the data")
    return out
