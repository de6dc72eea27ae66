# Lines of the prediction log as columns: a number, a word or a span of each line's members,
# and of the rows of its features. One scan checks a line; what is wanted of it is then read
# out of the checked text, with no Python object a line.
#
# A line has one row in the line columns and as many in the feature columns as it brings
# predictions: none, one (an object by name, or numbers in an array), or many (KServe's
# tensors, objects or arrays in an array).
#
# Rule 1: a line is taken whole or not at all; what is malformed is said, with its span.
# Rule 2: cells are laid out column by column; a cell that nothing was written to is
#         JSON_MISSING, so the caller clears `kinds` before each read.
# Rule 3: reading stops before the line whose rows have no room left; of one that brings more
#         than all the room, the first rows are taken, and the others are counted.
# Rule 4: names of features are compared as they are written; one with escapes is another.
# Cost: about 1 ns a byte, and 1 ns a digit of the numbers that are wanted.

from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint32_t, uint64_t
from gateway._fast.scan cimport Member, Wanted
from gateway._fast.texts cimport Text

cdef enum:
    MAX_FIELDS = 1024                   # of features, tensors among them
    SLOTS = 4096                        # of their table
    MAX_PLACES = 48                     # columns of lines
    MAX_STRANGERS = 16                  # names that nobody wanted, kept of one read

cdef enum Reading:                      # what of a value is kept beside its kind
    READ_NUMBER = 1                     # a double
    READ_WORD = 2                       # hash of the text, and its span
    READ_TIME = 4                       # RFC 3339 as microseconds since 1970, a double
    READ_SPAN = 8                       # where it is

cdef struct Cells:                      # where columns are written; Safety: held by the reader
    uint8_t* kinds                      # Json
    double* numbers
    uint64_t* words
    uint32_t* starts
    uint32_t* ends
    Py_ssize_t rows                     # of a column

cdef struct Place:                      # of one column of lines
    int32_t name                        # index of the member of the line
    int32_t reading
    bint is_whole                       # the member itself, nothing inside it

cdef struct Field:                      # of one name among the features
    Text name
    int32_t reading
    int32_t first                       # its first column …
    int32_t width                       # … and how many it has

cdef class Columns:
    """What is wanted of lines; and of one read, where it goes."""

    cdef readonly tuple places          # (pointer, reading) of each line column
    cdef readonly tuple fields          # (name, reading) of each feature column
    cdef tuple kept                     # Safety: bytes that Texts point into
    cdef list inner                     # by place: Pointer into the member
    cdef Wanted wanted
    cdef Place[MAX_PLACES] placed
    cdef Field[MAX_FIELDS] table
    cdef Py_ssize_t table_count
    cdef int16_t[SLOTS] slots           # index into table + 1; 0 empty
    cdef int32_t[MAX_FIELDS] at_position    # column of the feature "n", or -1
    cdef int32_t[MAX_FIELDS] readings   # by column
    cdef int32_t features               # index of the line's member that has them; -1 none
    # one read
    cdef Cells lines
    cdef Cells rows
    cdef const uint8_t* base
    cdef Py_ssize_t first_row           # of this line
    cdef Py_ssize_t row_count           # of this line
    cdef Py_ssize_t guess               # where the next name probably is
    cdef int64_t unknown                # features that nobody wanted
    cdef int64_t shapeless              # lines whose features are no object and no array
    cdef uint32_t[2 * MAX_STRANGERS] strangers
    cdef int stranger_count

    cdef list make_table(self)
    cdef bytes add_field(self, str name, int first, int width)
    cdef int forget(self, Py_ssize_t line, Py_ssize_t row) except -1
    cdef int read_line(self, uint32_t start, uint32_t end, Py_ssize_t line) except -2
    cdef int read_place(self, Py_ssize_t n, Member* members, Py_ssize_t line) except -1
    cdef void read_features(self, const Member* features) noexcept
    cdef const uint8_t* read_object(self, const uint8_t* at, const uint8_t* end) noexcept
    cdef void read_tensors(self, const uint8_t* at, const uint8_t* end) noexcept
    cdef void read_tensor(
        self, const Text* name, const uint8_t* at, const uint8_t* end
    ) noexcept
    cdef void read_arrays(self, const uint8_t* at, const uint8_t* end) noexcept
    cdef const uint8_t* read_positions(self, const uint8_t* at, const uint8_t* end) noexcept
    cdef const uint8_t* read_value(
        self, Cells* cells, Py_ssize_t column, Py_ssize_t row, int32_t reading,
        const uint8_t* at, const uint8_t* end,
    ) noexcept
    cdef Field* expected(self, const uint8_t* name, const uint8_t* end) noexcept
    cdef Field* field_of(self, const uint8_t* name, Py_ssize_t length) noexcept
    cdef void add_stranger(self, const uint8_t* name, Py_ssize_t length) noexcept
    cdef Py_ssize_t row_at(self, Py_ssize_t row) noexcept
