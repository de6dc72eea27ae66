"""Stream events, read while they are relayed; see events.pxd for the rules.

Cost: about 60 ns for a chunk that is one event with nothing of interest, less than half
of that where it is like the one before but for a word (`twin`); nothing is copied then.
An event whose JSON is scanned costs about 1 ns a byte more, one that is cut across chunks one
memcpy. Knows nothing of HTTP; the exchange calls it.
"""

import cython

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memchr, memcmp, memcpy
from gateway._fast.blocks cimport __builtin_ctz, breaks16
from gateway._fast.marks cimport FINISH_NONE, is_space, is_text, skip_space
from gateway._fast.members cimport next_element
from gateway._fast.scan cimport JSON_ARRAY, MAX_NAMES, Member, SCAN_OK, is_given, is_true
from gateway._fast.texts cimport Text
from gateway._fast.twin cimport find_stretch, keep_twin

cdef extern from *:
    int __builtin_popcountll(unsigned long long bits) noexcept nogil

cdef enum:
    KEPT_ROOM = 4096                    # a held buffer up to this is kept for the next event


cdef inline const char* line_end(const char* at, const char* end) noexcept nogil:
    """The next CR or LF, or end. Cost: one pass, whichever of the two a stream uses."""
    cdef uint32_t breaks
    while end - at >= 16:
        breaks = breaks16(<const uint8_t*>at)
        if breaks:
            return at + __builtin_ctz(breaks)
        at += 16
    while at < end and at[0] != c'\n' and at[0] != c'\r':
        at += 1
    return at


# Fields of an event stream (WHATWG HTML, section 9.2.6).

cdef bint is_field(
    const char* line, const char* end, const char* name, size_t length, Text* value
) noexcept nogil:
    """Whether the line gives this field; its value then."""
    cdef const char* at = line + length
    if <size_t>(end - line) < length or memcmp(line, name, length) != 0:
        return False
    if at < end:
        if at[0] != c':':
            return False
        at += 1
        at += at < end and at[0] == c' '
    value.at = at
    value.length = <uint32_t>(end - at)
    return True


cdef const Word* last_name(
    Marks marks, const char* event, const char* end, bint is_whole
) noexcept nogil:
    """What the last `event:` line means; an unfinished last line counts in a whole event."""
    cdef const Word* word = NULL
    cdef const char* stop
    cdef Text name
    while event < end:
        stop = line_end(event, end)
        if (stop < end or is_whole) and is_field(event, stop, b"event", 5, &name):
            word = marks.word_of(name.at, name.length)
        event = stop + 1
    return word


cdef size_t join_data_into(char* out, const char* event, const char* end) noexcept nogil:
    """The values of all data lines with a line feed behind each; the length of it."""
    cdef char* begin = out
    cdef const char* stop
    cdef Text value
    # Safety: a line's value and a line feed are shorter than `data:` and its line.
    while event < end:
        stop = line_end(event, end)
        if is_field(event, stop, b"data", 4, &value):
            memcpy(out, value.at, value.length)
            out += value.length
            out[0] = c'\n'
            out += 1
        event = stop + 1
    return <size_t>(out - begin)


cdef list with_piece(list pieces, const char* start, const char* end):
    if pieces is None:
        pieces = []
    if end > start:
        pieces.append(PyBytes_FromStringAndSize(start, end - start))
    return pieces


cdef Events new_events(Marks marks, EventKind kind, bint withhold_usage, uint32_t choices):
    cdef Events events = Events.__new__(Events)
    events.reset(marks, kind, withhold_usage, choices)
    return events


