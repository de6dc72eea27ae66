# The rows of one member of each line, its features or its predictions, as columns.
#
# A member brings as many rows as it has predictions in it: none; one (an object by name, or
# values in an array by place); or many (KServe's tensors; objects or arrays in an array).
# What a model answers may also be bare: `0.7` is one row, and `[0.7, 0.2]` two; their column's
# name is empty (`is_bare`).
#
# Names: `x` of a member, `x.0`, `x.1` of the array or tensor x, `x.y` of an object in an
# object; `0`, `1` of arrays without names.
#
# Rule 1: a row that there is no room for is counted, not written; the reader decides.
# Rule 2: names are compared as they are written; one with escapes is another.
# Rule 3: an array of another length than its columns is of another type, as a whole.

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from gateway._fast.cells cimport Cells
from gateway._fast.scan cimport Member
from gateway._fast.texts cimport Text

cdef enum:
    MAX_COLUMNS = 8192
    MAX_POSITIONS = 8192                # of arrays without names
    MAX_STRANGERS = 16                  # names that nobody wanted, kept of one read
    NAME_BYTES = 512                    # of the name of a column inside objects

cdef struct Field:                      # of one name
    Text name
    int32_t first                       # its first column …
    int32_t width                       # … and how many it has; 0: an object with columns in it

cdef class Rows:
    """What is wanted of the rows; and of one read, where it goes."""

    cdef readonly str member            # of the line
    cdef readonly tuple columns         # (name, reading)
    cdef tuple kept                     # Safety: bytes that Texts point into
    cdef Field* table                   # columns, and the tensors and objects they are of
    cdef Py_ssize_t table_count
    cdef int32_t* slots                 # index into table + 1; 0 empty
    cdef uint64_t slot_count            # 2^n, more than twice the table
    cdef int32_t* at_position           # column of the position, or -1
    cdef Py_ssize_t positions
    cdef int32_t* readings              # by column
    cdef int32_t bare                   # column of bare values, or -1 …
    cdef bint is_bare                   # … which are rows
    # one read
    cdef Cells cells
    cdef int32_t* lines                 # of which line a row is
    cdef const uint8_t* base
    cdef Py_ssize_t taken               # rows, of the lines before this one
    cdef Py_ssize_t count               # of this line
    cdef Py_ssize_t guess               # where the next name probably is
    cdef int64_t skipped                # rows that no room was for
    cdef int64_t unknown                # values that nobody wanted …
    cdef int64_t unknown_before         # … up to the line before
    cdef int64_t shapeless              # lines whose member has no rows …
    cdef int64_t shapeless_before       # … likewise
    cdef uint32_t[2 * MAX_STRANGERS] strangers
    cdef int stranger_count

    cdef int allocate(self, Py_ssize_t names, Py_ssize_t positions) except -1
    cdef int add_field(self, bytes name, int32_t first, int32_t width) except -1
    cdef list begin(self, const uint8_t* base, arrays, int32_t[::1] lines)
    cdef void read(self, const Member* member) noexcept
    cdef bint has_room(self) noexcept
    cdef void take(self, Py_ssize_t line) noexcept
    cdef void forget(self) noexcept
    cdef tuple said(self)
    cdef const uint8_t* read_object(self, const uint8_t* at, const uint8_t* end) noexcept
    cdef const uint8_t* read_member(
        self, const Field* field, Py_ssize_t row, const uint8_t* at, const uint8_t* end
    ) noexcept
    cdef const uint8_t* read_inner(
        self, const Field* outer, Py_ssize_t row, const uint8_t* at, const uint8_t* end
    ) noexcept
    cdef const uint8_t* read_elements(
        self, const Field* field, Py_ssize_t row, const uint8_t* at, const uint8_t* end
    ) noexcept
    cdef void read_tensors(self, const uint8_t* at, const uint8_t* end) noexcept
    cdef void read_tensor(
        self, const Text* name, const uint8_t* at, const uint8_t* end
    ) noexcept
    cdef void read_arrays(self, const uint8_t* at, const uint8_t* end) noexcept
    cdef const uint8_t* read_positions(self, const uint8_t* at, const uint8_t* end) noexcept
    cdef void read_bare(self, const uint8_t* at, const uint8_t* end) noexcept
    cdef const uint8_t* read_at(
        self, int32_t column, Py_ssize_t row, const uint8_t* at, const uint8_t* end
    ) noexcept
    cdef void violate(self, const Field* field, Py_ssize_t row) noexcept
    cdef void note_more(self) noexcept
    cdef void note_fixed(self, const uint8_t* at) noexcept
    cdef Field* expected(self, const uint8_t* name, const uint8_t* end) noexcept
    cdef Field* field_of(self, const uint8_t* name, Py_ssize_t length) noexcept
    cdef void add_stranger(self, const uint8_t* name, Py_ssize_t length) noexcept
