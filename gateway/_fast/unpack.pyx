"""Record batches of Kafka, read; see unpack.pxd for the rules."""

from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_Resize
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.string cimport memchr, memcpy

cdef enum:
    LONGEST_VARINT = 10                 # bytes of 64 bits


cdef bint read_varint(Cursor* cursor, int64_t* out) noexcept nogil:
    cdef unsigned long long number = 0
    cdef int shift = 0
    cdef uint8_t byte
    while cursor.at < cursor.end and shift < 7 * LONGEST_VARINT:
        byte = cursor.at[0]
        cursor.at += 1
        number |= <unsigned long long>(byte & 0x7F) << shift
        if byte < 0x80:
            out[0] = <int64_t>(number >> 1) ^ -<int64_t>(number & 1)
            return True
        shift += 7
    return False


cdef bint read_sized(Cursor* cursor, const uint8_t** at, size_t* length) noexcept nogil:
    cdef int64_t size
    if not read_varint(cursor, &size):
        return False
    if size < 0:
        at[0], length[0] = NULL, 0
        return True
    if size > cursor.end - cursor.at:
        return False
    at[0], length[0] = cursor.at, <size_t>size
    cursor.at += size
    return True


cdef bint read_record(Cursor* cursor, Piece* out) noexcept nogil:
    cdef int64_t size, delta_ms
    cdef Cursor inner
    if not read_varint(cursor, &size) or size < 1 or size > cursor.end - cursor.at:
        return False
    inner.at, inner.end = cursor.at + 1, cursor.at + size    # behind the attributes
    cursor.at += size                   # headers, which are the last, are passed over
    return (
        read_varint(&inner, &delta_ms) and read_varint(&inner, &out.delta)
        and read_sized(&inner, &out.key, &out.key_bytes)
        and read_sized(&inner, &out.value, &out.value_bytes)
    )


cdef inline void hide_newlines(uint8_t* line, size_t length) noexcept nogil:
    cdef uint8_t* end = line + length
    cdef uint8_t* found = <uint8_t*>memchr(line, c'\n', length)
    while found != NULL:
        found[0] = c'\r'
        found = <uint8_t*>memchr(found, c'\n', <size_t>(end - found))


cdef int64_t write_lines(
    Cursor cursor, int count, int64_t first, uint8_t* to, int* taken
) noexcept nogil:
    cdef Piece piece
    cdef uint8_t* begin = to
    cdef int _i
    taken[0] = 0
    for _i in range(count):
        if not read_record(&cursor, &piece):
            return -1
        if piece.delta < first:
            continue
        # Safety: a record has six bytes at least beside its value, a line five at most.
        if piece.value == NULL:
            memcpy(to, b"null", 4)
            to += 4
        else:
            memcpy(to, piece.value, piece.value_bytes)
            hide_newlines(to, piece.value_bytes)
            to += piece.value_bytes
        to[0] = c'\n'
        to += 1
        taken[0] += 1
    return -1 if cursor.at != cursor.end else <int64_t>(to - begin)


def lines_into(
    bytearray room not None, Py_ssize_t used, const uint8_t[::1] data not None, int count,
    int64_t first=0,
):
    """Writes the values as lines, each with its newline, behind the first `used` bytes of room.

    (bytes used now, lines); what is behind them in `room`, which grows where it must, is of no
    meaning.
    """
    cdef Cursor cursor
    cdef int taken
    cdef int64_t size
    if not 0 <= used <= len(room):
        raise ValueError("what is used is no part of the room")
    if data.shape[0] == 0:
        return used, 0
    cursor.at, cursor.end = &data[0], &data[0] + data.shape[0]
    if len(room) < used + data.shape[0]:
        PyByteArray_Resize(room, used + data.shape[0])
    # Safety: the lines of records are shorter than these; nobody else resizes it meanwhile.
    size = write_lines(
        cursor, count, first, <uint8_t*>PyByteArray_AS_STRING(room) + used, &taken
    )
    if size < 0:
        raise ValueError("not the records of a batch")
    return used + size, taken


def entries_of(const uint8_t[::1] data not None, int count, int64_t first=0):
    """(offset, key, value) of each record; None where there is no key, or no value."""
    cdef Cursor cursor
    cdef Piece piece
    cdef list found = []
    cdef int _i
    if data.shape[0] == 0:
        return found
    cursor.at, cursor.end = &data[0], &data[0] + data.shape[0]
    for _i in range(count):
        if not read_record(&cursor, &piece):
            raise ValueError("not the records of a batch")
        if piece.delta >= first:
            found.append((
                piece.delta,
                bytes_or_none(piece.key, piece.key_bytes),
                bytes_or_none(piece.value, piece.value_bytes),
            ))
    return found


cdef object bytes_or_none(const uint8_t* at, size_t length):
    if at == NULL:
        return None
    return PyBytes_FromStringAndSize(<const char*>at, <Py_ssize_t>length)
