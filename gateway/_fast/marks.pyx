"""What the answers of one protocol operation say of themselves; see marks.pxd.

Cost: about 40 ns to tell that an event of 160 bytes says nothing; one scan of its JSON
where it may, a second one over its choices and its usage. Knows nothing of framing;
`events` asks for each event, the exchange for a whole answer.
"""

import cython

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.string cimport memcmp, memset
from gateway._fast.blocks cimport __builtin_ctz, quoted16
from gateway._fast.members cimport integer_of, string_equals
from gateway._fast.pointer cimport Pointer, tokens_of
from gateway._fast.scan cimport (
    JSON_ARRAY, JSON_MISSING, JSON_OBJECT, JSON_STRING, MAX_NAMES, SCAN_OK, is_given, look_again,
    value_end,
)
from gateway._fast.texts cimport text_of

cdef enum:
    ESCAPE_BYTES = 6                    # \u0065

# What models call their reasons to stop.
cdef dict FINISHES = {
    b"stop": FINISH_STOP,               # Cost: the usual one is found first
    b"": FINISH_NONE,
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


cdef const char* meaningless_end(
    const Needle* needle, const char* at, const char* end
) noexcept nogil:
    """Behind what tells that a word that ends before `at` is no key, or one of null; or NULL."""
    if not needle.is_key:
        return NULL
    at = skip_space(at, end)
    if at == end or at[0] != c':':
        return at + 1
    at = skip_space(at + 1, end)
    if end - at >= 4 and memcmp(at, b"null", 4) == 0:
        return at + 4
    if needle.false_is_boring and end - at >= 5 and memcmp(at, b"false", 5) == 0:
        return at + 5
    return NULL


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
        needles = [(tokens_of(pointer).pop(), True, False) for pointer in usage if pointer]
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
        self.longest = max([ESCAPE_BYTES] + [len(text) for text in texts])
        for n in range(len(letters)):
            memset(&self.letters[n][0], <int>ord(letters[n]), 16)
        self.letter_count = len(letters)
        return 0

    cdef bint is_interesting(
        self, const char* at, const char* stop, const char* end, uint32_t* reach
    ) noexcept nogil:
        """A word in quotes, or a letter in disguise."""
        cdef uint32_t bits
        while at < stop:
            # Safety: 17 bytes from `at` are there; the last block overlaps the one before.
            if end - at < 17:
                at = end - 17
            bits = quoted16(<const uint8_t*>at, &self.letters[0][0], self.letter_count)
            while bits:
                if self.is_needle(at + __builtin_ctz(bits), end, reach):
                    return True
                bits &= bits - 1
            if end - at == 17:
                return False
            at += 16
        return False

    cdef bint is_needle(self, const char* at, const char* end, uint32_t* reach) noexcept nogil:
        cdef const Needle* needle
        cdef const char* told
        cdef uint32_t n
        if at[0] == c'\\':
            # Why: \u0020 to \u007f can spell any word looked for.
            return (
                end - at >= ESCAPE_BYTES
                and at[2] == c'0' and at[3] == c'0' and c'2' <= at[4] <= c'7'
            )
        for n in range(self.needle_count):
            needle = &self.needles[n]
            if (
                at[1] == needle.text.at[1]
                and <size_t>(end - at) >= needle.text.length
                and memcmp(at, needle.text.at, needle.text.length) == 0
            ):
                told = meaningless_end(needle, at + needle.text.length, end)
                if told == NULL:
                    return True
                reach[0] = max(reach[0], <uint32_t>(told - at))
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
        look_again(
            data, <const uint8_t*>data + usage.start, <const uint8_t*>data + usage.end,
            &self.usage_shape.wanted, members,
        )
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
        cdef Member[2] choice
        cdef uint64_t found = 0
        cdef const Member* choices
        cdef const uint8_t* at
        cdef const uint8_t* end
        if self.choices_at < 0:
            return 0
        choices = &top[self.choices_at]
        if choices.kind != JSON_ARRAY:
            return 0
        at = <const uint8_t*>data + choices.start
        end = <const uint8_t*>data + choices.end
        # Cost: one look at each element; where it ends is known when it was read.
        while at < end and at[0] != c']':
            at = element_at(at, end)
            if at < end and at[0] == c'{':
                at = look_again(data, at, end, &self.choice.wanted, choice)
                found |= finish_in(data, choice, out)
            elif at < end and at[0] != c']':
                at = value_end(at, end)
            at = <const uint8_t*>skip_space(<const char*>at, <const char*>end)
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


cdef inline const uint8_t* element_at(const uint8_t* at, const uint8_t* end) noexcept nogil:
    """Where the element behind this bracket or comma begins."""
    return <const uint8_t*>skip_space(<const char*>at + 1, <const char*>end)


cdef uint64_t finish_in(const char* data, const Member* choice, Usage* out) noexcept:
    """The bit of a choice that gave its finish_reason."""
    cdef int64_t index
    if choice[0].kind != JSON_STRING:
        return 0
    out.finish = finish_of(data, &choice[0])
    index = integer_of(data, &choice[1])
    return <uint64_t>1 << (index & 63 if index > 0 else 0)


cdef bint is_plain(str word) except -1:
    """Spelled in one way only, but for the \\u00xx that the search knows."""
    return word != "" and word.isascii() and word.isprintable() and not set(word) & set('"\\/')


cdef str name_in(str pointer):
    """The first token of a pointer."""
    if not pointer:
        raise ValueError("a JSON pointer to a member begins with '/'")
    return tokens_of(pointer)[0]


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
