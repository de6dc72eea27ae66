# One pass over lines of the prediction log that nobody but a crash can have harmed.
#
# A line is sound when it begins and ends with braces, holds no control character, says its
# place (`"stream":"…","seq":` and a number) where the writer puts it, one number above the
# line before, and the time of its head. A line that is malformed in some other way passes:
# whoever decodes it counts it.
#
# Rule: only whole lines are looked at; nothing is read behind the last byte.
# Cost: about 100 ns a line of 1 KiB.

from libc.stddef cimport size_t
from libc.stdint cimport uint64_t

cdef enum:
    TIME_BYTES = 27                     # 2026-11-21T12:00:00.000000Z

cdef struct Sound:                      # what one line says
    uint64_t seq
    const char* time                    # TIME_BYTES of it

# False: the line is not sound. `line` is without its newline.
cdef bint sound_line(
    const char* line, size_t length, const char* named, size_t named_length, Sound* out
) noexcept nogil
