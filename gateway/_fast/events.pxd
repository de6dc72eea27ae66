# The events of a streamed answer, watched while they are relayed: SSE and NDJSON.
#
# Two steps: framing finds where an event ends (state survives a cut anywhere), then
# one whole event is looked at. A search for a few quoted words decides whether its
# JSON is scanned at all; what it says is always decided by the scan.
#
# Rule 1: cutting the input anywhere changes neither the final state nor the output.
# Rule 2: without withhold_usage each chunk is relayed at once, as the same object.
# Rule 3: with it an event is held until its last byte is here; exactly the events
#         with empty `choices` and a usage are withheld. Comments are never held.
# Rule 4: at most `limit` bytes are held. A longer event passes unread but for its
#         `event:` name, and sets `overflowed`.
# Knows nothing of HTTP, sockets or time; the exchange calls it.

from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from gateway._fast.splice cimport Member, Pointer, Shape, Text

cdef enum EventKind:
    EVENTS_SSE = 0                      # text/event-stream
    EVENTS_NDJSON = 1                   # application/x-ndjson

cdef enum Finish:                       # why the model stopped
    FINISH_NONE = 0                     # it did not say
    FINISH_STOP = 1
    FINISH_LENGTH = 2                   # cut by a token limit
    FINISH_TOOLS = 3
    FINISH_FILTER = 4
    FINISH_OTHER = 5

cdef enum:
    MAX_NEEDLES = 24                    # quoted words searched for
    MAX_LETTERS = 8                     # … and their first letters
    MAX_PLACES = 4                      # pointers for one figure

cdef struct Usage:                      # what an answer says of itself
    int64_t input_tokens                # -1 unknown, in all three
    int64_t output_tokens
    int64_t cached_tokens               # part of input_tokens
    uint8_t finish                      # Finish, of the last choice that gave one
    uint8_t failed                      # it has an `error` member that is not null

cdef struct Needle:
    Text text                           # quotes included
    uint8_t is_key                      # counts only before `:` and a value …
    uint8_t boring_false                # … other than null (and false)


cdef class Marks:
    """What to look for in the answers of one protocol operation. Compiled once, shared."""

    cdef readonly uint32_t limit        # bytes of an event that may be held
    cdef readonly bint validate         # scan each event, so that every malformed one counts
    cdef bint json                      # events carry JSON
    cdef bytes done                     # data that ends the stream: [DONE]; b"" none
    cdef tuple ended                    # event names / `type` values of a proper end
    cdef tuple failing                  # … of a failure
    cdef bytes done_member              # a member that is true at the end; b"" none
    cdef bint finish_reason             # choices[].finish_reason ends a choice
    cdef tuple kept                     # bytes the needles point into
    cdef Shape top                      # top-level members in use
    cdef Shape choice
    cdef tuple usage                    # (index into top or -1, Pointer below it)
    cdef tuple input_tokens             # Pointers from the usage object
    cdef tuple output_tokens
    cdef tuple cached_tokens
    cdef Needle[MAX_NEEDLES] needles
    cdef uint32_t needle_count
    cdef uint8_t[MAX_LETTERS] letters
    cdef uint32_t letter_count

    # A whole answer that is no stream. Scan: SCAN_OK, or why its JSON is refused.
    cdef int usage_of(self, const char* data, size_t length, Usage* out) noexcept


cdef class Events:
    """The events of one answer."""

    cdef Marks marks
    cdef EventKind kind
    cdef bint withhold_usage
    cdef uint32_t choices               # that must give a finish_reason
    # what was seen
    cdef Usage usage
    cdef readonly bint done             # the done marker came
    cdef readonly bint finished         # done, an ending type, or every choice gave its finish_reason
    cdef readonly bint failed           # an error event came
    cdef readonly bint overflowed       # an event was longer than the limit
    cdef readonly uint64_t count        # events with data (Rule: the client sees count - withheld)
    cdef readonly uint64_t withheld
    cdef readonly uint64_t malformed    # events whose data is not the JSON it should be
    cdef uint64_t finished_choices      # bit i: choice i (modulo 64) gave its finish_reason
    # framing
    cdef char* held                     # the first bytes of an unfinished event
    cdef uint32_t held_bytes
    cdef uint32_t held_room
    cdef uint64_t event_bytes           # of the unfinished event, held or not
    cdef uint64_t line_bytes            # of the unfinished line
    cdef bint is_open                   # an event has begun
    cdef bint in_comment                # a comment line outside any event
    cdef bint after_cr                  # a line feed now belongs to the line before
    cdef bint dropping                  # … and goes where the withheld event went
    cdef bint is_first                  # a byte order mark may come

    # Ready for another answer; frees what was held. choices: the request's `n`, at least 1.
    cdef void reset(self, Marks marks, EventKind kind, bint withhold_usage, uint32_t choices)
    # What to relay now: data itself when all of it goes, shorter or longer bytes, or b"".
    cdef object feed(self, bytes data)
    # At the proper end of the answer: what was still held, read as if its blank line had come.
    cdef object flush(self)


# The quick way to a new one (freelist, no argument tuple).
cdef Events new_events(Marks marks, EventKind kind, bint withhold_usage, uint32_t choices)
