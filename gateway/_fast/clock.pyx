"""Wall-clock time and ids made of it: see clock.pxd."""

from libc.stdint cimport uint64_t
from libc.string cimport memcpy
from gateway._fast.hashing cimport random_next

cdef extern from "time.h" nogil:
    ctypedef long time_t
    struct timespec:
        time_t tv_sec
        long tv_nsec
    int clock_gettime(int clock, timespec* out)
    enum:
        CLOCK_REALTIME

cdef extern from *:
    """
    #include <time.h>
    #ifdef CLOCK_REALTIME_COARSE
    #define FAST_CLOCK_COARSE CLOCK_REALTIME_COARSE
    #else
    #define FAST_CLOCK_COARSE CLOCK_REALTIME
    #endif
    """
    const int FAST_CLOCK_COARSE

cdef enum:
    NS_PER_S = 1_000_000_000
    NS_PER_MS = 1_000_000

# Two digits for each byte. Cost: half the steps of one digit at a time.
cdef char PAIRS[512]


cdef void fill_pairs() noexcept nogil:
    cdef const char* digits = b"0123456789abcdef"
    cdef int i
    for i in range(256):
        PAIRS[2 * i] = digits[i >> 4]
        PAIRS[2 * i + 1] = digits[i & 15]


fill_pairs()


cdef void hex_into(char* out, uint64_t number) noexcept nogil:
    cdef int i
    for i in range(8):
        memcpy(out + 2 * i, &PAIRS[((number >> (56 - 8 * i)) & 255) * 2], 2)


cdef uint64_t realtime_s() noexcept nogil:
    cdef timespec clock
    clock_gettime(FAST_CLOCK_COARSE, &clock)
    return <uint64_t>clock.tv_sec


cdef uint64_t realtime_ns() noexcept nogil:
    cdef timespec clock
    clock_gettime(CLOCK_REALTIME, &clock)
    return <uint64_t>clock.tv_sec * NS_PER_S + <uint64_t>clock.tv_nsec


cdef void new_id(char* out, uint64_t* random) noexcept nogil:
    """48 bits of milliseconds, 12 of their fraction, 62 random ones; version and variant."""
    cdef uint64_t now_ns = realtime_ns()
    cdef uint64_t fraction = now_ns % NS_PER_MS * 4096 // NS_PER_MS
    cdef uint64_t high = ((now_ns // NS_PER_MS) << 16) | 0x7000 | fraction
    cdef uint64_t low = random_next(random) & <uint64_t>0x3FFFFFFFFFFFFFFF
    cdef char[32] digits
    low |= <uint64_t>0x8000000000000000
    hex_into(digits, high)
    hex_into(digits + 16, low)
    memcpy(out, digits, 8)
    memcpy(out + 9, digits + 8, 4)
    memcpy(out + 14, digits + 12, 4)
    memcpy(out + 19, digits + 16, 4)
    memcpy(out + 24, digits + 20, 12)
    out[8] = out[13] = out[18] = out[23] = c"-"


def id_of(uint64_t seed):
    """One id, its random part from this seed."""
    cdef char[36] text
    new_id(text, &seed)
    return text[:36].decode("ascii")
