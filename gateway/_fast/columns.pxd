# Lines of the prediction log as columns: a number, a word or a span of each line's members,
# and of the rows of its features and predictions (`rows`). One scan checks a line; what is
# wanted of it is then read out of the checked text, with no Python object a line.
#
# Rule 1: a line is taken whole or not at all; what is malformed is said, with its span.
# Rule 2: reading stops before the line whose rows have no room left; of one that brings more
#         than all the room, the first rows are taken, and the others are counted.
# Cost: about 1 ns a byte, and 1 ns a digit of the numbers that are wanted.

from libc.stdint cimport int32_t, uint8_t, uint32_t
from gateway._fast.cells cimport Cells
from gateway._fast.scan cimport Member, Wanted

cdef enum:
    MAX_PLACES = 48                     # columns of lines
    MAX_ROWS = 4                        # members that have rows

cdef struct Place:                      # of one column of lines
    int32_t name                        # index of the member of the line
    int32_t reading
    bint is_whole                       # the member itself, nothing inside it

cdef class Columns:
    """What is wanted of lines; and of one read, where it goes."""

    cdef readonly tuple places          # (pointer, reading) of each line column
    cdef readonly tuple rows            # of Rows
    cdef tuple kept                     # Safety: bytes that Texts point into
    cdef list inner                     # by place: Pointer into the member
    cdef Wanted wanted
    cdef Place[MAX_PLACES] placed
    cdef int32_t[MAX_ROWS] with_rows    # indexes of the line's members that have them
    # one read
    cdef Cells lines
    cdef const uint8_t* base

    cdef int read_line(self, uint32_t start, uint32_t end, Py_ssize_t line) except -2
    cdef bint have_room(self) noexcept
    cdef int forget(self, Py_ssize_t line) except -1
    cdef int read_place(self, Py_ssize_t n, Member* members, Py_ssize_t line) except -1
