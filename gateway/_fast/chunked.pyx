"""The chunked transfer coding, decoded as it comes: see chunked.pxd for states and rules."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from gateway._fast.head cimport (
    FIELD_CONTENT_LENGTH, FIELD_HOST, FIELD_TRANSFER_ENCODING, FieldName, is_token, name_of,
)


cdef enum:
    ALONE_DIGITS = 5                    # of the size of a chunk that is taken at one look


cdef void chunked_reset(Chunked* chunked) noexcept nogil:
    chunked.remaining = 0
    chunked.extension_bytes = 0
    chunked.trailer_bytes = 0
    chunked.state = CHUNKED_SIZE_START
    chunked.digits = 0
    chunked.name_length = 0


cdef inline int hex_of(char c) noexcept nogil:
    if 48 <= c <= 57:
        return c - 48
    if 97 <= (c | 32) <= 102:
        return (c | 32) - 87
    return -1


cdef uint32_t chunked_next(
    Chunked* chunked, const char* data, uint32_t length, uint32_t* piece_at, uint32_t* piece_length
) noexcept nogil:
    """Consume bytes up to and including the next piece of data; return how many.

    `piece_length` is 0 when the input ran out or the state is DONE or BAD; call again
    with the rest while it is not.
    """
    cdef uint32_t at = 0
    cdef uint32_t take
    piece_length[0] = 0
    while at < length and chunked.state < CHUNKED_DONE:
        if chunked.state == CHUNKED_DATA:
            take = length - at
            if take > chunked.remaining:
                take = <uint32_t>chunked.remaining
            piece_at[0] = at
            piece_length[0] = take
            chunked.remaining -= take
            if chunked.remaining == 0:
                chunked.state = CHUNKED_DATA_CR
            return at + take
        step(chunked, data[at])
        at += 1
    return at


cdef uint32_t chunked_alone(const char* data, uint32_t length) noexcept nogil:
    """Cost: a look at the first and last bytes; streams come like this, an event a chunk."""
    cdef uint32_t at = 0
    cdef uint32_t size = 0
    cdef int digit
    # Safety: so few digits keep `size` below 2^20; the line ends are read once `length` is known
    # to hold them.
    while at < length and at < ALONE_DIGITS:
        digit = hex_of(data[at])
        if digit < 0:
            break
        size = size * 16 + <uint32_t>digit
        at += 1
    if at == 0 or size == 0 or length != at + 4 + size or data[at] != c"\r" or data[at + 1] != c"\n":
        return 0
    if data[length - 2] != c"\r" or data[length - 1] != c"\n":
        return 0
    return at + 2


cdef void step(Chunked* chunked, char c) noexcept nogil:
    """One byte that is not data."""
    if chunked.state <= CHUNKED_SIZE_LF:
        step_size(chunked, c)
    elif chunked.state == CHUNKED_DATA_CR:
        chunked.state = CHUNKED_DATA_LF if c == 13 else CHUNKED_BAD
    elif chunked.state == CHUNKED_DATA_LF:
        chunked.state = CHUNKED_SIZE_START if c == 10 else CHUNKED_BAD
        chunked.digits = 0
    elif chunked.state == CHUNKED_END_LF:
        chunked.state = CHUNKED_DONE if c == 10 else CHUNKED_BAD
    else:
        step_trailer(chunked, c)


cdef void step_size(Chunked* chunked, char c) noexcept nogil:
    cdef int digit
    if chunked.state == CHUNKED_SIZE_LF:
        if c != 10:
            chunked.state = CHUNKED_BAD
        else:
            chunked.state = CHUNKED_DATA if chunked.remaining else CHUNKED_TRAILER_START
    elif chunked.state == CHUNKED_EXTENSION:
        step_extension(chunked, c)
    else:
        digit = hex_of(c)
        if digit >= 0 and chunked.digits < 15:
            chunked.remaining = chunked.remaining * 16 + <uint64_t>digit
            chunked.digits += 1
            chunked.state = CHUNKED_SIZE
        elif chunked.digits == 0 or digit >= 0:
            chunked.state = CHUNKED_BAD
        elif c == c";":
            chunked.state = CHUNKED_EXTENSION
        else:
            chunked.state = CHUNKED_SIZE_LF if c == 13 else CHUNKED_BAD


cdef void step_extension(Chunked* chunked, char c) noexcept nogil:
    chunked.extension_bytes += 1
    if c == 13:
        chunked.state = CHUNKED_SIZE_LF
    elif is_control(c) or chunked.extension_bytes > CHUNKED_EXTENSION_MAX:
        chunked.state = CHUNKED_BAD


cdef inline bint is_control(char c) noexcept nogil:
    return (<uint8_t>c < 32 and c != 9) or c == 127


cdef void step_trailer(Chunked* chunked, char c) noexcept nogil:
    chunked.trailer_bytes += 1
    if chunked.trailer_bytes > CHUNKED_TRAILER_MAX:
        chunked.state = CHUNKED_BAD
    elif chunked.state == CHUNKED_TRAILER_START:
        chunked.name_length = 0
        chunked.state = CHUNKED_END_LF if c == 13 else CHUNKED_TRAILER_NAME
        if c != 13:
            step_trailer_name(chunked, c)
    elif chunked.state == CHUNKED_TRAILER_NAME:
        step_trailer_name(chunked, c)
    elif chunked.state == CHUNKED_TRAILER_VALUE:
        if c == 13:
            chunked.state = CHUNKED_TRAILER_LF
        elif is_control(c):
            chunked.state = CHUNKED_BAD
    else:
        chunked.state = CHUNKED_TRAILER_START if c == 10 else CHUNKED_BAD


cdef void step_trailer_name(Chunked* chunked, char c) noexcept nogil:
    cdef FieldName name
    if c == c":":
        name = name_of(chunked.name, chunked.name_length)
        if chunked.name_length == 0 or name == FIELD_CONTENT_LENGTH or (
            name == FIELD_TRANSFER_ENCODING or name == FIELD_HOST
        ):
            chunked.state = CHUNKED_BAD
        else:
            chunked.state = CHUNKED_TRAILER_VALUE
    elif not is_token(&c, 1):
        chunked.state = CHUNKED_BAD
    elif chunked.name_length < CHUNKED_NAME_MAX:
        # Why: a longer name is cut here, and no framing field is that long.
        chunked.name[chunked.name_length] = c
        chunked.name_length += 1


def alone(bytes data):
    """Where the data of a chunk begins that is all there is; 0: it is not."""
    return chunked_alone(data, <uint32_t>len(data))


def decode(*pieces):
    """Decode a chunked body given in pieces: (body, rest) once done, None before, -1 when bad."""
    cdef Chunked chunked
    cdef uint32_t at, used, piece_at = 0, piece_length = 0
    cdef const char* data
    chunked_reset(&chunked)
    body = []
    for index, piece in enumerate(pieces):
        data = piece
        at = 0
        while at < <uint32_t>len(piece) and chunked.state < CHUNKED_DONE:
            used = chunked_next(&chunked, data + at, <uint32_t>len(piece) - at, &piece_at, &piece_length)
            body.append(piece[at + piece_at:at + piece_at + piece_length])
            at += used
        if chunked.state == CHUNKED_BAD:
            return -1
        if chunked.state == CHUNKED_DONE:
            return b"".join(body), piece[at:] + b"".join(pieces[index + 1:])
    return None