@cython.final
@cython.freelist(64)
@cython.no_gc   # Safety: it refers to Marks alone, which refers to no Events.
cdef class Events:

    def __init__(self, Marks marks not None, *, ndjson=False, withhold_usage=False, choices=1):
        self.reset(
            marks, EVENTS_NDJSON if ndjson else EVENTS_SSE, withhold_usage, max(1, choices)
        )

    def __dealloc__(self):
        free(self.held)

    cdef void reset(
        self, Marks marks, EventKind kind, bint withhold_usage, uint32_t choices
    ) noexcept:
        self.marks = marks
        self.kind = kind
        self.withhold_usage = withhold_usage
        self.choices = min(choices, 64)
        self.usage = Usage(-1, -1, -1, FINISH_NONE, False)
        self.done = self.finished = self.failed = self.overflowed = False
        self.count = self.withheld = self.malformed = self.finished_choices = 0
        self.is_open = self.in_comment = self.after_cr = self.dropping = False
        self.event_bytes = self.line_bytes = 0
        self.long_word = NULL
        self.is_first = kind == EVENTS_SSE
        self.twin.length = 0
        self.let_go()

    # Relaying.

    cpdef object feed(self, bytes data):
        cdef const char* begin = PyBytes_AS_STRING(data)
        cdef const char* end = begin + PyBytes_GET_SIZE(data)
        cdef const char* at = begin
        cdef const char* start = begin  # of the event, as far as it is in this chunk
        cdef const char* sent = begin   # what is before is in `pieces` or withheld
        cdef const char* stop = end     # what is behind is held
        cdef list pieces = None
        cdef bytes before = None        # the event's part from earlier chunks
        if self.is_like_the_last(begin, <size_t>(end - begin)):
            self.count += 1
            self.dropping = False
            return data
        while at < end:
            if self.is_open:
                at = self.event_end(at, end)
                if self.is_open:
                    break
                if self.withhold_usage and self.held_bytes:
                    before = PyBytes_FromStringAndSize(self.held, self.held_bytes)
                self.dropping = self.close_event(start, <size_t>(at - start))
                if self.dropping:
                    pieces = with_piece(pieces, sent, start)
                    sent = at
                elif before is not None:
                    pieces = [before]
                before = None
            elif self.after_cr:
                self.after_cr = False
                if at[0] == c'\n':
                    at += 1
                    if self.dropping:
                        pieces = with_piece(pieces, sent, at - 1)
                        sent = at
            else:
                start = at = self.event_start(at, end)
        if self.is_open:
            if self.withhold_usage and self.event_bytes + (end - start) <= self.marks.limit:
                stop = start
            elif self.withhold_usage and self.held_bytes:
                pieces = [PyBytes_FromStringAndSize(self.held, self.held_bytes)]
            self.hold(start, <size_t>(end - start))
        if pieces is None:
            if sent == begin and stop == end:
                return data
            return PyBytes_FromStringAndSize(sent, stop - sent)
        return b"".join(with_piece(pieces, sent, stop))

    cpdef object flush(self):
        cdef bytes before = b""
        if not self.is_open:
            return before
        self.is_open = False
        if self.withhold_usage and self.held_bytes:
            before = PyBytes_FromStringAndSize(self.held, self.held_bytes)
        # Why: of an event over the limit nothing shows that it is complete.
        self.long_word = NULL
        return b"" if self.close_event(NULL, 0) else before

    cdef bint is_like_the_last(self, const char* event, size_t length) noexcept nogil:
        """Whether the chunk is one event that says no more than the latest that said nothing."""
        cdef const char* stop
        cdef uint32_t first, last, reach = 0
        if self.is_open or self.after_cr or self.in_comment or length > self.marks.limit:
            return False
        if not find_stretch(&self.twin, event, length, &first, &last):
            return False
        stop = event + last
        # Why line ends: an event that has one there has two lines, or is two events.
        # Safety: TWIN_EDGE bytes follow.
        return line_end(event + first, stop) == stop and not self.marks.is_interesting(
            event + first, stop, event + length, &reach
        )

    # Framing.

    cdef const char* event_start(self, const char* at, const char* end) noexcept nogil:
        """Where an event begins (is_open), or behind a line that belongs to none."""
        if not self.in_comment:
            if at[0] == c':' and self.kind == EVENTS_SSE:
                self.in_comment = True
            elif at[0] != c'\n' and (at[0] != c'\r' or self.kind == EVENTS_NDJSON):
                self.is_open = True
                self.line_bytes = 0
                return at
        self.is_first = self.dropping = False
        at = line_end(at, end)
        if at == end:
            return end
        self.in_comment = False
        self.after_cr = at[0] == c'\r'
        return at + 1

    cdef const char* event_end(self, const char* at, const char* end) noexcept nogil:
        """Behind the event's last line, or end with the event still open."""
        cdef const char* line
        if self.kind == EVENTS_NDJSON:
            at = <const char*>memchr(at, c'\n', <size_t>(end - at))
            self.is_open = at == NULL
            return end if at == NULL else at + 1
        while at < end:
            if self.after_cr:
                self.after_cr = False
                if at[0] == c'\n':
                    at += 1
                    continue
            line = at
            at = line_end(at, end)
            self.line_bytes += <size_t>(at - line)
            if at == end:
                break
            self.after_cr = at[0] == c'\r'
            at += 1
            if self.line_bytes == 0:
                self.is_open = False
                break
            self.line_bytes = 0
        return at

    cdef int close_event(self, const char* start, size_t length) except -1:
        """The event ends with these bytes; whether it is withheld."""
        cdef bint withheld = False
        if self.event_bytes + length > self.marks.limit:
            self.pass_long(start, length)
            self.count += 1
            self.apply(self.long_word)
        elif self.held_bytes:
            self.append(start, length)
            withheld = self.look(self.held, self.held_bytes)
        else:
            self.says_nothing = False
            withheld = self.look(start, length)
            # Why not the first: a byte order mark before it belongs to no other event.
            if self.says_nothing and not (self.after_cr or self.is_first):
                keep_twin(&self.twin, start, length, self.reach)
        self.event_bytes = 0
        self.long_word = NULL
        self.is_first = False
        self.let_go()
        return withheld

    cdef int hold(self, const char* start, size_t length) except -1:
        """The event goes on in the next chunk."""
        if self.event_bytes + length > self.marks.limit:
            self.pass_long(start, length)
        else:
            self.append(start, length)
        self.event_bytes += length
        return 0

    cdef int append(self, const char* start, size_t length) except -1:
        """Cost: one memcpy; the buffer doubles, so each byte is moved twice at most."""
        cdef size_t needed = self.held_bytes + length
        cdef size_t room = max(needed, 2 * <size_t>self.held_room)
        cdef char* grown
        if needed > self.held_room:
            grown = <char*>realloc(self.held, room)
            if grown == NULL:
                raise MemoryError
            self.held = grown
            self.held_room = <uint32_t>room
        # Safety: held_room >= held_bytes + length.
        if length:
            memcpy(self.held + self.held_bytes, start, length)
        self.held_bytes = <uint32_t>needed
        return 0

    cdef int pass_long(self, const char* start, size_t length) except -1:
        """With these bytes the event is over the limit: keep what its name means, no more."""
        cdef uint32_t limit = self.marks.limit
        self.overflowed = True
        if self.event_bytes > limit or self.kind == EVENTS_NDJSON:
            self.let_go()
            return 0
        # Why: exactly the first `limit` bytes, wherever the chunks were cut.
        if self.held_bytes:
            self.append(start, limit - self.held_bytes)
            start = self.held
        self.long_word = last_name(self.marks, start, start + limit, False)
        self.let_go()
        return 0

    cdef void let_go(self) noexcept:
        self.held_bytes = 0
        if self.held_room > KEPT_ROOM:
            free(self.held)
            self.held = NULL
            self.held_room = 0

    # One whole event.

    cdef int look(self, const char* event, size_t length) except -1:
        """Whether the event is withheld."""
        cdef const char* end = event + length
        cdef const char* stop
        cdef Text data
        if self.kind == EVENTS_NDJSON:
            event = skip_space(event, end)
            self.count += event < end
            return self.look_at_data(event, end, NULL)
        if self.is_first and length >= 3 and memcmp(event, b"\xef\xbb\xbf", 3) == 0:
            event += 3
        stop = line_end(event, end)
        if is_field(event, stop, b"data", 4, &data) and is_last_line(stop, end):
            self.count += 1
            return self.look_at_data(data.at, data.at + data.length, NULL)
        return self.look_at_lines(event, end, last_name(self.marks, event, end, True))

    cdef int look_at_lines(self, const char* event, const char* end, const Word* word) except -1:
        """The event of several lines. Why a copy: the data of two lines may be one JSON text."""
        cdef bint withheld = False
        cdef size_t length
        cdef char* data
        if word != NULL and word.fails:
            self.apply(word)
        data = <char*>malloc(<size_t>(end - event) + 1)
        if data == NULL:
            raise MemoryError
        length = join_data_into(data, event, end)
        if length:
            self.count += 1
            withheld = self.look_at_data(data, data + length, word)
        self.says_nothing = False
        free(data)
        return withheld

    cdef bint look_at_data(self, const char* at, const char* end, const Word* word) noexcept:
        at = skip_space(at, end)
        while end > at and is_space((end - 1)[0]):
            end -= 1
        if at == end:
            return False
        if self.marks.done_text.length and is_text(
            at, <size_t>(end - at), &self.marks.done_text
        ):
            self.done = self.finished = True
            return False
        if not self.marks.json:
            self.apply(word)
            return False
        if word == NULL and self.is_plain(at, end):
            self.says_nothing = True
            return False
        return self.study(at, <size_t>(end - at), word)

    cdef bint is_plain(self, const char* at, const char* end) noexcept nogil:
        """Whether it is an object, by its braces, without a word that may say anything."""
        if self.marks.validate or end - at < 17 or at[0] != c'{' or (end - 1)[0] != c'}':
            return False
        # Why: an event that is like the end of a stream in all but a word may be that end.
        if self.marks.done_text.length and self.marks.done_text.at[0] == c'{':
            return False
        self.reach = self.marks.longest
        return not self.marks.is_interesting(at, end, end, &self.reach)

    cdef bint study(self, const char* data, size_t length, const Word* word) noexcept:
        """Cost: one pass of splice over the data, a second over its choices and usage."""
        cdef Member[MAX_NAMES] top
        cdef Member element
        cdef uint32_t at = 0
        cdef bint has_usage
        if self.marks.top.scan(data, length, top, NULL, NULL) != SCAN_OK:
            self.malformed += 1
            return False
        self.apply(word)
        self.apply(self.marks.type_word(data, top))
        if is_given(&top[self.marks.error_at]):
            self.failed = self.usage.failed = True
        if self.marks.done_at >= 0 and is_true(&top[self.marks.done_at]):
            self.done = self.finished = True
        has_usage = self.marks.read_usage(data, length, top, &self.usage)
        if self.marks.choices_at < 0:
            return False
        self.finished_choices |= self.marks.finished_in(data, top, &self.usage)
        if self.finished_choices and (
            <uint32_t>__builtin_popcountll(self.finished_choices) >= self.choices
        ):
            self.finished = True
        if not (self.withhold_usage and has_usage):
            return False
        if top[self.marks.choices_at].kind != JSON_ARRAY:
            return False
        if next_element(data, &top[self.marks.choices_at], &at, &element):
            return False
        self.withheld += 1
        return True

    cdef void apply(self, const Word* word) noexcept:
        if word == NULL:
            return
        if word.fails:
            self.failed = self.usage.failed = True
            return
        self.finished = True
        if word.finish != FINISH_NONE:
            self.usage.finish = word.finish

    # What was seen, for tests and the control plane; compiled code reads `usage`.

    @property
    def input_tokens(self):
        return self.usage.input_tokens

    @property
    def output_tokens(self):
        return self.usage.output_tokens

    @property
    def cached_tokens(self):
        return self.usage.cached_tokens

    @property
    def finish(self):
        return self.usage.finish


cdef inline bint is_last_line(const char* stop, const char* end) noexcept nogil:
    """Whether nothing but line ends follow: the event has one line."""
    while stop < end and (stop[0] == c'\n' or stop[0] == c'\r'):
        stop += 1
    return stop == end
