# The values of scanned members: integers, numbers, strings, the elements of an array.

from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint32_t
from gateway._fast.scan cimport Member

# Elements of an array member, one a call: *at = 0 at first; 0 when there are no more.
cdef bint next_element(
    const char* data, const Member* array, uint32_t* at, Member* out
) noexcept nogil

# -1: not digits alone, or over 18 of them.
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


# For the doors.

cdef tuple as_tuple(const Member* member)
cdef Member as_member(bytes data, tuple fields) except *

cdef class Exact:
    """The bytes as a door passes them on: in debug builds a copy with nothing behind it.

    Why: a bytes object has a NUL behind its end, which would hide a read too far from
    AddressSanitizer.
    """

    cdef char* at                       # Safety: into `kept` or `copy`, which outlive it
    cdef char* copy
    cdef bytes kept
