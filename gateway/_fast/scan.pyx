"""The pass over JSON that finds and checks; see scan.pxd.

Works with a stack of one byte a level; text inside strings is passed in blocks of 16 and
64 bytes. Cost: about 0.7 ns a byte of small members, 0.1 ns a byte of long text; never
allocates. `shape` and `pointer` say what it looks for. Grammar: RFC 8259, RFC 3629.
"""

from libc.stdint cimport UINT32_MAX
from libc.string cimport memchr, memcmp, memset
from gateway._fast.blocks cimport (
    __builtin_ctz, is_plain64, nests16, plain16, plain_number_end, quotes16,
)
from gateway._fast.texts cimport escaped_spells, hex_of, spells

cdef enum:
    SHORT_MEMBER = 20                   # a key of 15 bytes, its quotes, its colon, a space, a value

cdef uint8_t[256] KINDS                 # kind_of, for each byte


cdef void fill_kinds() noexcept nogil:
    cdef int c
    for c in range(256):
        KINDS[c] = kind_of(<uint8_t>c)


fill_kinds()


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

cdef inline uint32_t candidates_of(
    const uint32_t* by_length, uint32_t length, bint escaped
) noexcept nogil:
    """Bits of the names that may be meant: an escape hides the length."""
    return UINT32_MAX if escaped else by_length[length & 31]


cdef inline bint is_named(
    const uint8_t* key, const uint8_t* end, bint escaped, const Text* name
) noexcept nogil:
    """What `spells` says. Cost: most names of one length differ in their first byte already."""
    if escaped:
        return escaped_spells(key, end, name.at, name.length)
    # Safety: the quote behind the key can be read, and the NUL behind the name.
    return <size_t>(end - key) == name.length and (
        name.length == 0
        or key[0] == <uint8_t>name.at[0] and memcmp(key, name.at, name.length) == 0
    )


cdef inline int place_of(
    const Wanted* wanted, const uint8_t* key, const uint8_t* end, bint escaped
) noexcept nogil:
    """Which of the names it is; -1 none."""
    cdef uint32_t candidates, n
    candidates = candidates_of(wanted.by_length, <uint32_t>(end - key), escaped)
    while candidates:
        n = __builtin_ctz(candidates)
        candidates &= candidates - 1
        if n >= wanted.count:
            return -1
        if is_named(key, end, escaped, &wanted.names[n]):
            return <int>n
    return -1


cdef inline Member* wanted_member(
    Walk* walk, const uint8_t* key, const uint8_t* end
) noexcept nogil:
    cdef int place
    if walk.name != NULL:
        return walk.members if is_named(key, end, walk.escaped, walk.name) else NULL
    place = place_of(walk.wanted, key, end, walk.escaped)
    return NULL if place < 0 else &walk.members[place]


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
        if is_named(key, end, walk.escaped, &walk.wanted.mark_keys[n]):
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

cdef inline void open_member(
    Walk* walk, const uint8_t* key, const uint8_t* value
) noexcept nogil:
    cdef Member* member = walk.open
    member.key_start = <uint32_t>(key - walk.base)
    member.start = <uint32_t>(value - walk.base)
    member.kind = KINDS[value[0]] if value < walk.end else JSON_MISSING
    member.escaped = 0
    if member.count < 255:
        member.count += 1


cdef inline void close_member(
    Walk* walk, const uint8_t* end, const uint8_t* next
) noexcept nogil:
    walk.open.end = <uint32_t>(end - walk.base)
    walk.open.member_end = <uint32_t>(next - walk.base)
    walk.open = NULL


cdef inline const uint8_t* short_key_end(const uint8_t* key) noexcept nogil:
    """Where the text of a short key without escapes ends, its colon behind it; or NULL.

    Safety: 17 bytes from `key` can be read.
    """
    cdef uint32_t run = plain16(key)
    if run < 16 and key[run] == c'"' and key[run + 1] == c':':
        return key + run
    return NULL


cdef inline const uint8_t* member_value(
    Walk* walk, const uint8_t* at, bint is_top
) noexcept nogil:
    """Where the value of the member at `at` begins."""
    cdef const uint8_t* key = at
    cdef const uint8_t* end = NULL
    if walk.end - at >= SHORT_MEMBER and at[0] == c'"':
        end = short_key_end(key + 1)
    if end != NULL:
        # Safety: SHORT_MEMBER bytes from `key` can be read.
        walk.escaped = False
        at = end + 2
        if at[0] == c' ':
            at += 1
        if at[0] <= 0x20:
            at = skip_space(at, walk.end)
    else:
        if at >= walk.end or at[0] != c'"':
            return unexpected(walk, at)
        at = string_end(walk, at + 1)
        if at == NULL:
            return NULL
        end = at - 1
        at = skip_space(at, walk.end)
        if at >= walk.end or at[0] != c':':
            return unexpected(walk, at)
        at = skip_space(at + 1, walk.end)
    if walk.wanted != NULL and walk.wanted.mark_count:
        walk.pending = marks_named(walk, key + 1, end)
    if is_top and walk.members != NULL:
        walk.open = wanted_member(walk, key + 1, end)
        if walk.open != NULL:
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
    cdef const uint8_t* closed
    cdef const uint8_t* end = walk.end
    at = skip_space(at, end)
    while True:
        if in_object:
            at = member_value(walk, at, depth == 1)
            if at == NULL:
                return NULL
        # A value begins here.
        if at >= end:
            return fail(walk, SCAN_TRUNCATED, at)
        if walk.index >= 0 and depth == 1 and not in_object:
            count_element(walk, at)
        if at[0] == c'{' or at[0] == c'[':
            if depth == MAX_DEPTH:
                return fail(walk, SCAN_TOO_DEEP, at)
            outer[depth] = in_object
            depth += 1
            in_object = at[0] == c'{'
            bracket = at[0] + 2         # the one that closes it, in ASCII
            walk.pending = 0
            at = skip_space(at + 1, end)
            if at >= end or at[0] != bracket:
                continue
        else:
            at = scalar_end(walk, at)
            if at == NULL:
                return NULL
            if walk.escaped and walk.open != NULL and depth == 1:
                walk.open.escaped = walk.open.kind == JSON_STRING
        # A value ended here (or an empty container has its bracket here).
        while True:
            closed = at
            at = skip_space(at, end)
            if depth <= 1:
                if depth == 0:
                    return at if at == end else fail(walk, SCAN_MALFORMED, at)
                if walk.open != NULL:
                    close_member(walk, closed, at)
            if at >= end:
                return fail(walk, SCAN_TRUNCATED, at)
            if at[0] == c',':
                at = skip_space(at + 1, end)
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


