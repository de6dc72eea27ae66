# Text of JSON strings: its escapes undone, its spelling compared (RFC 8259, section 7).
#
# Rule: what is read here was checked by a scan. Lone surrogate escapes ("\ud800") are
# grammatical; they have no UTF-8 form, so such text equals nothing and reads as absent.

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcmp

cdef struct Text:                       # borrowed bytes
    const char* at
    uint32_t length

# Safety: the caller keeps `kept` alive for as long as the Text is used.
cdef Text text_of(bytes kept) noexcept
# The UTF-8 of each name that is a str, the others as they are.
cdef tuple as_bytes(object names)

cdef inline int hex_of(uint8_t c) noexcept nogil:
    """The value of a hexadecimal digit, or -1."""
    if c'0' <= c <= c'9':
        return c - c'0'
    c |= 0x20
    return c - c'a' + 10 if c'a' <= c <= c'f' else -1

# The bytes of the character at at[0], which then moves behind it: their number, or -1 for
# a lone surrogate. Safety: out has room for 4.
cdef int unescaped_char(const uint8_t** at, uint8_t* out) noexcept nogil

cdef bint escaped_spells(
    const uint8_t* at, const uint8_t* end, const char* text, size_t length
) noexcept nogil

cdef inline bint spells(
    const uint8_t* at, const uint8_t* end, bint escaped, const char* text, size_t length
) noexcept nogil:
    """Whether string text, unescaped, is `text`."""
    if escaped:
        return escaped_spells(at, end, text, length)
    return <size_t>(end - at) == length and memcmp(at, text, length) == 0
