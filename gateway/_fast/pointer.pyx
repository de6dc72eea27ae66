"""Compiled JSON pointers (RFC 6901); see pointer.pxd.

Cost: a pass over the text for the first token, and for each further one a pass over the
value that the one before found.
"""

import cython

from libc.stdint cimport UINT32_MAX
from libc.string cimport memset
from gateway._fast.members cimport Exact, as_tuple
from gateway._fast.scan cimport JSON_MISSING, SCAN_OK, SCAN_TOO_LONG, scan_step, scan_value
from gateway._fast.texts cimport as_bytes, text_of


@cython.final
cdef class Pointer:

    def __cinit__(self, str text):
        cdef Py_ssize_t n
        tokens = tokens_of(text)
        if len(tokens) > MAX_TOKENS:
            raise ValueError(f"a JSON pointer of over {MAX_TOKENS} tokens: {text!r}")
        self.text = text
        self.tokens = as_bytes(tokens)
        self.count = len(tokens)
        for n in range(len(tokens)):
            self.steps[n] = text_of(self.tokens[n])
            self.indexes[n] = index_of(tokens[n])

    cdef int find(self, const char* data, size_t length, Member* out) noexcept nogil:
        if length > UINT32_MAX:
            return SCAN_TOO_LONG
        return self.find_span(data, 0, <uint32_t>length, out)

    cdef int find_span(
        self, const char* data, uint32_t start, uint32_t end, Member* out
    ) noexcept nogil:
        """Cost: one pass a token, each over the value the one before found."""
        cdef uint32_t n
        cdef int code
        memset(out, 0, sizeof(Member))
        if self.count == 0:
            return scan_value(data, start, end, out)
        for n in range(self.count):
            code = scan_step(data, start, end, &self.steps[n], self.indexes[n], out)
            if code != SCAN_OK or out.kind == JSON_MISSING:
                return code
            start = out.start
            end = out.end
        return SCAN_OK

    def look(self, bytes data):
        """(code, member): what find says of data."""
        cdef Member member
        memset(&member, 0, sizeof(Member))
        cdef Exact exact = Exact(data)
        cdef int code = self.find(exact.at, len(data), &member)
        return code, as_tuple(&member)


cdef list tokens_of(str text):
    if text and not text.startswith("/"):
        raise ValueError(f"a JSON pointer begins with '/': {text!r}")
    return [token.replace("~1", "/").replace("~0", "~") for token in text.split("/")[1:]]


cdef int64_t index_of(str token) except? -1:
    """The array index a token is (RFC 6901 section 4), or -1."""
    if not (token.isascii() and token.isdigit()) or len(token) > 9:
        return -1
    return -1 if token[0] == "0" and token != "0" else int(token)
