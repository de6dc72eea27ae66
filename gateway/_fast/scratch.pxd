# Where a worker builds heads: one buffer, one message at a time.
#
# Rule 1: the content lives within one callback; `built` copies it out.
# Rule 2: what would not fit is left out and `overflowed` says so; every part is bounded
#         far below SCRATCH_BYTES.
# Cost: memcpy; numbers are written eight digits at once, the date once a second.

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcpy
from gateway._fast.head cimport Field

cdef extern from *:
    """
    #include <string.h>
    /* The length of a literal is known when this is compiled, and so is the copy. */
    static inline uint32_t scratch_length(const char *text) { return (uint32_t)__builtin_strlen(text); }
    """
    uint32_t scratch_length(const char* literal) noexcept nogil

cdef enum:
    SCRATCH_BYTES = 131072              # a client's head of 32 KiB and ours, with room

@cython.final
cdef class Scratch:
    cdef char* data
    cdef uint32_t used
    cdef readonly bint overflowed
    cdef uint64_t second                # of the cached date
    cdef char[40] date                  # "date: …\r\n" is 37 bytes

    cdef void begin(self) noexcept nogil

    cdef inline void add(self, const char* data, uint32_t length) noexcept nogil:
        # Safety: nothing is written beyond SCRATCH_BYTES (Rule 2).
        if length > SCRATCH_BYTES - self.used:
            self.overflowed = True
            return
        memcpy(self.data + self.used, data, length)
        self.used += length

    cdef inline void put(self, const char* literal) noexcept nogil:
        self.add(literal, scratch_length(literal))

    cdef inline void add_bytes(self, bytes data) noexcept:
        self.add(PyBytes_AS_STRING(data), <uint32_t>PyBytes_GET_SIZE(data))

    cdef void add_field(self, const char* data, const Field* field) noexcept nogil
    cdef void add_number(self, uint64_t number) noexcept nogil
    cdef void add_hex(self, uint64_t number) noexcept nogil
    cdef void add_millis(self, uint64_t ns) noexcept nogil
    cdef void add_usd(self, uint64_t nano_usd) noexcept nogil
    cdef void add_date(self) noexcept
    cdef void write_date(self) noexcept
    cdef bytes built(self)
    cdef bytes built_with(self, bytes body)
