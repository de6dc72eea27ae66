"""Stream events, read while they are relayed; see events.pxd for the rules.

Cost: about 60 ns for a chunk that is one event with nothing of interest; nothing is
copied then. An event whose JSON is scanned costs about 1 ns a byte more, one that is
cut across chunks one memcpy. Knows nothing of HTTP; the exchange calls it.
"""

import cython

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memchr, memcmp, memcpy, memset
from gateway._fast.blocks cimport __builtin_ctz, breaks16, quoted16
from gateway._fast.splice cimport (
    JSON_ARRAY, JSON_MISSING, JSON_OBJECT, JSON_STRING, MAX_NAMES, Member, Pointer, SCAN_OK,
    Shape, Text, integer_of, is_given, is_true, next_element, string_equals,
)

cdef extern from *:
    int __builtin_popcountll(unsigned long long bits) noexcept nogil

cdef enum:
    KEPT_ROOM = 4096                    # a held buffer up to this is kept for the next event

# What models call their reasons to stop.
cdef dict FINISHES = {
    b"": FINISH_NONE,
    b"stop": FINISH_STOP,
    b"end_turn": FINISH_STOP,
    b"stop_sequence": FINISH_STOP,
    b"length": FINISH_LENGTH,
    b"max_tokens": FINISH_LENGTH,
    b"max_output_tokens": FINISH_LENGTH,
    b"tool_calls": FINISH_TOOLS,
    b"tool_use": FINISH_TOOLS,
    b"function_call": FINISH_TOOLS,
    b"content_filter": FINISH_FILTER,
    b"refusal": FINISH_FILTER,
}


cdef Text text_of(bytes kept) noexcept:
    # Safety: the caller keeps `kept` alive for as long as the Text is used.
    cdef Text text
    text.at = PyBytes_AS_STRING(kept)
    text.length = <uint32_t>PyBytes_GET_SIZE(kept)
    return text


cdef inline bint is_text(const char* at, size_t length, const Text* text) noexcept nogil:
    return length == text.length and memcmp(at, text.at, length) == 0


cdef inline bint is_space(char c) noexcept nogil:
    return c == c' ' or c == c'\t' or c == c'\n' or c == c'\r'


cdef inline const char* skip_space(const char* at, const char* end) noexcept nogil:
    while at < end and is_space(at[0]):
        at += 1
    return at


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


cdef bint means_something(const Needle* needle, const char* at, const char* end) noexcept nogil:
    """Whether a key that ends before `at` has a value that is not null."""
    if not needle.is_key:
        return True
    at = skip_space(at, end)
    if at == end or at[0] != c':':
        return False
    at = skip_space(at + 1, end)
    if end - at >= 4 and memcmp(at, b"null", 4) == 0:
        return False
    return not (
        needle.false_is_boring and end - at >= 5 and memcmp(at, b"false", 5) == 0
    )


