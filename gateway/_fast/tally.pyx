"""One pass over lines of the prediction log: see tally.pxd."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memchr, memcmp, memcpy
from gateway._fast.hashing cimport xxh3

cdef extern from *:
    """
    #include <string.h>
    """
    void* memmem(const void* text, size_t length, const void* part, size_t part_length) nogil

cdef const char* TIME_NAMED = b'"time":"'
cdef const char* TIME_SHAPE = b"dddd-dd-ddTdd:dd:dd.ddddddZ"

cdef enum:
    TIME_NAMED_BYTES = 8
    SEQ_DIGITS = 19


cdef bint has_controls(const uint8_t* line, size_t length) noexcept nogil:
    """Cost: no branch inside, so that the compiler takes many bytes at once."""
    cdef uint8_t found = 0
    cdef size_t i
    for i in range(length):
        found |= line[i] < 32
    return found != 0


cdef bint is_time(const char* text) noexcept nogil:
    cdef int i
    for i in range(TIME_BYTES):
        if TIME_SHAPE[i] == c"d":
            if not 48 <= text[i] <= 57:
                return False
        elif text[i] != TIME_SHAPE[i]:
            return False
    return True


cdef bint sound_line(
    const char* line, size_t length, const char* named, size_t named_length, Sound* out
) noexcept nogil:
    cdef const char* end = line + length
    cdef const char* at
    cdef int digits = 0
    if length < 2 or line[0] != c"{" or (end - 1)[0] != c"}" or has_controls(<const uint8_t*>line, length):
        return False
    at = <const char*>memmem(line, length, TIME_NAMED, TIME_NAMED_BYTES)
    # Safety: what is compared and kept lies before the line's end.
    if at == NULL or end - at < TIME_NAMED_BYTES + TIME_BYTES or not is_time(at + TIME_NAMED_BYTES):
        return False
    out.time = at + TIME_NAMED_BYTES
    at = <const char*>memmem(line, length, named, named_length)
    if at == NULL:
        return False
    at += named_length
    out.seq = 0
    # Safety: the brace at the end stops the digits.
    while 48 <= at[0] <= 57 and digits < SEQ_DIGITS:
        out.seq = out.seq * 10 + <uint64_t>(at[0] - 48)
        digits += 1
        at += 1
    return digits > 0 and (at[0] == c"," or at[0] == c"}")


cdef Py_ssize_t newlines(const char* begin, const char* end) noexcept nogil:
    # Why not bytes.count: that looks at one byte a step, 0.4 us a line of 1 KB.
    cdef Py_ssize_t count = 0
    while begin < end:
        begin = <const char*>memchr(begin, c"\n", <size_t>(end - begin))
        if begin == NULL:
            return count
        count += 1
        begin += 1
    return count


def count_lines(bytes data not None):
    """How many newlines are in it."""
    cdef const char* begin = PyBytes_AS_STRING(data)
    return newlines(begin, begin + PyBytes_GET_SIZE(data))


def tally_lines(bytes data not None, bytes named not None):
    """(hash of each line, first seq, last seq, earliest time, latest time), or None.

    The hashes are XXH3-64, native words in one bytes object. None: not all of the data is
    whole and sound lines whose numbers follow each other.
    """
    cdef const char* begin = PyBytes_AS_STRING(data)
    cdef const char* end = begin + PyBytes_GET_SIZE(data)
    cdef const char* stop
    cdef Py_ssize_t count = newlines(begin, end)
    cdef bytes hashes
    cdef uint64_t* hash
    cdef uint64_t first = 0, before = 0
    cdef char[TIME_BYTES] earliest
    cdef char[TIME_BYTES] latest
    cdef Sound line
    if count == 0 or (end - 1)[0] != c"\n":
        return None
    hashes = PyBytes_FromStringAndSize(NULL, count * <Py_ssize_t>sizeof(uint64_t))
    hash = <uint64_t*>PyBytes_AS_STRING(hashes)
    while begin < end:
        # Safety: the last byte is a newline, so one is found.
        stop = <const char*>memchr(begin, c"\n", <size_t>(end - begin))
        if not sound_line(
            begin, <size_t>(stop - begin), PyBytes_AS_STRING(named),
            <size_t>PyBytes_GET_SIZE(named), &line,
        ):
            return None
        if first == 0:
            first = line.seq
            memcpy(earliest, line.time, TIME_BYTES)
            memcpy(latest, line.time, TIME_BYTES)
        elif line.seq != before + 1:
            return None
        if memcmp(line.time, earliest, TIME_BYTES) < 0:
            memcpy(earliest, line.time, TIME_BYTES)
        if memcmp(line.time, latest, TIME_BYTES) > 0:
            memcpy(latest, line.time, TIME_BYTES)
        before = line.seq
        hash[0] = xxh3(begin, <size_t>(stop - begin), 0)
        hash += 1
        begin = stop + 1
    return (
        hashes, first, before, earliest[:TIME_BYTES], latest[:TIME_BYTES],
    )
