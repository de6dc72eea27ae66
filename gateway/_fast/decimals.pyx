"""Doubles of JSON numbers; see decimals.pxd."""

from libc.math cimport NAN
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport strtod
from libc.string cimport memcpy
from gateway._fast.blocks cimport __builtin_ctz, digits16
from gateway._fast.hashing cimport product_high

cdef extern from *:
    """
    #ifndef FAST_DIGITS
    #define FAST_DIGITS
    #include <stdint.h>
    #include <string.h>
    /* The number that the last `count` (at most 8) of the 8 bytes before `end` write: digits that
       stand side by side are added up in pairs, fours and eights. */
    static inline uint64_t digits_before(const uint8_t *end, uint32_t count) {
        uint64_t word;
        memcpy(&word, end - 8, 8);
    #if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
        word = __builtin_bswap64(word);
    #endif
        word = (word ^ 0x3030303030303030u) & (count ? ~(uint64_t)0 << (64 - 8 * count) : 0);
        word = word * 10 + (word >> 8);
        return ((word & 0x000000FF000000FFu) * 0x000F424000000064u
              + (word >> 16 & 0x000000FF000000FFu) * 0x0000271000000001u) >> 32;
    }
    #endif
    """
    int __builtin_clzll(unsigned long long) noexcept nogil
    uint64_t digits_before(const uint8_t* end, uint32_t count) noexcept nogil

cdef enum:
    MAX_DIGITS = 19                     # any 19 digits fit 64 bits
    TEXT_BYTES = 512                    # of a number that strtod is asked for

cdef uint64_t[121] UPPER                # first 64 bits of 10^(i - MAX_POWER), cut off …
cdef int[121] BINARY                    # … times 2 to this
cdef double[23] EXACT                   # 10^i
cdef uint64_t[8] POWERS


cdef int make_tables() except -1:
    cdef int at
    cdef object ten, found, shift
    for at in range(2 * MAX_POWER + 1):
        ten = pow(10, abs(at - MAX_POWER))
        shift = 64 - ten.bit_length() if at >= MAX_POWER else 63 + ten.bit_length()
        if at >= MAX_POWER:
            found = ten << shift if shift >= 0 else ten >> -shift
        else:
            found = (1 << shift) // ten
            if found >> 64:
                found, shift = found >> 1, shift - 1
        UPPER[at] = found
        BINARY[at] = -shift
    for at in range(23):
        EXACT[at] = float(pow(10, at))
    for at in range(8):
        POWERS[at] = pow(10, at)
    return 0


make_tables()


cdef inline bint scaled(uint64_t digits, int64_t power, double* out) noexcept nogil:
    """digits * 10^power, rounded; False: not by this way."""
    cdef int left, dropped
    cdef uint64_t high, low, half, bits
    cdef int64_t binary
    if power < -MAX_POWER or power > MAX_POWER:
        return False
    left = __builtin_clzll(digits)
    high = product_high(digits << left, UPPER[power + MAX_POWER])
    dropped = 10 + <int>(high >> 63)
    half = <uint64_t>1 << (dropped - 1)
    low = high & (2 * half - 1)
    if low == half or low == half - 1:
        return False
    # The mantissa with its leading one adds one to the exponent below; so does a carry.
    binary = BINARY[power + MAX_POWER] - left + 64 + dropped + 52 + 1023 - 1
    bits = (<uint64_t>binary << 52) + (high >> dropped) + (low > half)
    memcpy(out, &bits, sizeof(double))
    return True


cdef double slowly(const uint8_t* at, const uint8_t* end) noexcept nogil:
    # Rule: nothing in the gateway sets LC_NUMERIC, so strtod's point is a point.
    cdef char[TEXT_BYTES] text
    cdef size_t length = <size_t>(end - at)
    if length > TEXT_BYTES - 1:
        return NAN                      # nobody means a number with so many digits
    # Safety: TEXT_BYTES - 1 at most and the NUL that strtod needs.
    memcpy(text, at, length)
    text[length] = 0
    return strtod(text, NULL)


