# One strict pass over JSON text: no recursion, no allocation, no copy. It notes where the
# wanted members lie; everything between them is checked and skipped.
#
# Rule 1: a text is accepted exactly when all of it is one JSON value in valid UTF-8,
#         nested at most MAX_DEPTH deep. Nothing behind the value but white space.
# Rule 2: names are compared after unescaping, so "mode\u006c" is "model".
# Rule 3: of a name given twice the last span is kept and `count` says so; the
#         caller refuses (upstreams disagree about which one counts).
# Rule 4: no byte at or behind the end is read; no NUL is needed.
# Rule 5: a Member is only good for the very bytes that were scanned successfully.

from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.string cimport memchr
from gateway._fast.texts cimport Text

cdef enum:
    MAX_NAMES = 32                      # wanted members of one object
    MAX_MARKS = 16                      # (key, value) pairs looked for at any depth
    MAX_DEPTH = 128                     # objects and arrays around a value

cdef enum Scan:                         # how a pass ends
    SCAN_OK = 0
    SCAN_NOT_OBJECT = -1                # the value begins, but not with `{`
    SCAN_MALFORMED = -2                 # breaks the grammar at error_at, or trails the value
    SCAN_TOO_DEEP = -3
    SCAN_TRUNCATED = -4                 # right so far; ends before the value does
    SCAN_TOO_LONG = -5                  # 4 GiB or more

cdef enum Json:                         # Member.kind
    JSON_MISSING = 0
    JSON_NULL = 1
    JSON_FALSE = 2
    JSON_TRUE = 3
    JSON_NUMBER = 4
    JSON_STRING = 5
    JSON_ARRAY = 6
    JSON_OBJECT = 7

cdef struct Member:                     # offsets into the scanned bytes
    uint32_t start                      # the value, quotes and brackets included …
    uint32_t end                        # … up to here
    uint32_t key_start                  # the key's opening quote; == start in an array
    uint32_t member_end                 # the `,` `}` or `]` behind the value
    uint8_t kind                        # Json
    uint8_t count                       # times the name was given, at most 255
    uint8_t escaped                     # the string value holds a backslash

cdef struct Wanted:                     # what one pass looks for
    uint32_t by_length[32]              # bit n: names[n] has this length modulo 32
    uint32_t mark_lengths[32]           # the same for mark_keys, of those alike only the first
    Text names[MAX_NAMES]
    Text mark_keys[MAX_MARKS]           # those alike are at the same place
    Text mark_values[MAX_MARKS]
    uint32_t count                      # of names
    uint32_t mark_count


# Passes over data[start:end]; offsets stay offsets into data. Each returns a Scan.
#
# One object. members: room for wanted.count, all of it written. marks (bits of those that
# were seen) and error_at may be NULL.
cdef int scan_object(
    const char* data, uint32_t start, uint32_t end, const Wanted* wanted,
    Member* members, uint32_t* marks, uint32_t* error_at,
) noexcept nogil
# One value: its member `name`, or, of an array, the element `index` where that is not
# negative. SCAN_OK with out.kind == JSON_MISSING: well-formed, not there.
cdef int scan_step(
    const char* data, uint32_t start, uint32_t end, const Text* name, int64_t index, Member* out
) noexcept nogil
# One value, which is the whole of it.
cdef int scan_value(const char* data, uint32_t start, uint32_t end, Member* out) noexcept nogil

# Behind the string, number or word at `at`, which is before `end`; or NULL: there is none.
cdef const uint8_t* scalar_end_of(const uint8_t* at, const uint8_t* end) noexcept nogil

# In checked text.
cdef const uint8_t* value_end(const uint8_t* at, const uint8_t* end) noexcept nogil     # behind it
# What scan_object finds of an object in data (but for marks), the text of which was checked
# before. Behind it, or NULL: no object begins at `at`.
cdef const uint8_t* look_again(
    const char* data, const uint8_t* at, const uint8_t* end, const Wanted* wanted, Member* members
) noexcept nogil

cdef inline const uint8_t* skip_space(const uint8_t* at, const uint8_t* end) noexcept nogil:
    while at < end and at[0] <= 0x20 and (
        at[0] == c' ' or at[0] == c'\n' or at[0] == c'\r' or at[0] == c'\t'
    ):
        at += 1
    return at

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

cdef inline bint is_true(const Member* member) noexcept nogil:
    return member.kind == JSON_TRUE

cdef inline bint is_given(const Member* member) noexcept nogil:
    """There, and not null."""
    return member.kind > JSON_NULL

cdef inline bint has_backslash(const char* data, const Member* member) noexcept nogil:
    return member.kind == JSON_STRING and memchr(
        data + member.start, c'\\', member.end - member.start
    ) != NULL
