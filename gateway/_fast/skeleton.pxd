# Lines of JSON that are alike: all but the scalars in them is known, so that it is compared and
# not parsed.
#
# The lines of one gateway have the same members in the same order. What stands between their
# scalars (brackets, names, commas: a *stretch*) is learned of a line that a scan has checked. A
# line that has the same stretches, and a scalar wherever that one has a scalar, is as well-formed
# as that one, and has the same members at the same places.
#
#     {"seq":17,"route":"a","x":[1]}      stretches  {"seq":    ,"route":   ,"x":[   ]}
#
# Stretches are a tree, as lines often begin alike; a line is a way from its root to an *ending*.
#
# Rule 1: what matches is one JSON value, well-formed, with the structure of the learned line.
#         What does not match is nothing in particular: scan it.
# Rule 2: scalars that the meaning of others hangs on are learned as part of a stretch (`fixed`).
# Rule 3: no byte at or behind the end of the data is read.
# Rule 4: memory is bounded; what is full learns nothing until it is cleared.
# Cost: 4 to 8 ns a scalar; of a line with another structure, up to where it differs.

from libc.stdint cimport int32_t, uint8_t, uint32_t

cdef enum:
    MAX_SCALARS = 256                   # of one line
    MAX_NODES = 4096
    MAX_ALTERNATIVES = 16               # behind one scalar
    TEXT_BYTES = 131072                 # of all stretches
    MAX_ENDINGS = 64
    PADDING = 16                        # bytes read behind a stretch

cdef enum Found:
    FOUND_NONE = -1                     # no line like it was learned
    FOUND_KNOWN = -2                    # one was, before

cdef struct Span:                       # of a scalar
    uint32_t start
    uint32_t end

cdef struct Node:                       # a stretch
    uint32_t text                       # where it is in `texts`
    uint32_t length
    int32_t inner                       # the first one behind the scalar that follows; 0 none
    int32_t next                        # what may stand here instead; 0 nothing
    int32_t ending                      # of the line that it is the last of, or -1

cdef class Skeletons:
    """What was learned of lines."""

    cdef Node* nodes                    # [0] is before all lines
    cdef uint8_t* texts
    cdef int32_t node_count
    cdef uint32_t text_bytes
    cdef readonly int endings

    cdef void clear(self) noexcept
    # Which ending the line has that begins at `start`, or FOUND_NONE. Its scalars are in spans
    # then, and behind them an empty one, where it ends: at a newline, or at `end`.
    cdef int match(
        self, const uint8_t* base, uint32_t start, uint32_t end, Span* spans
    ) noexcept nogil
    # The ending of the line that spans are the scalars of: a new one, FOUND_KNOWN, or FOUND_NONE
    # where there is no room.
    cdef int learn(
        self, const uint8_t* base, uint32_t start, uint32_t end, const Span* spans, int count
    ) noexcept
    cdef int32_t stretch(
        self, int32_t before, const uint8_t* at, uint32_t length, bint is_last
    ) noexcept

# The scalars of a line that was checked, but for those that begin at one of the fixed; or -1:
# they are too many.
cdef int scalars_of(
    const uint8_t* base, uint32_t start, uint32_t end,
    const uint32_t* fixed, int fixed_count, Span* spans,
) noexcept nogil
