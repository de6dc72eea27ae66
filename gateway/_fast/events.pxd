# The events of a streamed answer, watched while they are relayed: SSE and NDJSON.
#
# Two steps: framing finds where an event ends (its state survives a cut anywhere), then
# one whole event is looked at. A search for a few quoted words decides whether its
# JSON is scanned at all; what it says is always decided by the scan.
#
# Rule 1: cutting the input anywhere changes neither the final state nor the output.
# Rule 2: without withhold_usage each chunk is relayed at once, as the same object.
# Rule 3: with it an event is held until its last byte is here; exactly the events
#         with empty `choices` and a usage are withheld. Comments between events are
#         never held.
# Rule 4: at most `limit` bytes are held. A longer event passes unread but for its
#         `event:` name, and sets `overflowed`.
# Knows nothing of HTTP, sockets or time; the exchange calls it. Grammar: the event
# stream of the WHATWG HTML standard, except that flush() reads a last event that lacks
# its blank line.

from libc.stddef cimport size_t
from libc.stdint cimport int8_t, int64_t, uint8_t, uint32_t, uint64_t
from gateway._fast.splice cimport Member, Shape, Text

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
    MAX_NEEDLES = 24                    # quoted words searched for …
    MAX_LETTERS = 8                     # … and their first letters
    MAX_PLACES = 4                      # pointers to one figure
    MAX_WORDS = 8                       # names of ending or failing events

cdef struct Usage:                      # what an answer says of itself
    int64_t input_tokens                # -1 unknown, in all three
    int64_t output_tokens
    int64_t cached_tokens               # part of input_tokens
    uint8_t finish                      # Finish, the last one given
    uint8_t failed                      # an `error` member that is not null, or a failing type

cdef struct Needle:
    Text text                           # quotes included
    uint8_t is_key                      # counts only before `:` and a value …
    uint8_t false_is_boring             # … other than null (and false)

cdef struct Word:                       # an event name or `type` value
    Text text
    uint8_t finish                      # Finish it stands for
    uint8_t fails

cdef struct Places:                     # where one figure may stand, best first
    uint32_t count
    int8_t first[MAX_PLACES]            # index of the outer member; -1: the object itself
    int8_t rest[MAX_PLACES]             # index into `rests` of the Pointer below it; -1 none


cdef class Marks:
    """What to look for in the answers of one protocol operation. Compiled once, shared."""

    cdef readonly uint32_t limit        # bytes of an event that may be held
    cdef readonly bint validate         # scan every event, so that every malformed one counts
    cdef readonly bint json             # events carry JSON
    cdef bytes done                     # data that ends the stream: [DONE]; b"" none
    cdef Text done_text
    cdef tuple kept                     # bytes that Texts point into
    cdef tuple rests                    # Pointers
    cdef Shape top                      # members in use: of the event or body …
    cdef Shape usage_shape              # … of the usage object …
    cdef Shape choice                   # … and of a choice
    cdef int8_t type_at                 # indexes into top; -1 not looked for
    cdef int8_t error_at
    cdef int8_t choices_at
    cdef int8_t done_at                 # a member that is true at the end
    cdef Places usage
    cdef Places input_tokens
    cdef Places output_tokens
    cdef Places cached_tokens
    cdef Word[MAX_WORDS] words
    cdef uint32_t word_count
    cdef Needle[MAX_NEEDLES] needles
    cdef uint32_t needle_count
    cdef uint8_t[MAX_LETTERS][16] letters
    cdef uint32_t letter_count

    # A whole answer that is no stream. Scan: SCAN_OK, or why its JSON is refused.
    cdef int usage_of(self, const char* data, size_t length, Usage* out) noexcept

    cdef bint is_interesting(self, const char* data, size_t length) noexcept nogil
    cdef bint is_needle(self, const char* at, const char* end) noexcept nogil
    cdef const Word* word_of(self, const char* at, size_t length) noexcept nogil
    cdef const Word* type_word(self, const char* data, const Member* top) noexcept nogil
    cdef bint find_usage(
        self, const char* data, size_t length, const Member* top, Member* out
    ) noexcept
    cdef bint read_usage(
        self, const char* data, size_t length, const Member* top, Usage* out
    ) noexcept
    cdef int64_t figure(
        self, const char* data, const Places* places, const Member* members
    ) noexcept
    cdef uint64_t finished_in(self, const char* data, const Member* top, Usage* out) noexcept
    cdef list compile_words(self, dict ended, tuple failing)
    cdef int compile_needles(self, list needles, bint validate) except -1


cdef class Events:
    """The events of one answer."""

    cdef Marks marks
    cdef EventKind kind
    cdef bint withhold_usage
    cdef uint32_t choices               # that must give a finish_reason
    # what was seen
    cdef Usage usage
    cdef readonly bint done             # the done marker came
    cdef readonly bint finished         # done, an ending type, or all choices are complete
    cdef readonly bint failed           # an error event came
    cdef readonly bint overflowed       # an event was longer than the limit
    cdef readonly uint64_t count        # events with data, withheld ones too
    cdef readonly uint64_t withheld
    cdef readonly uint64_t malformed    # events whose data is not the JSON it should be
    cdef uint64_t finished_choices      # bit i: choice i (modulo 64) gave its finish_reason
    # framing
    cdef char* held                     # the first bytes of an unfinished event
    cdef uint32_t held_bytes
    cdef uint32_t held_room
    cdef uint64_t event_bytes           # of the unfinished event in earlier chunks
    cdef uint64_t line_bytes            # of the unfinished line in earlier chunks
    cdef const Word* long_word          # the event: name of an event over the limit
    cdef bint is_open                   # an event has begun
    cdef bint in_comment                # in a comment line outside any event
    cdef bint after_cr                  # a line feed now belongs to the line before
    cdef bint dropping                  # … and goes where the withheld event went
    cdef bint is_first                  # a byte order mark may come

    # Ready for another answer; frees what was held. choices: the request's `n`, at least 1.
    cdef void reset(self, Marks marks, EventKind kind, bint withhold_usage, uint32_t choices)
    # What to relay now: data itself when all of it goes, other bytes, or b"".
    cpdef object feed(self, bytes data)
    # At the proper end of the answer: what was still held. The last event counts as if
    # its blank line had come.
    cpdef object flush(self)

    cdef const char* event_start(self, const char* at, const char* end) noexcept nogil
    cdef const char* event_end(self, const char* at, const char* end) noexcept nogil
    cdef int close_event(self, const char* start, size_t length) except -1
    cdef int hold(self, const char* start, size_t length) except -1
    cdef int append(self, const char* start, size_t length) except -1
    cdef int pass_long(self, const char* start, size_t length) except -1
    cdef void let_go(self) noexcept
    cdef int look(self, const char* event, size_t length) except -1
    cdef int look_at_lines(self, const char* event, const char* end, const Word* word) except -1
    cdef bint look_at_data(self, const char* at, const char* end, const Word* word) noexcept
    cdef bint study(self, const char* data, size_t length, const Word* word) noexcept
    cdef void apply(self, const Word* word) noexcept


# The quick way to a new one (freelist, no argument tuple).
cdef Events new_events(Marks marks, EventKind kind, bint withhold_usage, uint32_t choices)
