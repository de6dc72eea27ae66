"""One line of JSON: see line.pxd for the rules."""

import cython

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport UINT64_MAX, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memchr, memcpy
from gateway._fast.clock cimport hex_into
from gateway._fast.digits cimport (
    digits2_into, digits8_into, fraction_into, number_into, thousandths_into,
)

cdef extern from "time.h" nogil:
    ctypedef long time_t
    struct tm:
        int tm_year
        int tm_mon
        int tm_mday
        int tm_hour
        int tm_min
        int tm_sec
    tm* gmtime_r(const time_t* second, tm* out)

cdef enum:
    NS_PER_S = 1_000_000_000
    NS_PER_US = 1_000
    # Why: numbers are written in whole words, which may end behind the last digit.
    SLACK_BYTES = 32
    PLACES = 16                         # of fraction_into

cdef const char* BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
# What a byte of text becomes: 0 itself, 1 an escape, 2 the beginning of a longer sequence.
cdef uint8_t[256] KINDS
cdef int64_t[19] POWERS                 # of ten


cdef void fill_tables() noexcept nogil:
    cdef int i
    for i in range(256):
        KINDS[i] = 1 if i < 32 else 2 if i >= 128 else 0
    KINDS[34] = KINDS[92] = 1
    # Why: some readers take it for a control character (jq and terminals).
    KINDS[127] = 1
    POWERS[0] = 1
    for i in range(1, 19):
        POWERS[i] = POWERS[i - 1] * 10


fill_tables()


