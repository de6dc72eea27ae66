# The events of a streamed answer, watched while they are relayed: SSE and NDJSON.
#
# Two steps: framing finds where an event ends (its state survives a cut anywhere), then
# one whole event is looked at, by the marks of its operation.
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
from libc.stdint cimport uint32_t, uint64_t
from gateway._fast.marks cimport Marks, Usage, Word
from gateway._fast.twin cimport Twin

cdef enum EventKind:
    EVENTS_SSE = 0                      # text/event-stream
    EVENTS_NDJSON = 1                   # application/x-ndjson


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
    # the latest event of one line that said nothing
    cdef bint says_nothing              # the event that is looked at is such a one, …
    cdef uint32_t reach                 # … each of its words told within so many bytes
    cdef Twin twin

    # Ready for another answer; frees what was held. choices: the request's `n`, at least 1.
    cdef void reset(
        self, Marks marks, EventKind kind, bint withhold_usage, uint32_t choices
    ) noexcept
    # What to relay now: data itself when all of it goes, other bytes, or b"".
    cpdef object feed(self, bytes data)
    # At the proper end of the answer: what was still held. The last event counts as if
    # its blank line had come.
    cpdef object flush(self)

    cdef bint is_like_the_last(self, const char* event, size_t length) noexcept nogil
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
    cdef bint is_plain(self, const char* at, const char* end) noexcept nogil
    cdef bint study(self, const char* data, size_t length, const Word* word) noexcept
    cdef void apply(self, const Word* word) noexcept


# The quick way to a new one (freelist, no argument tuple).
cdef Events new_events(Marks marks, EventKind kind, bint withhold_usage, uint32_t choices)
