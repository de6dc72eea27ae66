"""Values as cells of columns; see cells.pxd."""

from libc.math cimport NAN
from libc.stdint cimport int64_t
from libc.string cimport memchr, memset
from cpython.bytes cimport PyBytes_AS_STRING
from gateway._fast.decimals cimport decimal_of, read_decimal
from gateway._fast.hashing cimport xxh3
from gateway._fast.members cimport string_into
from gateway._fast.scan cimport JSON_ARRAY, JSON_NUMBER, JSON_STRING, Member, kind_of, value_end

cdef enum:
    WORD_BYTES = 4096                   # of a word with escapes; longer ones are hashed as written
    TIME_BYTES = 27                     # 2026-11-21T12:00:00.000000Z

cdef const char* TIME_SHAPE = b"dddd-dd-ddTdd:dd:dd.ddddddZ"


cdef inline int64_t digits_of(const uint8_t* at, int count) noexcept nogil:
    cdef int64_t value = 0
    cdef int i
    for i in range(count):
        value = value * 10 + (at[i] - c'0')
    return value


cdef inline int64_t days_of(int64_t year, int64_t month, int64_t day) noexcept nogil:
    """Days since 1970-01-01, in the Gregorian calendar; years begin in March."""
    cdef int64_t since, of_year
    year -= month <= 2
    since = year % 400
    of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return year // 400 * 146_097 + since * 365 + since // 4 - since // 100 + of_year - 719_468


cdef double microseconds_of(const uint8_t* at, Py_ssize_t length) noexcept nogil:
    cdef int i
    cdef int64_t seconds
    if length != TIME_BYTES:
        return NAN
    for i in range(TIME_BYTES):
        if TIME_SHAPE[i] == c'd':
            if not c'0' <= at[i] <= c'9':
                return NAN
        elif <uint8_t>TIME_SHAPE[i] != at[i]:
            return NAN
    seconds = days_of(digits_of(at, 4), digits_of(at + 5, 2), digits_of(at + 8, 2)) * 86_400
    seconds += digits_of(at + 11, 2) * 3600 + digits_of(at + 14, 2) * 60 + digits_of(at + 17, 2)
    return <double>(seconds * 1_000_000 + digits_of(at + 20, 6))


cdef uint64_t word_of(const uint8_t* base, const uint8_t* at, const uint8_t* end) noexcept nogil:
    """Hash of a scalar's text: a string's without quotes and escapes, others as written."""
    cdef char[WORD_BYTES] text
    cdef Member member
    cdef int64_t length
    if at[0] != c'"':
        return xxh3(<const char*>at, <size_t>(end - at), 0)
    if memchr(at, c'\\', <size_t>(end - at)) != NULL:
        memset(&member, 0, sizeof(Member))
        member.kind = JSON_STRING
        member.escaped = 1
        member.start = <uint32_t>(at - base)
        member.end = <uint32_t>(end - base)
        length = string_into(text, WORD_BYTES, <const char*>base, &member)
        if length >= 0:
            return xxh3(text, <size_t>length, 0)
    return xxh3(<const char*>at + 1, <size_t>(end - at) - 2, 0)


cdef inline void put_cell(
    const uint8_t* base, Cells* cells, Py_ssize_t cell, int32_t reading, uint8_t kind,
    double number, const uint8_t* at, const uint8_t* end,
) noexcept nogil:
    # Safety: columns and rows are below what the arrays were checked to have.
    cells.kinds[cell] = kind
    if reading & READ_NUMBER:
        cells.numbers[cell] = number
    elif reading & READ_TIME:
        cells.numbers[cell] = NAN
        if kind == JSON_STRING:
            cells.numbers[cell] = microseconds_of(at + 1, end - at - 2)
    if reading & READ_WORD and kind < JSON_ARRAY:
        cells.words[cell] = word_of(base, at, end)
    if reading & (READ_WORD | READ_SPAN):
        cells.starts[cell] = <uint32_t>(at - base)
        cells.ends[cell] = <uint32_t>(end - base)


cdef void note(Uses* uses, uint8_t part, Py_ssize_t column, Py_ssize_t row, uint32_t start) noexcept nogil:
    cdef Use* use = &uses.of[uses.count]
    if uses.count == MAX_USES:
        uses.is_partial = True
        return
    use.start, use.part, use.is_bare = start, part, False
    use.column, use.row = <int32_t>column, <int32_t>row
    uses.count += 1


cdef const uint8_t* read_cell(
    const uint8_t* base, Cells* cells, Py_ssize_t column, Py_ssize_t row, int32_t reading,
    const uint8_t* at, const uint8_t* end,
) noexcept nogil:
    """Behind the value at `at`."""
    cdef uint8_t kind = kind_of(at[0])
    cdef const uint8_t* begin = at
    cdef double number = NAN
    at = read_decimal(at, end, &number) if kind == JSON_NUMBER else value_end(at, end)
    if cells.uses != NULL:
        note(cells.uses, cells.part, column, row, <uint32_t>(begin - base))
    if row < cells.rows:
        put_cell(base, cells, column * cells.rows + row, reading, kind, number, begin, at)
    return at


cdef void put_scalar(
    const uint8_t* base, Cells* cells, Py_ssize_t column, Py_ssize_t row, int32_t reading,
    const uint8_t* at, const uint8_t* end,
) noexcept nogil:
    cdef uint8_t kind = kind_of(at[0])
    cdef double number = NAN
    if row >= cells.rows:
        return
    if kind == JSON_NUMBER and reading & READ_NUMBER:
        number = decimal_of(base, at, end)
    put_cell(base, cells, column * cells.rows + row, reading, kind, number, at, end)


cdef list cells_into(Cells* cells, arrays, Py_ssize_t columns):
    """Where the arrays are; returns what holds them there."""
    cdef uint8_t[:, ::1] kinds = arrays[0]
    cdef double[:, ::1] numbers = arrays[1]
    cdef uint64_t[:, ::1] words = arrays[2]
    cdef uint32_t[:, ::1] starts = arrays[3]
    cdef uint32_t[:, ::1] ends = arrays[4]
    memset(cells, 0, sizeof(Cells))
    cells.rows = kinds.shape[1]
    for array in arrays:
        if array.shape != (columns, cells.rows):
            raise ValueError(f"a column for each of {columns}, all of the same length")
    if columns and cells.rows:
        cells.kinds = &kinds[0, 0]
        cells.numbers = &numbers[0, 0]
        cells.words = &words[0, 0]
        cells.starts = &starts[0, 0]
        cells.ends = &ends[0, 0]
    return [kinds, numbers, words, starts, ends]


def time_of(bytes text not None):
    """Microseconds since 1970 of an RFC 3339 time as records have it; NaN of others."""
    return microseconds_of(<const uint8_t*>PyBytes_AS_STRING(text), len(text))
