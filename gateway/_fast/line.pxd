# One line of JSON, written piece by piece into memory that is kept from line to line.
#
# Rule 1: who writes calls ensure() first, with a bound for all it is going to write; what
#         writes then checks nothing (but in debug builds).
# Rule 2: what is written is valid JSON in valid UTF-8 and holds no line end, whatever came in.
# Rule 3: numbers are exact: integers as they are, decimals rounded once, at the digit said.
# Cost: bench/micro/record.py.

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcpy
from gateway._fast.debug cimport FAST_DEBUG

cdef extern from *:
    """
    #include <stdio.h>
    #include <stdlib.h>
    #include <string.h>
    /* The length of a literal is known when this is compiled, and so is the copy. */
    static inline size_t line_length(const char *text) { return __builtin_strlen(text); }
    static void line_overrun(size_t used, size_t room) {
        fprintf(stderr, "line: %zu bytes in %zu\\n", used, room);
        abort();
    }
    """
    size_t line_length(const char* literal) noexcept nogil
    void line_overrun(size_t used, size_t room) noexcept nogil

cdef enum:
    LINE_BYTES = 8192                   # to begin with
    TIME_BYTES = 27                     # 2026-11-21T12:00:00.000000Z
    ESCAPED = 6                         # bytes that one byte of text may become
    DECIMAL_BYTES = 34                  # more than the longest number that add_decimal writes

cdef inline size_t text_bound(size_t length) noexcept nogil:
    # Of add_text.
    return length * ESCAPED + 2

cdef inline size_t base64_bound(size_t length) noexcept nogil:
    # Of add_base64.
    return (length + 2) // 3 * 4 + 2

@cython.final
cdef class Line:
    cdef char* data
    cdef size_t used
    cdef size_t room
    cdef uint64_t second                # that `date` is of
    cdef char[20] date                  # 2026-11-21T12:00:00.

    cdef inline void begin(self) noexcept nogil:
        self.used = 0

    # Room for so many more bytes; False: there is no such memory.
    cdef bint ensure(self, size_t more) noexcept nogil
    cdef bint grow(self, size_t more) noexcept nogil

    cdef inline void add(self, const char* data, size_t length) noexcept nogil:
        if FAST_DEBUG and self.used + length > self.room:
            line_overrun(self.used + length, self.room)
        memcpy(self.data + self.used, data, length)
        self.used += length

    cdef inline void advance(self, size_t length) noexcept nogil:
        # Behind bytes that stand at the end already.
        self.used += length
        if FAST_DEBUG and self.used > self.room:
            line_overrun(self.used, self.room)

    cdef inline void put(self, const char* literal) noexcept nogil:
        self.add(literal, line_length(literal))

    cdef inline void add_bytes(self, bytes data) noexcept:
        self.add(PyBytes_AS_STRING(data), <size_t>PyBytes_GET_SIZE(data))

    cdef void add_number(self, uint64_t number) noexcept nogil
    cdef void add_hex(self, uint64_t number) noexcept nogil             # quoted, 16 digits
    # value ≥ 0 with so many decimals, trailing zeros left out; what is no number becomes 0.
    cdef void add_decimal(self, double value, int decimals) noexcept nogil
    # Nanoseconds, ≥ 0, as microseconds with three decimals at most, as add_decimal has them.
    cdef void add_us(self, double ns) noexcept nogil
    cdef void add_time(self, uint64_t realtime_ns) noexcept nogil       # quoted, microseconds
    # Text as a JSON string; a byte that is no UTF-8 becomes U+FFFD.
    cdef void add_text(self, const char* text, size_t length) noexcept nogil
    # Checked JSON as it is; line ends between its tokens become spaces.
    cdef void add_json(self, const char* json, size_t length) noexcept nogil
    cdef void add_escape(self, uint8_t byte) noexcept nogil
    cdef void add_base64(self, const char* data, size_t length) noexcept nogil     # quoted

    cdef int build_part(self, part) except -1


# How many bytes of the text are valid UTF-8.
cdef size_t utf8_length(const char* text, size_t length) noexcept nogil