@cython.final
cdef class Line:

    def __cinit__(self):
        self.data = <char*>malloc(LINE_BYTES + SLACK_BYTES)
        if self.data == NULL:
            raise MemoryError
        self.room = LINE_BYTES
        self.second = UINT64_MAX        # no date is written yet
        self.date[19] = c"."

    def __dealloc__(self):
        free(self.data)

    cdef bint ensure(self, size_t more) noexcept nogil:
        return more <= self.room - self.used or self.grow(more)

    cdef bint grow(self, size_t more) noexcept nogil:
        cdef size_t room = max(self.used + more, self.room * 2)
        cdef char* data = <char*>realloc(self.data, room + SLACK_BYTES)
        if data == NULL:
            return False
        self.data = data
        self.room = room
        return True

    cdef void add_number(self, uint64_t number) noexcept nogil:
        # Safety: behind `room` there are SLACK_BYTES more.
        self.advance(number_into(self.data + self.used, number))

    cdef void add_hex(self, uint64_t number) noexcept nogil:
        cdef char[18] text
        text[0] = text[17] = c'"'
        hex_into(text + 1, number)
        self.add(text, 18)

    cdef void add_decimal(self, double value, int decimals) noexcept nogil:
        cdef int64_t whole, rest
        cdef char* at
        # Why not `value < …`: a comparison with NaN is false.
        if not 0 <= value <= 9e15:
            self.add_number(<uint64_t>9_000_000_000_000_000 if value > 0 else 0)
            return
        # Cost: signed numbers, because the machine has an instruction for those alone.
        whole = <int64_t>value
        rest = <int64_t>((value - <double>whole) * <double>POWERS[decimals] + 0.5)
        if rest >= POWERS[decimals]:
            whole += 1
            rest = 0
        self.add_number(<uint64_t>whole)
        if rest:
            # Safety: a point and PLACES are less than SLACK_BYTES.
            at = self.data + self.used
            at[0] = c"."
            self.advance(1 + fraction_into(at + 1, <uint64_t>(rest * POWERS[PLACES - decimals])))

    cdef void add_us(self, double ns) noexcept nogil:
        # Cost: a third less than add_decimal; every candidate of most decisions has one.
        if not 0 <= ns < 99_999_999:
            self.add_decimal(ns / NS_PER_US, 3)
            return
        # Safety: 16 bytes are less than SLACK_BYTES.
        self.advance(thousandths_into(self.data + self.used, <uint64_t><int64_t>(ns + 0.5)))

    cdef void add_time(self, uint64_t realtime_ns) noexcept nogil:
        cdef uint64_t us = realtime_ns % <uint64_t>NS_PER_S // <uint64_t>NS_PER_US
        cdef char[10] rest
        if realtime_ns // <uint64_t>NS_PER_S != self.second:
            self.second = realtime_ns // <uint64_t>NS_PER_S
            write_date(self.date, self.second)
        digits8_into(rest, us)
        rest[8] = c"Z"
        rest[9] = c'"'
        self.put(b'"')
        self.add(self.date, 20)
        self.add(rest + 2, 8)

    cdef void add_text(self, const char* text, size_t length) noexcept nogil:
        cdef const uint8_t* at = <const uint8_t*>text
        cdef const uint8_t* end = at + length
        cdef const uint8_t* start
        cdef size_t good
        self.put(b'"')
        while at < end:
            start = at
            while at < end and KINDS[at[0]] == 0:
                at += 1
            if at > start:
                self.add(<const char*>start, <size_t>(at - start))
            if at == end:
                break
            if KINDS[at[0]] == 1:
                self.add_escape(at[0])
                at += 1
                continue
            good = sequence_length(at, end)
            if good:
                self.add(<const char*>at, good)
                at += good
            else:
                self.put(b"\xef\xbf\xbd")
                at += 1
        self.put(b'"')

    cdef void add_escape(self, uint8_t byte) noexcept nogil:
        cdef char[6] out
        cdef const char* digits = b"0123456789abcdef"
        cdef const char* short_form = b'\bb\ff\nn\rr\tt""\\\\'
        cdef const char* found = <const char*>memchr(short_form, byte, 14)
        out[0] = c"\\"
        if found != NULL and (found - short_form) % 2 == 0:
            out[1] = found[1]
            self.add(out, 2)
            return
        out[1] = c"u"
        out[2] = out[3] = c"0"
        out[4] = digits[byte >> 4]
        out[5] = digits[byte & 15]
        self.add(out, 6)

    cdef void add_json(self, const char* json, size_t length) noexcept nogil:
        cdef char* at = self.data + self.used
        cdef char* end = at + length
        self.add(json, length)
        while at < end:
            # In checked JSON a line end is white space: inside strings it is escaped.
            at = <char*>memchr(at, c"\n", <size_t>(end - at))
            if at == NULL:
                break
            at[0] = c" "
        at = self.data + self.used - length
        while at < end:
            at = <char*>memchr(at, c"\r", <size_t>(end - at))
            if at == NULL:
                break
            at[0] = c" "

    cdef void add_base64(self, const char* data, size_t length) noexcept nogil:
        cdef const uint8_t* at = <const uint8_t*>data
        cdef uint64_t word
        cdef char[4] out
        cdef size_t left = length
        self.put(b'"')
        while left >= 3:
            word = <uint64_t>at[0] << 16 | <uint64_t>at[1] << 8 | at[2]
            out[0] = BASE64[word >> 18]
            out[1] = BASE64[word >> 12 & 63]
            out[2] = BASE64[word >> 6 & 63]
            out[3] = BASE64[word & 63]
            self.add(out, 4)
            at += 3
            left -= 3
        if left:
            word = <uint64_t>at[0] << 16 | (<uint64_t>at[1] << 8 if left == 2 else 0)
            out[0] = BASE64[word >> 18]
            out[1] = BASE64[word >> 12 & 63]
            out[2] = BASE64[word >> 6 & 63] if left == 2 else c"="
            out[3] = c"="
            self.add(out, 4)
        self.put(b'"')

    def build(self, *parts):
        """What the parts make: bytes as they are, numbers, and (kind, value) pairs.

        Kinds: text, json, base64, hex, time, us, and ("decimal", (value, decimals)).
        """
        self.begin()
        for part in parts:
            self.build_part(part)
        return PyBytes_FromStringAndSize(self.data, <Py_ssize_t>self.used)

    cdef int build_part(self, part) except -1:
        cdef bytes data = b""
        if isinstance(part, bytes):
            data = part
        elif isinstance(part, tuple) and isinstance(part[1], bytes):
            data = part[1]
        if not self.ensure(text_bound(<size_t>len(data)) + 64):
            raise MemoryError
        if isinstance(part, bytes):
            self.add_bytes(data)
        elif isinstance(part, int):
            self.add_number(part)
        elif part[0] == "text":
            self.add_text(PyBytes_AS_STRING(data), <size_t>len(data))
        elif part[0] == "json":
            self.add_json(PyBytes_AS_STRING(data), <size_t>len(data))
        elif part[0] == "base64":
            self.add_base64(PyBytes_AS_STRING(data), <size_t>len(data))
        elif part[0] == "hex":
            self.add_hex(part[1])
        elif part[0] == "time":
            self.add_time(part[1])
        elif part[0] == "us":
            self.add_us(part[1])
        else:
            self.add_decimal(part[1][0], part[1][1])
        return 0


