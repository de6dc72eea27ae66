# Record batches of Kafka (message format 2), read: values as lines, or keys with their values.
# https://kafka.apache.org/documentation/#recordbatch
#
# The records of one batch come in, uncompressed and without the header of the batch.
#
# Rule 1: no byte at or behind the end is read, whatever the records say of their lengths; what
#         is no sequence of records is a ValueError.
# Rule 2: each record that is wanted is one line: a newline in its value becomes a carriage
#         return, which means the same to JSON; no value at all becomes `null`.
# Rule 3: `first` is the offset of the first record that is wanted, from the batch's own; what is
#         before it was read earlier. Compacted batches have holes.
# Cost: one memcpy and one memchr of a value; no allocation a record.

from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint8_t

cdef struct Cursor:
    const uint8_t* at
    const uint8_t* end

cdef struct Piece:                      # one record
    int64_t delta                       # of its offset
    const uint8_t* key                  # NULL: none
    size_t key_bytes
    const uint8_t* value                # NULL: none
    size_t value_bytes

# False: there is no whole number, or no whole record.
cdef bint read_varint(Cursor* cursor, int64_t* out) noexcept nogil
cdef bint read_sized(Cursor* cursor, const uint8_t** at, size_t* length) noexcept nogil
cdef bint read_record(Cursor* cursor, Piece* out) noexcept nogil
# Writes the lines of the records at `cursor` to `to`, which has room for all of them; their
# bytes, or -1 for a ValueError. In `taken` their number.
cdef int64_t write_lines(
    Cursor cursor, int count, int64_t first, uint8_t* to, int* taken
) noexcept nogil
