# Lines of the prediction log as columns: a number, a word or a span of each line's members,
# and of the rows of its features and predictions (`rows`). One scan checks a line; what is
# wanted of it is then read out of the checked text, with no Python object a line.
#
# Rule 1: a line is taken whole or not at all; what is malformed is said, with its span.
# Rule 2: reading stops before the line whose rows have no room left; of one that brings more
#         than all the room, the first rows are taken, and the others are counted.
# Rule 3: a line that is like one before it (`skeleton`) is compared with that, not scanned; what
#         is read of it is the same.
# Cost: 0.5 ns a byte of lines that are alike, about 1 ns of others, and 1 ns a digit of the
#       numbers that are wanted.

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from gateway._fast.cells cimport Cells, Uses
from gateway._fast.scan cimport Member, Wanted
from gateway._fast.skeleton cimport MAX_ENDINGS, MAX_SCALARS, Skeletons, Span

cdef enum:
    MAX_PLACES = 48                     # columns of lines
    MAX_ROWS = 4                        # members that have rows
    OF_LINES = 255                      # Cells.part of the lines themselves
    MAX_READS = 8192                    # values of all lines that were learned
    MOST_LESSONS = 64                   # lines that may be learned in a row …
    LINES_A_LESSON = 32                 # … and how many there are for one more
    WARY = 16                           # lines in a row that were like no other: then most …
    WARY_OF = 16                        # … are not compared, but one of so many

cdef struct Place:                      # of one column of lines
    int32_t name                        # index of the member of the line
    int32_t reading
    bint is_whole                       # the member itself, nothing inside it

cdef struct Read:                       # a scalar of a line that was learned, and its cell
    int32_t column
    int32_t row
    uint16_t scalar
    uint8_t part
    uint8_t is_bare

cdef struct Ending:                     # what a line that was learned brings
    int32_t first                       # of its Reads …
    int32_t count                       # … and how many
    int32_t scalars
    int32_t[MAX_ROWS] rows
    int32_t[MAX_ROWS] unknown
    int32_t[MAX_ROWS] shapeless
    bint has_unknown
    uint64_t seen                       # the read in which it told the names of what is unknown

cdef class Columns:
    """What is wanted of lines; and of one read, where it goes."""

    cdef readonly tuple places          # (pointer, reading) of each line column
    cdef readonly tuple rows            # of Rows
    cdef tuple kept                     # Safety: bytes that Texts point into
    cdef list inner                     # by place: Pointer into the member
    cdef Wanted wanted
    cdef Place[MAX_PLACES] placed
    cdef int32_t[MAX_ROWS] with_rows    # indexes of the line's members that have them
    # lines that are alike
    cdef Skeletons skeletons
    cdef Ending[MAX_ENDINGS] ended
    cdef Read* reads
    cdef int32_t read_count
    cdef Uses uses
    cdef Span[MAX_SCALARS + 1] spans
    cdef int lessons                    # lines that may be learned now …
    cdef int until_lesson               # … and lines until there is one more
    cdef int wary                       # lines in a row that were like no other
    cdef uint64_t reading               # the number of this read
    cdef readonly int64_t compared      # lines, since the beginning
    # one read
    cdef Cells lines
    cdef const uint8_t* base

    cdef int read_like(self, uint32_t start, uint32_t end, Py_ssize_t line) noexcept
    cdef bint may_compare(self) noexcept
    cdef bint may_learn(self) noexcept
    cdef void note(self, Uses* uses) noexcept
    cdef void learn(self, uint32_t start, uint32_t end) noexcept
    cdef int read_line(
        self, uint32_t start, uint32_t limit, Py_ssize_t line, uint32_t* end
    ) except -2
    cdef void keep(self, Ending* ending, int count) noexcept
    cdef int scan_line(self, uint32_t start, uint32_t end, Py_ssize_t line) except -2
    cdef bint have_room(self) noexcept
    cdef int forget(self, Py_ssize_t line) except -1
    cdef int read_place(self, Py_ssize_t n, Member* members, Py_ssize_t line) except -1
