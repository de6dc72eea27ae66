# Partial JSON: find, cut and replace a member without re-encoding.
#
# One strict pass over RFC 8259 text: no recursion, no allocation, no copy. It notes
# where the wanted members lie; everything between them is checked and skipped.
#
# Rule 1: a text is accepted exactly when all of it is one JSON value in valid UTF-8,
#         nested at most MAX_DEPTH deep. Nothing behind the value but white space.
# Rule 2: names are compared after unescaping, so "mode\u006c" is "model".
# Rule 3: of a name given twice the last span is kept and `count` says so; the
#         caller refuses (upstreams disagree about which one counts).
# Rule 4: no byte at or behind `length` is read; no NUL is needed.
# Rule 5: a Member is only good for the very bytes that were scanned successfully.
# Lone surrogate escapes ("\ud800") are grammatical and accepted; they have no
# UTF-8 form, so such a string equals nothing and reads as absent.

from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

cdef enum:
    MAX_NAMES = 32                      # wanted members of one object
    MAX_MARKS = 16                      # (key, value) pairs looked for at any depth
    MAX_DEPTH = 128                     # objects and arrays around a value
    MAX_TOKENS = 16                     # of a JSON pointer

cdef enum Scan:                         # what scan() and find() return
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

cdef struct Text:                       # borrowed bytes
    const char* at
    uint32_t length

cdef struct Wanted:                     # what one pass looks for
    uint32_t by_length[32]              # bit n: names[n] has this length modulo 32
    uint32_t mark_lengths[32]           # the same for mark_keys
    Text names[MAX_NAMES]
    Text mark_keys[MAX_MARKS]
    Text mark_values[MAX_MARKS]
    uint32_t count                      # of names
    uint32_t mark_count

cdef struct Edit:                       # replace `cut` bytes at `at` by the text
    uint32_t at
    uint32_t cut
    const char* text                    # borrowed until the edit is applied
    uint32_t text_length


cdef class Shape:
    """Which members of an object are wanted, and which marks inside it."""

    cdef readonly tuple names           # bytes; members[i] belongs to names[i]
    cdef readonly tuple marks           # (key, value) bytes; bit i of `marks` belongs to marks[i]
    cdef Wanted wanted                  # Safety: its Texts point into `names` and `marks`

    # members: room for len(names), all of it written. marks and error_at may be NULL.
    cdef int scan(
        self, const char* data, size_t length,
        Member* members, uint32_t* marks, uint32_t* error_at,
    ) noexcept nogil

    # The same for one object inside data; offsets stay offsets into data.
    cdef int scan_span(
        self, const char* data, uint32_t start, uint32_t end,
        Member* members, uint32_t* marks, uint32_t* error_at,
    ) noexcept nogil


cdef class Pointer:
    """A compiled RFC 6901 pointer; the empty one is the whole value."""

    cdef readonly str text
    cdef tuple tokens                   # unescaped bytes
    cdef uint32_t count                 # of tokens
    cdef Text[MAX_TOKENS] steps         # Safety: they point into `tokens`
    cdef int64_t[MAX_TOKENS] indexes    # token i as an array index, or -1

    # Checks all of data. SCAN_OK with out.kind == JSON_MISSING: well-formed, not there.
    cdef int find(self, const char* data, size_t length, Member* out) noexcept nogil

    # The same, from a value inside data; offsets stay offsets into data.
    cdef int find_span(
        self, const char* data, uint32_t start, uint32_t end, Member* out
    ) noexcept nogil


# Elements of an ARRAY member, one a call: *at = 0 at first; 0 when there are no more.
cdef bint next_element(
    const char* data, const Member* array, uint32_t* at, Member* out
) noexcept nogil

# Values. -1: not digits alone, or over 18 of them.
cdef int64_t integer_of(const char* data, const Member* member) noexcept nogil
# NaN: not a number, or over 127 bytes of it.
cdef double double_of(const char* data, const Member* member) noexcept nogil
cdef bint string_equals(
    const char* data, const Member* member, const char* text, size_t length
) noexcept nogil
# Unescaped UTF-8 into out; its length, or -1: not a string, lone surrogate, over room.
cdef int64_t string_into(
    char* out, size_t room, const char* data, const Member* member
) noexcept nogil
cdef object bytes_of_string(const char* data, const Member* member)     # bytes; None as above

cdef inline bint is_true(const Member* member) noexcept nogil:
    return member.kind == JSON_TRUE

cdef inline bint is_given(const Member* member) noexcept nogil:
    """There, and not null."""
    return member.kind > JSON_NULL


# Edits. Each makes one Edit; apply them together, sorted by `at`.
# Rule: edits that overlap or begin at the same byte are refused (EDIT_OVERLAP), never
# merged. So of one object the first and the second member cannot be removed at once, nor
# the first be removed or swapped while another is inserted before it: swap it for both.
cdef enum:
    EDIT_OVERLAP = -1

cdef Edit value_replaced(
    const Member* member, const char* text, uint32_t length
) noexcept nogil
# text: another `"k":v`.
cdef Edit member_swapped(
    const Member* member, const char* text, uint32_t length
) noexcept nogil
# With its comma.
cdef Edit member_removed(const char* data, const Member* member) noexcept nogil
# text: `"k":v,` with its comma, which is left away when the object is empty.
# object_start: where its `{` is: Member.start, or object_at() of a whole body.
cdef Edit member_inserted(
    const char* data, uint32_t object_start, const char* text, uint32_t length
) noexcept nogil
cdef uint32_t object_at(const char* data) noexcept nogil        # the `{` of a scanned body

# Length after the edits, or EDIT_OVERLAP (also: out of order, out of range).
cdef int64_t edited_length(size_t length, const Edit* edits, uint32_t count) noexcept nogil
# Safety: out has room for edited_length() bytes, which was not negative.
cdef void apply_edits_into(
    char* out, const char* data, size_t length, const Edit* edits, uint32_t count
) noexcept nogil
# New bytes, or None on overlap.
cdef object edited(const char* data, size_t length, const Edit* edits, uint32_t count)
