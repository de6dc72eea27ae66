# The chunked transfer coding, RFC 9112 section 7.1, decoded as it comes.
#
#   SIZE -> [EXTENSION] -> SIZE_LF -> DATA -> DATA_CR -> DATA_LF -> SIZE …
#   a size of 0: SIZE_LF -> TRAILER_START -> (TRAILER_NAME -> TRAILER_VALUE -> TRAILER_LF)* -> END_LF -> DONE
#
# Rule 1: extensions and trailers are bounded, checked and dropped.
# Rule 2: the state is a dozen bytes, so any cut of the input gives the same result.
# Rule 3: a trailer that frames or routes (content-length, transfer-encoding, host) is refused.

from libc.stdint cimport uint32_t, uint64_t, uint8_t

cdef enum ChunkedState:
    CHUNKED_SIZE_START = 0
    CHUNKED_SIZE
    CHUNKED_EXTENSION
    CHUNKED_SIZE_LF
    CHUNKED_DATA
    CHUNKED_DATA_CR
    CHUNKED_DATA_LF
    CHUNKED_TRAILER_START
    CHUNKED_TRAILER_NAME
    CHUNKED_TRAILER_VALUE
    CHUNKED_TRAILER_LF
    CHUNKED_END_LF
    CHUNKED_DONE
    CHUNKED_BAD

cdef enum:
    CHUNKED_EXTENSION_MAX = 4096        # bytes of extensions in one body
    CHUNKED_TRAILER_MAX = 8192          # bytes of trailers in one body
    CHUNKED_NAME_MAX = 24               # of a trailer's name, enough to recognise framing

cdef struct Chunked:
    uint64_t remaining                  # of the chunk being read
    uint32_t extension_bytes
    uint32_t trailer_bytes
    uint8_t state                       # ChunkedState
    uint8_t digits                      # of the size, read so far
    uint8_t name_length
    char name[CHUNKED_NAME_MAX]

cdef void chunked_reset(Chunked* chunked) noexcept nogil
cdef uint32_t chunked_next(
    Chunked* chunked, const char* data, uint32_t length, uint32_t* piece_at, uint32_t* piece_length
) noexcept nogil
# Where the data begins of bytes that are exactly one chunk, not empty, without extension; else 0.
cdef uint32_t chunked_alone(const char* data, uint32_t length) noexcept nogil
