"""The pass over JSON that finds and checks; see scan.pxd.

Works with a stack of one byte a level; text inside strings is passed in blocks of 16 and
64 bytes, and so are short keys with their colon and whole numbers; whatever is not as
usual goes to a function that looks at each byte. Cost: about 0.7 ns a byte of small
members, 0.1 ns a byte of long text; never allocates. `shape` and `pointer` say what it
looks for. Grammar: RFC 8259, RFC 3629.
"""

from libc.stdint cimport UINT32_MAX
from libc.string cimport memchr, memcmp, memset
from gateway._fast.blocks cimport (
    __builtin_ctz, is_alike, is_plain64, nests16, plain16, plain_number_end, plain_number_end_in,
    plain_tail, quotes16, whole_number_end,
)
from gateway._fast.texts cimport escaped_spells, hex_of, spells

cdef enum:
    SHORT_MEMBER = 22                   # a space, a key of 16 bytes, quotes, colon, space, a value
    SHORT_TEXT = 18                     # a string of 16 bytes and its quotes; a number of 15

cdef uint8_t[256] KINDS                 # kind_of, for each byte
cdef uint32_t[32] NO_LENGTHS            # what a Wanted without names or marks has


cdef void fill_kinds() noexcept nogil:
    cdef int c
    for c in range(256):
        KINDS[c] = kind_of(<uint8_t>c)


fill_kinds()


cdef struct Walk:                       # one pass
    const uint8_t* base                 # offsets count from here; all up to `end` can be read
    const uint8_t* end
    const uint8_t* last                 # where SHORT_MEMBER bytes begin for the last time, or NULL
    const Wanted* wanted                # NULL: no names
    const uint32_t* mark_lengths        # of `wanted`
    const Text* name                    # or this one name
    int64_t index                       # or this element of an array; counts down
    Member* members                     # what was found of them
    Member* open                        # the wanted member whose value is being read
    uint32_t marks                      # seen
    uint32_t pending                    # marks whose key came just before …
    const uint8_t* pending_at           # … this value
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

cdef const uint8_t* plain_end(
    const uint8_t* at, const uint8_t* end, const uint8_t* base
) noexcept nogil:
    """The first byte that is not plain text. Safety: all from base to end can be read."""
    cdef uint32_t run
    while end - at >= 16:
        run = plain16(at)
        if run < 16:
            return at + run
        at += 16
        while end - at >= 64 and is_plain64(at):
            at += 64
    if end - base >= 16:
        return at + plain_tail(end, <uint32_t>(end - at))
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


cdef const uint8_t* unusual_end(Walk* walk, const uint8_t* at) noexcept nogil:
    """Behind the closing quote of the string that goes on at `at`, with no plain text."""
    while at != NULL:
        if at == walk.end:
            return fail(walk, SCAN_TRUNCATED, at)
        if at[0] == c'"':
            return at + 1
        if at[0] == c'\\':
            walk.escaped = True
            if walk.end - at > 1 and (at[1] == c'n' or at[1] == c'"'):
                at += 2                 # the two that text is full of
            else:
                at = escape_end(walk, at)
        elif at[0] >= 0x80:
            at = sequence_end(walk, at)
            while at != NULL and at < walk.end and at[0] >= 0x80:
                at = sequence_end(walk, at)
        else:
            return fail(walk, SCAN_MALFORMED, at)
        if at != NULL:
            at = plain_end(at, walk.end, walk.base)
    return NULL


cdef inline const uint8_t* string_end(Walk* walk, const uint8_t* at) noexcept nogil:
    """Behind the closing quote of the string whose text goes on at `at`; sets walk.escaped."""
    walk.escaped = False
    at = plain_end(at, walk.end, walk.base)
    return at + 1 if at < walk.end and at[0] == c'"' else unusual_end(walk, at)


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


cdef inline int short_place_of(
    const Wanted* wanted, const uint8_t* key, uint32_t length
) noexcept nogil:
    """The same of a key of at most 31 bytes without escapes."""
    cdef uint32_t candidates = wanted.by_length[length]
    cdef const Text* name
    while candidates:
        name = &wanted.names[__builtin_ctz(candidates)]
        if name.length == length and is_alike(key, <const uint8_t*>name.at, length):
            return __builtin_ctz(candidates)
        candidates &= candidates - 1
    return -1


