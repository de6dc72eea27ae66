"""Text of JSON strings: its escapes undone, its spelling compared; see texts.pxd.

Cost: one character a step where there is an escape, one memcmp where there is none.
Knows nothing of members; `scan` compares names with it, `members` reads values.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.string cimport memchr


cdef int unescaped_char(const uint8_t** at, uint8_t* out) noexcept nogil:
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


cdef bint escaped_spells(
    const uint8_t* at, const uint8_t* end, const char* text, size_t length
) noexcept nogil:
    cdef uint8_t[4] char
    cdef int size
    while at < end:
        size = unescaped_char(&at, char)
        if size < 0 or <size_t>size > length or memcmp(char, text, size) != 0:
            return False
        text += size
        length -= <size_t>size
    return length == 0


cdef tuple as_bytes(object names):
    return tuple([name.encode() if isinstance(name, str) else bytes(name) for name in names])


cdef Text text_of(bytes kept) noexcept:
    cdef Text text
    text.at = PyBytes_AS_STRING(kept)
    text.length = <uint32_t>PyBytes_GET_SIZE(kept)
    return text