cdef inline const uint8_t* take_digits(
    const uint8_t* at, const uint8_t* end, uint64_t* digits
) noexcept nogil:
    """Behind the digits; past 19 of them `digits` wraps, which the caller finds out by length."""
    cdef uint64_t value = digits[0]
    while at < end and <uint8_t>(at[0] - c'0') <= 9:
        value = value * 10 + (at[0] - c'0')
        at += 1
    digits[0] = value
    return at


cdef const uint8_t* take_exponent(
    const uint8_t* at, const uint8_t* end, int64_t* power
) noexcept nogil:
    """Behind the exponent whose `e` is before `at`."""
    cdef int64_t written = 0
    cdef bint falls = at < end and at[0] == c'-'
    if at < end and (at[0] == c'-' or at[0] == c'+'):
        at += 1
    while at < end and <uint8_t>(at[0] - c'0') <= 9:
        if written < 100_000:
            written = written * 10 + (at[0] - c'0')
        at += 1
    power[0] += -written if falls else written
    return at


cdef inline bint is_too_long(const uint8_t* at, Py_ssize_t count) noexcept nogil:
    """Whether digits and a point, `count` digits in all, are over 19 digits that matter."""
    while count > MAX_DIGITS and (at[0] == c'0' or at[0] == c'.'):
        count -= at[0] == c'0'
        at += 1
    return count > MAX_DIGITS


cdef const uint8_t* read_decimal(
    const uint8_t* at, const uint8_t* end, double* out
) noexcept nogil:
    cdef const uint8_t* begin = at
    cdef const uint8_t* whole
    cdef const uint8_t* below
    cdef uint64_t digits = 0
    cdef int64_t power = 0
    cdef Py_ssize_t count
    cdef bint is_negative = at[0] == c'-'
    whole = at + is_negative
    at = take_digits(whole, end, &digits)
    count = at - whole
    if at < end and at[0] == c'.':
        below = at + 1
        at = take_digits(below, end, &digits)
        power = below - at
        count -= power
    if at < end and at[0] | 0x20 == c'e':
        at = take_exponent(at + 1, end, &power)
    if count > MAX_DIGITS and is_too_long(whole, count):
        out[0] = slowly(begin, at)
        return at
    if digits == 0:
        out[0] = -0.0 if is_negative else 0.0
        return at
    if digits <= <uint64_t>1 << 53 and -22 <= power <= 22:
        out[0] = <double>digits
        out[0] = out[0] / EXACT[-power] if power < 0 else out[0] * EXACT[power]
    elif not scaled(digits, power, out):
        out[0] = slowly(begin, at)
        return at
    if is_negative:
        out[0] = -out[0]
    return at


cdef double decimal_of(
    const uint8_t* base, const uint8_t* at, const uint8_t* end
) noexcept nogil:
    cdef double value = 0.0
    cdef bint is_negative = at[0] == c'-'
    cdef Py_ssize_t length = end - at - is_negative
    cdef uint32_t whole, below, others
    cdef uint64_t digits
    # Safety: sixteen bytes before the end are inside the data.
    if 0 < length <= 16 and end - base >= 16:
        whole, below = <uint32_t>length, 0
        others = (~digits16(end - 16) & 0xFFFF) >> (16 - whole)
        if others:
            whole = __builtin_ctz(others)
            below = <uint32_t>length - whole - 1
        if (
            others & (others - 1) == 0 and whole <= 8 and below <= 7
            and (others == 0 or at[is_negative + whole] == c'.')
        ):
            # Why exact: both are doubles, so one operation rounds once.
            digits = digits_before(end - below - (others != 0), whole)
            value = <double>digits
            if below:
                value = <double>(digits * POWERS[below] + digits_before(end, below)) / EXACT[below]
            # Why not a branch: signs are chance.
            return value * (1.0 - 2.0 * is_negative)
    read_decimal(at, end, &value)
    return value


def read(bytes text not None):
    """(value, bytes read); for tests."""
    cdef double value = 0.0
    cdef const uint8_t* at = <const uint8_t*><const char*>text
    cdef const uint8_t* end = read_decimal(at, at + len(text), &value)
    return value, end - at


def read_between(bytes text not None, Py_ssize_t start, Py_ssize_t end):
    """The value of the number there; for tests."""
    cdef const uint8_t* base = <const uint8_t*><const char*>text
    if not 0 <= start < end <= len(text):
        raise ValueError("outside the text")
    return decimal_of(base, base + start, base + end)
