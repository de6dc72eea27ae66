"""Which members of an object are wanted; see shape.pxd.

Cost: that of one scan. Protocol operations and stream events have theirs, compiled once.
"""

import cython

from libc.stdint cimport UINT32_MAX, uint8_t
from gateway._fast.members cimport Exact, as_tuple
from gateway._fast.scan cimport (
    MAX_MARKS, MAX_NAMES, SCAN_OK, SCAN_TOO_LONG, look_again, scan_object,
)
from gateway._fast.texts cimport as_bytes, text_of


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
        first = {}                      # of the marks with one key
        for n in range(len(self.marks)):
            place = first.setdefault(self.marks[n][0], n)
            self.wanted.mark_keys[n] = text_of(self.marks[place][0])
            self.wanted.mark_values[n] = text_of(self.marks[n][1])
            if place == n:
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
        return scan_object(data, start, end, &self.wanted, members, marks, error_at)

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

    def look_again(self, bytes data, start=0, end=None):
        """(where the object ends, members): what scan.look_again says of checked data[start:end]."""
        cdef Member[MAX_NAMES] members
        cdef uint32_t n
        cdef uint32_t stop = len(data) if end is None else end
        cdef Exact exact = Exact(data[:stop])
        cdef const uint8_t* base = <const uint8_t*>exact.at
        cdef const uint8_t* behind
        if self.scan_span(exact.at, start, stop, members, NULL, NULL) != SCAN_OK:
            raise ValueError("this is no checked text")
        behind = look_again(exact.at, base + <uint32_t>start, base + stop, &self.wanted, members)
        found = tuple([as_tuple(&members[n]) for n in range(self.wanted.count)])
        return behind - base, found