cdef uint32_t marks_named(
    const Wanted* wanted, const uint8_t* key, const uint8_t* end, bint escaped
) noexcept nogil:
    """Marks whose key this is. Of those with one key the first alone stands in mark_lengths."""
    cdef uint32_t n, other, found = 0
    cdef uint32_t candidates = candidates_of(
        wanted.mark_lengths, <uint32_t>(end - key), escaped
    )
    while candidates:
        n = __builtin_ctz(candidates)
        candidates &= candidates - 1
        if n >= wanted.mark_count:
            break
        if is_named(key, end, escaped, &wanted.mark_keys[n]):
            for other in range(n, wanted.mark_count):
                if wanted.mark_keys[other].at == wanted.mark_keys[n].at:
                    found |= 1u << other
            if not escaped:
                break
    return found


cdef void await_marks(
    Walk* walk, const uint8_t* key, const uint8_t* end, bint escaped, const uint8_t* value
) noexcept nogil:
    walk.pending = marks_named(walk.wanted, key, end, escaped)
    walk.pending_at = value


cdef void match_marks(
    Walk* walk, const uint8_t* value, const uint8_t* end, bint escaped
) noexcept nogil:
    cdef const Wanted* wanted = walk.wanted
    cdef uint32_t pending = walk.pending
    cdef uint32_t n
    while pending:
        n = __builtin_ctz(pending)
        pending &= pending - 1
        if spells(value, end, escaped, wanted.mark_values[n].at, wanted.mark_values[n].length):
            walk.marks |= 1u << n


# The pass.

cdef inline void open_member(
    Walk* walk, Member* member, const uint8_t* key, const uint8_t* value
) noexcept nogil:
    """Safety: `value` is before the end."""
    walk.open = member
    member.key_start = <uint32_t>(key - walk.base)
    member.start = <uint32_t>(value - walk.base)
    member.kind = KINDS[value[0]]
    member.escaped = 0
    member.count += member.count < 255


cdef inline void close_member(
    Walk* walk, const uint8_t* end, const uint8_t* next
) noexcept nogil:
    walk.open.end = <uint32_t>(end - walk.base)
    walk.open.member_end = <uint32_t>(next - walk.base)
    walk.open = NULL


cdef inline void note_member(
    Walk* walk, const uint8_t* key, const uint8_t* end, const uint8_t* value, bint escaped
) noexcept nogil:
    """Opens the member if it is wanted; its key's text ends at `end`."""
    cdef int place
    if walk.name != NULL:
        if is_named(key + 1, end, escaped, walk.name):
            open_member(walk, walk.members, key, value)
    elif walk.wanted != NULL:
        place = place_of(walk.wanted, key + 1, end, escaped)
        if place >= 0:
            open_member(walk, &walk.members[place], key, value)


cdef const uint8_t* any_member_value(
    Walk* walk, const uint8_t* key, uint32_t depth
) noexcept nogil:
    """What member_value says, of any key."""
    cdef const uint8_t* at
    cdef const uint8_t* end
    cdef bint escaped
    key = skip_space(key, walk.end)
    if key >= walk.end or key[0] != c'"':
        return unexpected(walk, key)
    at = string_end(walk, key + 1)
    if at == NULL:
        return NULL
    escaped = walk.escaped
    end = at - 1
    at = skip_space(at, walk.end)
    if at >= walk.end or at[0] != c':':
        return unexpected(walk, at)
    at = skip_space(at + 1, walk.end)
    if at >= walk.end:
        return fail(walk, SCAN_TRUNCATED, at)
    if walk.wanted != NULL and (escaped or walk.mark_lengths[(end - key - 1) & 31]):
        await_marks(walk, key + 1, end, escaped, at)
    if depth == 1:
        note_member(walk, key, end, at, escaped)
    return at


cdef const uint8_t* last_key_end(const Walk* walk, const uint8_t** key) noexcept nogil:
    """Where a short key near the end of all ends, four bytes before that; or NULL: look closer."""
    cdef const uint8_t* at
    if walk.end - key[0] < 4 or walk.end - walk.base < 16:
        return NULL
    key[0] += key[0][0] == c' '
    at = key[0] + 1
    if walk.end - at >= 16:
        at += plain16(at)
    else:
        at += plain_tail(walk.end, <uint32_t>(walk.end - at))
    return at if walk.end - at >= 4 else NULL


cdef inline const uint8_t* member_value(
    Walk* walk, const uint8_t* key, uint32_t depth
) noexcept nogil:
    """Where the value of the member at `key`, or behind space there, begins, before the end.

    What space and keys mostly are like is read here, all else by any_member_value.
    """
    cdef const uint8_t* at
    cdef uint32_t length
    cdef int place
    if key <= walk.last:
        # Safety: SHORT_MEMBER bytes from `key` can be read.
        if key[0] != c'"':
            key += key[0] == c' '
        at = key + 1
        length = plain16(at)
        at += length
    else:
        at = last_key_end(walk, &key)
        if at == NULL:
            return any_member_value(walk, key, depth)
        length = <uint32_t>(at - key) - 1
    if key[0] != c'"' or memcmp(at, b'":', 2) != 0:
        return any_member_value(walk, key, depth)
    at += 2
    if at[0] <= 0x20:
        at += at[0] == c' '
        if at[0] <= 0x20:
            return any_member_value(walk, key, depth)
    if walk.mark_lengths[length]:
        await_marks(walk, key + 1, key + 1 + length, False, at)
    if depth == 1:
        if walk.wanted == NULL:
            note_member(walk, key, key + 1 + length, at, False)
        else:
            place = short_place_of(walk.wanted, key + 1, length)
            if place >= 0:
                open_member(walk, &walk.members[place], key, at)
    return at


