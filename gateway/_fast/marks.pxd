# What the answers of one protocol operation say of themselves: usage, ends, failures.
#
# A search for a few quoted words decides whether the JSON of an event is scanned at all;
# what it says is always decided by the scan.

from libc.stddef cimport size_t
from libc.stdint cimport int8_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp
from gateway._fast.scan cimport Member
from gateway._fast.shape cimport Shape
from gateway._fast.texts cimport Text

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
    cdef uint32_t longest               # bytes of a needle, or of a letter in disguise
    cdef uint8_t[MAX_LETTERS][16] letters
    cdef uint32_t letter_count

    # A whole answer that is no stream. Scan: SCAN_OK, or why its JSON is refused.
    cdef int usage_of(self, const char* data, size_t length, Usage* out) noexcept

    # Whether a word that begins from `at` to before `stop` may say anything. `reach` grows to
    # the bytes from where a word begins to where it was told that it says nothing.
    # Safety: 17 bytes can be read before `end`.
    cdef bint is_interesting(
        self, const char* at, const char* stop, const char* end, uint32_t* reach
    ) noexcept nogil
    cdef bint is_needle(self, const char* at, const char* end, uint32_t* reach) noexcept nogil
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


cdef inline bint is_text(const char* at, size_t length, const Text* text) noexcept nogil:
    return length == text.length and memcmp(at, text.at, length) == 0

cdef inline bint is_space(char c) noexcept nogil:
    return c == c' ' or c == c'\t' or c == c'\n' or c == c'\r'

cdef inline const char* skip_space(const char* at, const char* end) noexcept nogil:
    while at < end and is_space(at[0]):
        at += 1
    return at
