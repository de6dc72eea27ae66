# Columns of cells, and how a JSON value becomes one: what it is, its number, its word, its span.
#
# Rule 1: cells are laid out column by column; a cell that nothing was written to is
#         JSON_MISSING, so the caller clears `kinds` before each read.
# Rule 2: a row that there is no room for is passed over, not written.
# Safety: values were checked by a scan before; pointers stay inside them.

from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t

cdef enum Reading:                      # what of a value is kept beside its kind
    READ_NUMBER = 1                     # a double
    READ_WORD = 2                       # hash of the text, and its span
    READ_TIME = 4                       # RFC 3339 as microseconds since 1970, a double
    READ_SPAN = 8                       # where it is

cdef enum:
    MAX_USES = 512                      # values of one line that become cells
    MAX_FIXED = 32                      # texts of one line that others hang on

cdef struct Use:                        # a value that became a cell
    uint32_t start
    int32_t column
    int32_t row
    uint8_t part                        # Cells.part
    uint8_t is_bare                     # a text here would have another meaning

cdef struct Uses:                       # of one line: what it would take to read one like it
    int count
    int fixed_count
    bint is_partial                     # something else was done as well, or there is no room
    Use[MAX_USES] of
    uint32_t[MAX_FIXED] fixed           # where texts begin that the meaning of others hangs on

cdef struct Cells:                      # where columns are written; Safety: held by the reader
    uint8_t* kinds                      # Json
    double* numbers
    uint64_t* words
    uint32_t* starts
    uint32_t* ends
    Py_ssize_t rows                     # of a column
    Uses* uses                          # where what is read is noted, or NULL
    uint8_t part                        # the reader's own number

# Behind the value at `at`, which goes into this column and row; spans are offsets from `base`.
cdef const uint8_t* read_cell(
    const uint8_t* base, Cells* cells, Py_ssize_t column, Py_ssize_t row, int32_t reading,
    const uint8_t* at, const uint8_t* end,
) noexcept nogil

# The same of a value whose end is known, and which is a string, a number or a word.
cdef void put_scalar(
    const uint8_t* base, Cells* cells, Py_ssize_t column, Py_ssize_t row, int32_t reading,
    const uint8_t* at, const uint8_t* end,
) noexcept nogil

# Where the arrays are; returns what holds them there.
cdef list cells_into(Cells* cells, arrays, Py_ssize_t columns)