cdef inline const uint8_t* text_value_end(
    Walk* walk, const uint8_t* quote, bint is_top
) noexcept nogil:
    """Behind the string that begins at `quote`."""
    cdef const uint8_t* at = quote + 1
    cdef bint escaped = False
    if quote <= walk.last:
        # Safety: SHORT_TEXT bytes from the quote can be read.
        at += plain16(at)
    elif at >= walk.end:
        return fail(walk, SCAN_TRUNCATED, at)
    if at[0] == c'"':
        at += 1
    else:
        at = string_end(walk, at)
        if at == NULL:
            return NULL
        escaped = walk.escaped
        if escaped and is_top and walk.open != NULL:
            walk.open.escaped = 1
    if walk.pending_at == quote:
        match_marks(walk, quote + 1, at - 1, escaped)
    return at


cdef inline bint may_be_number(uint8_t c) noexcept nogil:
    return <uint8_t>(c - c'-') <= c'9' - c'-'       # "-./0-9" in one comparison


cdef inline const uint8_t* last_digits_end(const uint8_t* at) noexcept nogil:
    """Behind a number of one to three digits that a bracket or comma ends, or NULL: look closer.

    Safety: four bytes from `at` can be read.
    """
    at += 1
    at += c'0' <= at[0] <= c'9'
    at += c'0' <= at[0] <= c'9'
    return at if at[0] == c',' or at[0] | 0x20 == c'}' else NULL


cdef const uint8_t* other_scalar_end(Walk* walk, const uint8_t* at) noexcept nogil:
    """Behind what is no string."""
    cdef const uint8_t* end
    if may_be_number(at[0]):
        end = plain_number_end_in(at, walk.end - at) if walk.end - at >= 17 else NULL
        return end if end != NULL else number_end(walk, at)
    return word_end(walk, at)


cdef inline const uint8_t* bare_member_end(Walk* walk, const uint8_t* at) noexcept nogil:
    """The same of a member's value, which mostly is a whole number or a word."""
    cdef const uint8_t* end = NULL
    if at <= walk.last:
        if c'0' <= at[0] <= c'9':
            end = whole_number_end(at)
        elif memcmp(at, b"null", 4) == 0 or memcmp(at, b"true", 4) == 0:
            end = at + 4
    elif walk.end - at >= 4 and c'1' <= at[0] <= c'9':
        end = last_digits_end(at)
    return end if end != NULL else other_scalar_end(walk, at)


cdef inline const uint8_t* bare_element_end(Walk* walk, const uint8_t* at) noexcept nogil:
    """The same of an array's element, which mostly is one number of many."""
    cdef const uint8_t* end = NULL
    if walk.end - at >= 32 and may_be_number(at[0]):
        end = plain_number_end(at)
    return end if end != NULL else other_scalar_end(walk, at)


cdef const uint8_t* walk_text(Walk* walk, const uint8_t* at) noexcept nogil:
    """The end of the text when all of it is one value; otherwise NULL and walk.fault."""
    cdef uint8_t[MAX_DEPTH] outer       # outer[d]: the bracket around level d
    cdef uint32_t depth = 0
    cdef uint8_t bracket = 0            # the one that closes the innermost container
    cdef const uint8_t* closed
    cdef const uint8_t* end = walk.end
    while True:
        if bracket == c'}':
            at = member_value(walk, at, depth)
            if at == NULL:
                return NULL
        else:
            at = skip_space(at, end)
            if at >= end:
                return fail(walk, SCAN_TRUNCATED, at)
            if walk.index >= 0 and depth == 1:
                if walk.index == 0:
                    open_member(walk, walk.members, at, at)
                walk.index -= 1
        # A value begins here.
        if at[0] == c'"':
            at = text_value_end(walk, at, depth == 1)
            if at == NULL:
                return NULL
        elif at[0] | 0x20 == c'{':      # or "[", which is 0x20 less
            if depth == MAX_DEPTH:
                return fail(walk, SCAN_TOO_DEEP, at)
            outer[depth] = bracket
            depth += 1
            bracket = at[0] + 2         # the one that closes it, in ASCII
            at = skip_space(at + 1, end)
            if at >= end or at[0] != bracket:
                continue
        else:
            at = bare_member_end(walk, at) if bracket == c'}' else bare_element_end(walk, at)
            if at == NULL:
                return NULL
        # A value ended here (or an empty container has its bracket here).
        while True:
            closed = at
            if at >= end or at[0] <= 0x20:
                at = skip_space(at, end)
                if at >= end:
                    return at if depth == 0 else fail(walk, SCAN_TRUNCATED, at)
            if depth <= 1:
                if depth == 0:
                    return fail(walk, SCAN_MALFORMED, at)
                if walk.open != NULL:
                    close_member(walk, closed, at)
            if at[0] == c',':
                at += 1
                break
            if at[0] != bracket:
                return fail(walk, SCAN_MALFORMED, at)
            at += 1
            depth -= 1
            bracket = outer[depth]


