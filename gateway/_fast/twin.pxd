# An event that is kept, with which those that follow it are compared: most events of a stream
# differ from each other in one word.
#
# Rule: two events are twins when all but a short stretch of each is the same at its beginning
#       and at its end. What was told of these parts need not be looked at again, but for `reach`
#       bytes before the stretch: whoever keeps an event says that each thing told of it
#       was told from so many bytes behind one another.
# Cost: some eight instructions for sixteen bytes that are the same.

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcpy
from gateway._fast.blocks cimport __builtin_ctz, differing16, last_bit16

cdef enum:
    TWIN_BYTES = 512                    # of the longest event that is kept
    TWIN_EDGE = 16                      # are the same at either end, at least
    TWIN_STRETCH = 32                   # may differ between them

cdef struct Twin:
    uint32_t length                     # 0: none is kept
    uint32_t reach
    char[TWIN_BYTES] text


cdef inline void keep_twin(
    Twin* twin, const char* event, size_t length, uint32_t reach
) noexcept nogil:
    """Keep this event instead, or none where it is too short or too long."""
    twin.length = 0
    if 2 * TWIN_EDGE <= length <= TWIN_BYTES:
        memcpy(twin.text, event, length)
        twin.length = <uint32_t>length
        twin.reach = reach


cdef inline bint find_stretch(
    const Twin* twin, const char* event, size_t length, uint32_t* begin, uint32_t* end
) noexcept nogil:
    """Whether this is a twin of the kept event; from where to where it must be looked at.

    Safety: TWIN_EDGE bytes at least are there from `end` on.
    """
    cdef const uint8_t* one = <const uint8_t*>twin.text
    cdef const uint8_t* other = <const uint8_t*>event
    cdef const uint8_t* one_end = one + twin.length
    cdef const uint8_t* other_end = other + length
    cdef uint32_t shorter, bits
    cdef uint32_t same = 0              # bytes at the beginning
    cdef uint32_t tail = 0              # … and at the end
    if not 2 * TWIN_EDGE <= length <= TWIN_BYTES or twin.length == 0:
        return False
    shorter = min(twin.length, <uint32_t>length)
    while same + 2 * TWIN_EDGE <= shorter:
        bits = differing16(one + same, other + same)
        if bits:
            same += __builtin_ctz(bits)
            break
        same += 16
    if same < TWIN_EDGE:
        return False
    while tail + 16 <= shorter - same:
        bits = differing16(one_end - tail - 16, other_end - tail - 16)
        if bits:
            tail += 15 - last_bit16(bits)
            break
        tail += 16
    if tail < TWIN_EDGE or length - same - tail > TWIN_STRETCH:
        return False
    begin[0] = same - min(same, twin.reach)
    end[0] = <uint32_t>length - tail
    return True