# What other modules call.

cdef int scan_object(
    const char* data, uint32_t start, uint32_t end, const Wanted* wanted,
    Member* members, uint32_t* marks, uint32_t* error_at,
) noexcept nogil:
    cdef Walk walk
    cdef const uint8_t* at
    begin(&walk, data, end, members)
    walk.wanted = wanted
    memset(members, 0, wanted.count * sizeof(Member))
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


cdef int scan_step(
    const char* data, uint32_t start, uint32_t end, const Text* name, int64_t index, Member* out
) noexcept nogil:
    cdef Walk walk
    begin(&walk, data, end, out)
    walk.name = name
    walk.index = index
    memset(out, 0, sizeof(Member))
    if walk_text(&walk, walk.base + start) == NULL:
        memset(out, 0, sizeof(Member))
    return walk.fault


cdef int scan_value(
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


# In checked text, where only quotes and brackets need a look.

cdef inline const uint8_t* text_end(
    const uint8_t* at, const uint8_t* end, bint* escaped
) noexcept nogil:
    """Behind the closing quote of the string whose text begins at `at`."""
    cdef uint32_t bits
    escaped[0] = False
    while at < end:
        if end - at >= 16:
            bits = quotes16(at)
            if bits == 0:
                at += 16
                continue
            at += __builtin_ctz(bits)
        if at[0] == c'"':
            return at + 1
        if at[0] == c'\\':
            escaped[0] = True
            at += 1                     # what it escapes is no end
        at += 1
    return end


cdef const uint8_t* container_end(const uint8_t* at, const uint8_t* end) noexcept nogil:
    """Behind the bracket that closes the container whose first value begins at `at`."""
    cdef uint32_t bits, depth = 1
    cdef bint escaped
    while at < end:
        if end - at >= 16:
            bits = nests16(at)
            if bits == 0:
                at += 16
                continue
            at += __builtin_ctz(bits)
        if at[0] == c'"':
            at = text_end(at + 1, end, &escaped)
            continue
        if at[0] == c'{' or at[0] == c'[':
            depth += 1
        elif at[0] == c'}' or at[0] == c']':
            depth -= 1
        at += 1
        if depth == 0:
            return at
    return end


cdef const uint8_t* value_end(const uint8_t* at, const uint8_t* end) noexcept nogil:
    cdef bint escaped
    if at >= end:
        return at
    if at[0] == c'"':
        return text_end(at + 1, end, &escaped)
    if at[0] == c'{' or at[0] == c'[':
        return container_end(at + 1, end)
    at = scalar_end_of(at, end)
    return at if at != NULL else end


cdef const uint8_t* look_again(
    const char* data, const uint8_t* at, const uint8_t* end, const Wanted* wanted, Member* members
) noexcept nogil:
    cdef const uint8_t* base = <const uint8_t*>data
    cdef const uint8_t* key
    cdef const uint8_t* value
    cdef Member* member
    cdef bint escaped = False
    cdef int place
    memset(members, 0, wanted.count * sizeof(Member))
    at = skip_space(at, end)
    if at >= end or at[0] != c'{':
        return NULL
    at = skip_space(at + 1, end)
    while at < end and at[0] == c'"':
        key = at
        at = text_end(at + 1, end, &escaped)
        place = place_of(wanted, key + 1, at - 1, escaped)
        value = skip_space(skip_space(at, end) + 1, end)
        escaped = False
        if value < end and value[0] == c'"':
            at = text_end(value + 1, end, &escaped)
        else:
            at = value_end(value, end)
        if place >= 0 and value < end:
            member = &members[place]
            member.key_start = <uint32_t>(key - base)
            member.start = <uint32_t>(value - base)
            member.end = <uint32_t>(at - base)
            member.member_end = <uint32_t>(skip_space(at, end) - base)
            member.kind = KINDS[value[0]]
            member.escaped = escaped
            member.count += member.count < 255
        at = skip_space(at, end)
        if at < end and at[0] == c',':
            at = skip_space(at + 1, end)
    return at + 1 if at < end else end


cdef const uint8_t* scalar_end_of(const uint8_t* at, const uint8_t* end) noexcept nogil:
    cdef Walk walk
    walk.end = end
    walk.pending = 0
    return scalar_end(&walk, at)