@cython.final
cdef class Marks:
    """What to look for; every pointer is RFC 6901.

    done            data that ends the stream
    usage           where the usage object is: "/usage", "/response/usage", "" (the event)
    input_tokens …  where the figures are in it, the first that is there counts
    ended           event names or `type` values of a proper end → the finish they mean
    failing         … of a failure
    done_member     a member of the event that is true at the end
    finish_reason   whether choices[].finish_reason says that a choice is complete
    """

    def __cinit__(
        self, *, done="[DONE]", usage=("/usage",),
        input_tokens=("/prompt_tokens", "/input_tokens"),
        output_tokens=("/completion_tokens", "/output_tokens"),
        cached_tokens=(
            "/prompt_tokens_details/cached_tokens", "/input_tokens_details/cached_tokens",
        ),
        ended=None, failing=("error",), done_member="", bint finish_reason=True,
        bint json=True, bint validate=False, uint32_t limit=262144,
    ):
        self.limit = limit
        self.json = json
        self.done = done.encode()
        self.done_text = text_of(self.done)
        figures = [*input_tokens, *output_tokens, *cached_tokens]
        top = [name_in(pointer) for pointer in usage if pointer]
        top += ["error", "type"] + ["choices"] * finish_reason
        top += [done_member] * (done_member != "")
        if "" in usage:
            top += [name_in(pointer) for pointer in figures]
        top = list(dict.fromkeys(top))
        inner = list(dict.fromkeys(name_in(pointer) for pointer in figures))
        self.top = Shape(top)
        self.usage_shape = Shape(inner)
        self.choice = Shape(("finish_reason", "index"))
        self.error_at = top.index("error")
        self.type_at = top.index("type")
        self.choices_at = top.index("choices") if finish_reason else -1
        self.done_at = top.index(done_member) if done_member else -1
        rests = []
        self.usage = places_of(usage, top, rests)
        self.input_tokens = places_of(input_tokens, inner, rests)
        self.output_tokens = places_of(output_tokens, inner, rests)
        self.cached_tokens = places_of(cached_tokens, inner, rests)
        self.rests = tuple(rests)
        words = self.compile_words(dict(ended or {}), tuple(failing))
        needles = [(last_name_in(pointer), True, False) for pointer in usage if pointer]
        if "" in usage:
            needles += [(name_in(pointer), True, False) for pointer in figures]
        needles += [("error", True, False)]
        needles += [("finish_reason", True, False)] * finish_reason
        needles += [(done_member, True, True)] * (done_member != "")
        needles += [(word, False, False) for word in words]
        self.compile_needles(list(dict.fromkeys(needles)), validate)

    cdef list compile_words(self, dict ended, tuple failing):
        words = [(word, finish, False) for word, finish in ended.items()]
        words += [(word, "", True) for word in failing]
        if len(words) > MAX_WORDS:
            raise ValueError(f"at most {MAX_WORDS} event names")
        self.kept = tuple([word.encode() for word, _finish, _fails in words])
        for n in range(len(words)):
            self.words[n].text = text_of(self.kept[n])
            self.words[n].finish = FINISHES.get(words[n][1].encode(), FINISH_OTHER)
            self.words[n].fails = words[n][2]
        self.word_count = len(words)
        return [word for word, _finish, _fails in words]

    cdef int compile_needles(self, list needles, bint validate) except -1:
        """A word that JSON may spell in several ways cannot be searched for."""
        cdef bytes quoted
        plain = [word for word, _is_key, _boring in needles if is_plain(word)]
        letters = sorted({word[0] for word in plain})
        self.validate = (
            validate or len(plain) < len(needles)
            or len(needles) > MAX_NEEDLES or len(letters) > MAX_LETTERS
        )
        if self.validate:
            return 0
        texts = [b'"' + word.encode() + b'"' for word in plain]
        self.kept += tuple(texts)
        for n in range(len(needles)):
            quoted = texts[n]
            self.needles[n].text = text_of(quoted)
            self.needles[n].is_key = needles[n][1]
            self.needles[n].false_is_boring = needles[n][2]
        self.needle_count = len(needles)
        for n in range(len(letters)):
            memset(&self.letters[n][0], <int>ord(letters[n]), 16)
        self.letter_count = len(letters)
        return 0

    cdef bint is_interesting(self, const char* data, size_t length) noexcept nogil:
        """Whether the event may say anything: a word in quotes, or a letter in disguise."""
        cdef const char* at = data
        cdef const char* end = data + length
        cdef uint32_t bits
        if length < 17:
            return True
        while True:
            # Safety: 17 bytes from `at` are there; the last block overlaps the one before.
            if end - at < 17:
                at = end - 17
            bits = quoted16(<const uint8_t*>at, &self.letters[0][0], self.letter_count)
            while bits:
                if self.is_needle(at + __builtin_ctz(bits), end):
                    return True
                bits &= bits - 1
            if end - at == 17:
                return False
            at += 16

    cdef bint is_needle(self, const char* at, const char* end) noexcept nogil:
        cdef const Needle* needle
        cdef uint32_t n
        if at[0] == c'\\':
            # Why: \u0020 to \u007f can spell any word looked for.
            return end - at >= 6 and at[2] == c'0' and at[3] == c'0' and c'2' <= at[4] <= c'7'
        for n in range(self.needle_count):
            needle = &self.needles[n]
            if (
                at[1] == needle.text.at[1]
                and <size_t>(end - at) >= needle.text.length
                and memcmp(at, needle.text.at, needle.text.length) == 0
                and means_something(needle, at + needle.text.length, end)
            ):
                return True
        return False

    cdef const Word* word_of(self, const char* at, size_t length) noexcept nogil:
        cdef uint32_t n
        for n in range(self.word_count):
            if is_text(at, length, &self.words[n].text):
                return &self.words[n]
        return NULL

    cdef const Word* type_word(self, const char* data, const Member* top) noexcept nogil:
        cdef const Member* member = &top[self.type_at]
        cdef uint32_t n
        for n in range(self.word_count):
            if string_equals(
                data, member, self.words[n].text.at, self.words[n].text.length
            ):
                return &self.words[n]
        return NULL

    cdef int64_t figure(
        self, const char* data, const Places* places, const Member* members
    ) noexcept:
        """The first of the places that holds a plain integer, or -1."""
        cdef Member inner
        cdef int64_t value
        cdef uint32_t n
        for n in range(places.count):
            inner = members[places.first[n]]
            if places.rest[n] >= 0 and inner.kind != JSON_MISSING:
                (<Pointer>self.rests[places.rest[n]]).find_span(
                    data, inner.start, inner.end, &inner
                )
            value = integer_of(data, &inner)
            if value >= 0:
                return value
        return -1

    cdef bint find_usage(
        self, const char* data, size_t length, const Member* top, Member* out
    ) noexcept:
        cdef uint32_t n
        for n in range(self.usage.count):
            if self.usage.first[n] < 0:
                out.start = 0
                out.end = <uint32_t>length
                return True
            out[0] = top[self.usage.first[n]]
            if self.usage.rest[n] >= 0 and out.kind != JSON_MISSING:
                (<Pointer>self.rests[self.usage.rest[n]]).find_span(
                    data, out.start, out.end, out
                )
            if out.kind == JSON_OBJECT:
                return True
        return False

    cdef bint read_usage(
        self, const char* data, size_t length, const Member* top, Usage* out
    ) noexcept:
        """Whether there is a usage object; figures it does not give stay as they were."""
        cdef Member usage
        cdef Member[MAX_NAMES] members
        cdef int64_t value
        if not self.find_usage(data, length, top, &usage):
            return False
        self.usage_shape.scan_span(data, usage.start, usage.end, members, NULL, NULL)
        value = self.figure(data, &self.input_tokens, members)
        if value >= 0:
            out.input_tokens = value
        value = self.figure(data, &self.output_tokens, members)
        if value >= 0:
            out.output_tokens = value
        value = self.figure(data, &self.cached_tokens, members)
        if value >= 0:
            out.cached_tokens = value
        return True

    cdef uint64_t finished_in(
        self, const char* data, const Member* top, Usage* out
    ) noexcept:
        """Bit i: choice i, modulo 64, gave its finish_reason."""
        cdef Member element
        cdef Member[2] choice
        cdef uint32_t at = 0
        cdef int64_t index
        cdef uint64_t found = 0
        if self.choices_at < 0:
            return 0
        while next_element(data, &top[self.choices_at], &at, &element):
            if element.kind != JSON_OBJECT:
                continue
            self.choice.scan_span(data, element.start, element.end, choice, NULL, NULL)
            if choice[0].kind == JSON_STRING:
                index = integer_of(data, &choice[1])
                found |= <uint64_t>1 << (index & 63 if index > 0 else 0)
                out.finish = finish_of(data, &choice[0])
        return found

    cdef int usage_of(self, const char* data, size_t length, Usage* out) noexcept:
        cdef Member[MAX_NAMES] top
        cdef const Word* word
        out[0] = Usage(-1, -1, -1, FINISH_NONE, False)
        cdef int code = self.top.scan(data, length, top, NULL, NULL)
        if code != SCAN_OK:
            return code
        word = self.type_word(data, top)
        out.failed = is_given(&top[self.error_at]) or word != NULL and word.fails
        self.read_usage(data, length, top, out)
        self.finished_in(data, top, out)
        return SCAN_OK

    def usage_in(self, bytes data):
        """(code, input_tokens, output_tokens, cached_tokens, finish, failed) of a whole answer."""
        cdef Usage usage
        cdef int code = self.usage_of(data, len(data), &usage)
        return (
            code, usage.input_tokens, usage.output_tokens, usage.cached_tokens,
            usage.finish, bool(usage.failed),
        )


