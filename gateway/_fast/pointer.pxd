# JSON pointers: the path to one value.

from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint32_t
from gateway._fast.scan cimport Member
from gateway._fast.texts cimport Text

cdef enum:
    MAX_TOKENS = 16                     # of a pointer

cdef class Pointer:
    """A compiled RFC 6901 pointer; the empty one is the whole value."""

    cdef readonly str text
    cdef tuple tokens                   # unescaped bytes
    cdef uint32_t count                 # of tokens
    cdef Text[MAX_TOKENS] steps         # Safety: they point into `tokens`
    cdef int64_t[MAX_TOKENS] indexes    # token i as an array index, or -1

    # Checks all of data. A Scan; SCAN_OK with out.kind == JSON_MISSING: well-formed, not there.
    cdef int find(self, const char* data, size_t length, Member* out) noexcept nogil

    # The same, from a value inside data; offsets stay offsets into data.
    cdef int find_span(
        self, const char* data, uint32_t start, uint32_t end, Member* out
    ) noexcept nogil

# The unescaped tokens of a pointer; ValueError when it is none.
cdef list tokens_of(str text)
