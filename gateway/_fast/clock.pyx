"""Wall-clock time and ids made of it: see clock.pxd."""

from libc.stdint cimport uint64_t
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

cdef const char* HEX = b"0123456789abcdef"


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
    cdef int i, at = 0
    low |= <uint64_t>0x8000000000000000
    for i in range(32):
        if i == 8 or i == 12 or i == 16 or i == 20:
            out[at] = c"-"
            at += 1
        out[at] = HEX[(high >> (60 - 4 * i)) & 15] if i < 16 else HEX[(low >> (124 - 4 * i)) & 15]
        at += 1


def id_of(uint64_t seed):
    """One id, its random part from this seed."""
    cdef char[36] text
    new_id(text, &seed)
    return text[:36].decode("ascii")