cdef bint is_plain(str word):
    """Spelled in one way only, but for the \\u00xx that the search knows."""
    return word != "" and word.isascii() and word.isprintable() and not set(word) & set('"\\/')


cdef str name_in(str pointer):
    """The first token of a pointer."""
    if not pointer.startswith("/"):
        raise ValueError(f"a JSON pointer begins with '/': {pointer!r}")
    return pointer.split("/")[1].replace("~1", "/").replace("~0", "~")


cdef str last_name_in(str pointer):
    """The last token of a pointer."""
    return pointer[pointer.rindex("/") + 1:].replace("~1", "/").replace("~0", "~")


cdef Places places_of(object pointers, list names, list rests) except *:
    cdef Places places
    memset(&places, 0, sizeof(Places))
    if len(pointers) > MAX_PLACES:
        raise ValueError(f"at most {MAX_PLACES} places for a figure")
    for n, pointer in enumerate(pointers):
        rest = "/".join(["", *pointer.split("/")[2:]])
        places.first[n] = names.index(name_in(pointer)) if pointer else -1
        places.rest[n] = len(rests) if rest else -1
        if rest:
            rests.append(Pointer(rest))
    places.count = len(pointers)
    return places


cdef uint8_t finish_of(const char* data, const Member* reason) noexcept:
    cdef bytes word
    for word, finish in FINISHES.items():
        if string_equals(data, reason, PyBytes_AS_STRING(word), PyBytes_GET_SIZE(word)):
            return finish
    return FINISH_OTHER


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

    cdef void reset(self, Marks marks, EventKind kind, bint withhold_usage, uint32_t choices):
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
            withheld = self.look(start, length)
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
        if word == NULL and not self.marks.validate and at[0] == c'{' and (end - 1)[0] == c'}' \
                and not self.marks.is_interesting(at, <size_t>(end - at)):
            return False
        return self.study(at, <size_t>(end - at), word)

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
