# Wall-clock time and ids made of it. Monotonic time is in timers.pxd.

from libc.stdint cimport uint64_t

cdef uint64_t realtime_s() noexcept nogil       # coarse: good for dates
cdef uint64_t realtime_ns() noexcept nogil

# The sixteen digits of a word, lower case.
cdef void hex_into(char* out, uint64_t number) noexcept nogil

# 36 characters: a UUID of version 7 (RFC 9562), so that ids sort by time.
cdef void new_id(char* out, uint64_t* random) noexcept nogil
