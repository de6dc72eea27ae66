"""The values of JSON members; see members.pxd.

Cost: an integer is read in one loop, a string without escapes by one memcpy or memcmp.
Knows nothing of names; whoever scanned calls it.
"""

import cython

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from libc.math cimport NAN
from libc.stdint cimport uint8_t
from libc.stdlib cimport strtod
from libc.string cimport memcpy, memset
from gateway._fast.debug cimport FAST_DEBUG
from gateway._fast.scan cimport (
    JSON_ARRAY, JSON_NUMBER, JSON_STRING, has_backslash, kind_of, skip_space, value_end,
)
from gateway._fast.texts cimport spells, unescaped_char


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


# From Python, for tests and the control plane: a member is the tuple
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


@cython.final
cdef class Exact:

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