cdef void begin(
    Walk* walk, const char* data, uint32_t end, Member* members
) noexcept nogil:
    memset(walk, 0, sizeof(Walk))
    walk.base = <const uint8_t*>data
    walk.end = walk.base + end
    if end >= SHORT_MEMBER:
        walk.last = walk.end - SHORT_MEMBER
    walk.members = members
    walk.index = -1
    walk.mark_lengths = NO_LENGTHS


# What other modules call.

cdef int scan_object(
    const char* data, uint32_t start, uint32_t end, const Wanted* wanted,
    Member* members, uint32_t* marks, uint32_t* error_at,
) noexcept nogil:
    cdef Walk walk
    cdef const uint8_t* at
    begin(&walk, data, end, members)
    walk.wanted = wanted
    walk.mark_lengths = <const uint32_t*>wanted.mark_lengths
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
    memset(out, 0, sizeof(Member))
    open_member(&walk, out, at, at)
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


cdef inline const uint8_t* checked_value_end(
    const uint8_t* at, const uint8_t* end, bint* escaped
) noexcept nogil:
    """What value_end says, and whether a string holds a backslash."""
    cdef const uint8_t* behind
    if end - at < SHORT_TEXT:
        return text_end(at + 1, end, escaped) if at < end and at[0] == c'"' else value_end(at, end)
    # Safety: SHORT_TEXT bytes from `at` can be read.
    if at[0] == c'"':
        behind = at + 1 + plain16(at + 1)
        return behind + 1 if behind[0] == c'"' else text_end(behind, end, escaped)
    if c'0' <= at[0] <= c'9':
        behind = whole_number_end(at)
        return behind if behind != NULL else value_end(at, end)
    return at + 4 if memcmp(at, b"null", 4) == 0 else value_end(at, end)


cdef const uint8_t* look_again(
    const char* data, const uint8_t* at, const uint8_t* end, const Wanted* wanted, Member* members
) noexcept nogil:
    cdef const uint8_t* base = <const uint8_t*>data
    cdef const uint8_t* key
    cdef const uint8_t* value
    cdef const uint8_t* closed
    cdef Member* member
    cdef uint32_t length
    cdef bint escaped
    cdef int place
    memset(members, 0, wanted.count * sizeof(Member))
    at = skip_space(at, end)
    if at >= end or at[0] != c'{':
        return NULL
    at = skip_space(at + 1, end)
    while at < end and at[0] == c'"':
        key = at
        length = plain16(key + 1) if end - key >= SHORT_MEMBER else 16
        at = key + 1 + length
        escaped = False
        if length < 16 and memcmp(at, b'":', 2) == 0:
            place = short_place_of(wanted, key + 1, length)
            value = at + 2
        else:
            at = text_end(plain_end(key + 1, end, base), end, &escaped)
            place = place_of(wanted, key + 1, at - 1, escaped)
            value = skip_space(at, end) + 1
            escaped = False
        value = skip_space(value, end)
        closed = checked_value_end(value, end, &escaped)
        at = skip_space(closed, end)
        if place >= 0 and value < end:
            member = &members[place]
            member.key_start = <uint32_t>(key - base)
            member.start = <uint32_t>(value - base)
            member.end = <uint32_t>(closed - base)
            member.member_end = <uint32_t>(at - base)
            member.kind = KINDS[value[0]]
            member.escaped = escaped
            member.count += member.count < 255
        if at < end and at[0] == c',':
            at = skip_space(at + 1, end)
    return at + 1 if at < end else end


cdef const uint8_t* scalar_end_of(const uint8_t* at, const uint8_t* end) noexcept nogil:
    cdef Walk walk
    walk.base = at
    walk.end = end
    return string_end(&walk, at + 1) if at[0] == c'"' else bare_element_end(&walk, at)