cdef void write_date(char* out, uint64_t second) noexcept nogil:
    """2026-11-21T12:00:00 of a second since the epoch; years of four digits."""
    cdef tm parts
    cdef time_t clock = <time_t>second
    cdef uint32_t year
    gmtime_r(&clock, &parts)
    # Safety: the table has a hundred pairs.
    year = <uint32_t>(parts.tm_year + 1900) % 10_000
    digits2_into(out, year // 100)
    digits2_into(out + 2, year % 100)
    digits2_into(out + 5, <uint32_t>parts.tm_mon + 1)
    digits2_into(out + 8, <uint32_t>parts.tm_mday)
    digits2_into(out + 11, <uint32_t>parts.tm_hour)
    digits2_into(out + 14, <uint32_t>parts.tm_min)
    digits2_into(out + 17, <uint32_t>parts.tm_sec)
    out[4] = out[7] = c"-"
    out[10] = c"T"
    out[13] = out[16] = c":"


cdef inline bint is_tail(uint8_t byte) noexcept nogil:
    return byte & 0xC0 == 0x80


cdef size_t sequence_length(const uint8_t* at, const uint8_t* end) noexcept nogil:
    """Bytes of the UTF-8 sequence of two to four that begins here (RFC 3629); 0: none does."""
    cdef size_t left = <size_t>(end - at)
    cdef uint8_t first = at[0]
    if first < 0xC2 or left < 2 or not is_tail(at[1]):
        return 0
    if first < 0xE0:
        return 2
    if left < 3 or not is_tail(at[2]):
        return 0
    if first < 0xF0:
        if first == 0xE0 and at[1] < 0xA0 or first == 0xED and at[1] > 0x9F:
            return 0
        return 3
    if left < 4 or not is_tail(at[3]) or first > 0xF4:
        return 0
    if first == 0xF0 and at[1] < 0x90 or first == 0xF4 and at[1] > 0x8F:
        return 0
    return 4


cdef size_t utf8_length(const char* text, size_t length) noexcept nogil:
    cdef const uint8_t* start = <const uint8_t*>text
    cdef const uint8_t* at = start
    cdef const uint8_t* end = at + length
    cdef size_t good
    cdef uint64_t word
    while at < end:
        while end - at >= 8:
            memcpy(&word, at, 8)
            if word & <uint64_t>0x8080808080808080:
                break
            at += 8
        if at == end:
            break
        if at[0] < 128:
            at += 1
            continue
        good = sequence_length(at, end)
        if good == 0:
            break
        at += good
    return <size_t>(at - start)


def utf8_of(bytes text):
    """How many bytes of the text are valid UTF-8."""
    return utf8_length(PyBytes_AS_STRING(text), <size_t>len(text))
