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

cdef struct Cells:                      # where columns are written; Safety: held by the reader
    uint8_t* kinds                      # Json
    double* numbers
    uint64_t* words
    uint32_t* starts
    uint32_t* ends
    Py_ssize_t rows                     # of a column

# Behind the value at `at`, which goes into this column and row; spans are offsets from `base`.
cdef const uint8_t* read_cell(
    const uint8_t* base, Cells* cells, Py_ssize_t column, Py_ssize_t row, int32_t reading,
    const uint8_t* at, const uint8_t* end,
) noexcept nogil

# Where the arrays are; returns what holds them there.
cdef list cells_into(Cells* cells, arrays, Py_ssize_t columns)
