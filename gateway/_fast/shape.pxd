# The members and marks that one pass over an object looks for.

from libc.stddef cimport size_t
from libc.stdint cimport uint32_t
from gateway._fast.scan cimport Member, Wanted

cdef class Shape:
    """Which members of an object are wanted, and which marks inside it."""

    cdef readonly tuple names           # bytes; members[i] belongs to names[i]
    cdef readonly tuple marks           # (key, value) bytes; bit i of `marks` belongs to marks[i]
    cdef Wanted wanted                  # Safety: its Texts point into `names` and `marks`

    # A Scan. members: room for len(names), all of it written. marks and error_at may be NULL.
    cdef int scan(
        self, const char* data, size_t length,
        Member* members, uint32_t* marks, uint32_t* error_at,
    ) noexcept nogil

    # The same for one object inside data; offsets stay offsets into data.
    cdef int scan_span(
        self, const char* data, uint32_t start, uint32_t end,
        Member* members, uint32_t* marks, uint32_t* error_at,
    ) noexcept nogil
