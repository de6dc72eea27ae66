"""Record batches of the log's lines; see kafka.pxd for the rules.

Knows nothing of connections, compression and topics' names: `shipper.kafka` has them.
"""

import cython

from cpython.bytearray cimport (
    PyByteArray_AS_STRING, PyByteArray_FromStringAndSize, PyByteArray_Resize
)
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport uint64_t
from libc.string cimport memchr, memcmp, memcpy, memset
from gateway._fast.debug cimport FAST_DEBUG
from gateway._fast.members cimport bytes_of_string
from gateway._fast.scan cimport SCAN_OK, Member, scan_value, value_end

cdef enum:
    SEED = 0x9747B28C                   # of Kafka's partitioner
    HEADERS = 6                         # of each record
    DAY_S = 86_400
    MARGIN = 512                        # bound of what a record has beside value and key

TOO_LONG = "longer than max_message"
NOT_A_RECORD = "not a record"


# Numbers

cdef inline uint32_t word_at(const char* data) noexcept nogil:
    cdef const uint8_t* at = <const uint8_t*>data
    return at[0] | <uint32_t>at[1] << 8 | <uint32_t>at[2] << 16 | <uint32_t>at[3] << 24


cdef uint32_t murmur2(const char* data, size_t length) noexcept nogil:
    cdef uint32_t factor = 0x5BD1E995
    cdef uint32_t hash = <uint32_t>SEED ^ <uint32_t>length
    cdef uint32_t word
    cdef const uint8_t* rest
    cdef size_t i, words = length // 4
    for i in range(words):
        word = word_at(data + 4 * i) * factor
        word = (word ^ (word >> 24)) * factor
        hash = hash * factor ^ word
    rest = <const uint8_t*>data + 4 * words
    length -= 4 * words
    if length == 3:
        hash ^= <uint32_t>rest[2] << 16
    if length >= 2:
        hash ^= <uint32_t>rest[1] << 8
    if length >= 1:
        hash = (hash ^ rest[0]) * factor
    hash = (hash ^ (hash >> 13)) * factor
    return hash ^ (hash >> 15)


cdef inline int partition_of(Span key, int partitions) noexcept nogil:
    return <int>((murmur2(key.at, key.length) & 0x7FFFFFFF) % <uint32_t>partitions)


cdef inline int number_at(const char* text, int digits) noexcept nogil:
    """The digits as a number; negative where one is none."""
    cdef int i, number = 0
    for i in range(digits):
        if not c'0' <= text[i] <= c'9':
            return -1
        number = number * 10 + (text[i] - c'0')
    return number


cdef inline int64_t days_of(int64_t year, int month, int day) noexcept nogil:
    # Days since 1970 of a date of the Gregorian calendar; years begin in March here, so that
    # the leap day is the last. Hinnant, "chrono-Compatible Low-Level Date Algorithms".
    cdef int64_t era, year_of_era, day_of_year
    year -= month <= 2
    era = year // 400
    year_of_era = year - era * 400
    day_of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146097 + year_of_era * 365 + year_of_era // 4 - year_of_era // 100 \
        + day_of_year - 719468


cdef int64_t milliseconds_of(const char* text, size_t length) noexcept nogil:
    # 2026-11-21T12:00:00Z, with any number of decimals.
    cdef int year, month, day, hour, minute, second
    cdef int64_t ms = 0
    cdef size_t i
    cdef int scale = 100
    if length < 20 or text[length - 1] != c'Z' or text[4] != c'-' or text[10] != c'T':
        return -1
    year, month, day = number_at(text, 4), number_at(text + 5, 2), number_at(text + 8, 2)
    hour, minute, second = (
        number_at(text + 11, 2), number_at(text + 14, 2), number_at(text + 17, 2)
    )
    if year < 1970 or not 1 <= month <= 12 or not 1 <= day <= 31:
        return -1
    if hour < 0 or minute < 0 or second < 0 or (length > 20 and text[19] != c'.'):
        return -1
    for i in range(20, min(length - 1, <size_t>23)):
        if not c'0' <= text[i] <= c'9':
            return -1
        ms += (text[i] - c'0') * scale
        scale //= 10
    return ((days_of(year, month, day) * DAY_S) + hour * 3600 + minute * 60 + second) * 1000 + ms


# Variable-length numbers, zigzag coded: small ones of either sign are short.

cdef inline size_t varint_bytes(int64_t number) noexcept nogil:
    cdef uint64_t left = (<uint64_t>number << 1) ^ <uint64_t>(-<int64_t>(number < 0))
    cdef size_t size = 1
    while left >= 0x80:
        left >>= 7
        size += 1
    return size


cdef inline char* put_varint(char* at, int64_t number) noexcept nogil:
    cdef uint64_t left = (<uint64_t>number << 1) ^ <uint64_t>(-<int64_t>(number < 0))
    while left >= 0x80:
        at[0] = <char>(<uint8_t>(left & 0x7F | 0x80))
        left >>= 7
        at += 1
    at[0] = <char>(<uint8_t>left)
    return at + 1


cdef inline char* put(char* at, const char* data, size_t length) noexcept nogil:
    memcpy(at, data, length)
    return at + length


cdef inline char* put_bytes(char* at, bytes data) noexcept:
    return put(at, PyBytes_AS_STRING(data), <size_t>PyBytes_GET_SIZE(data))


cdef inline char* put_sized(char* at, Span span) noexcept nogil:
    return put(put_varint(at, <int64_t>span.length), span.at, span.length)


cdef inline size_t sized_bytes(Span span) noexcept nogil:
    return varint_bytes(<int64_t>span.length) + span.length


cdef bytes varint(int64_t number):
    cdef char[10] text
    return text[:put_varint(text, number) - text]


cdef bytes sized(bytes data):
    """The bytes behind their length."""
    return varint(len(data)) + data


@cython.final
cdef class Pack:

    def __cinit__(self, bint is_feedback, int partition, int first_line, size_t room):
        self.is_feedback = is_feedback
        self.partition = partition
        self.first_line = first_line
        # Safety: what is not written yet is never seen: `finish` cuts it off.
        self.data = PyByteArray_FromStringAndSize(NULL, <Py_ssize_t>(room + BATCH_HEADER_BYTES))
        memset(PyByteArray_AS_STRING(self.data), 0, BATCH_HEADER_BYTES)
        self.used = BATCH_HEADER_BYTES

    cdef char* room_for(self, size_t more) except NULL:
        # Safety: nobody has a view of `data` before it is finished, and the pointer is used
        # up before the next call.
        cdef size_t room = <size_t>len(self.data)
        if self.used + more > room:
            PyByteArray_Resize(self.data, <Py_ssize_t>max(self.used + more, room * 2))
        return PyByteArray_AS_STRING(self.data) + self.used

    cdef int add(self, Packer packer, const Entry* entry) except -1:
        cdef Span kind = entry.found[FOUND_KIND]
        cdef int64_t delta_ms
        cdef size_t body
        cdef char* at
        cdef char* end
        if self.count == 0:
            self.first_ms = self.last_ms = entry.time_ms
        self.last_ms = max(self.last_ms, entry.time_ms)
        delta_ms = entry.time_ms - self.first_ms
        body = (
            1 + varint_bytes(delta_ms) + varint_bytes(self.count)
            + (sized_bytes(entry.key) if entry.key.at != NULL else 1)
            + sized_bytes(entry.value) + <size_t>PyBytes_GET_SIZE(packer.front)
            + <size_t>PyBytes_GET_SIZE(packer.id_name) + sized_bytes(entry.found[FOUND_ID])
            + <size_t>PyBytes_GET_SIZE(packer.type_name)
            + varint_bytes(<int64_t>kind.length + 8) + 8 + kind.length
            + <size_t>PyBytes_GET_SIZE(packer.time_name) + sized_bytes(entry.found[FOUND_TIME])
        )
        at = put_varint(self.room_for(varint_bytes(<int64_t>body) + body), <int64_t>body)
        end = at + body
        at[0] = 0                       # attributes: none
        at = put_varint(put_varint(at + 1, delta_ms), self.count)
        at = put_sized(at, entry.key) if entry.key.at != NULL else put_varint(at, -1)
        at = put_bytes(put_sized(at, entry.value), packer.front)
        at = put_sized(put_bytes(at, packer.id_name), entry.found[FOUND_ID])
        at = put_varint(put_bytes(at, packer.type_name), <int64_t>kind.length + 8)
        at = put(put(at, b"gateway.", 8), kind.at, kind.length)
        at = put_sized(put_bytes(at, packer.time_name), entry.found[FOUND_TIME])
        if FAST_DEBUG and at != end:
            raise SystemError("a record is not as long as was computed")
        self.used = <size_t>(at - PyByteArray_AS_STRING(self.data))
        self.count += 1
        return 0

    cdef int finish(self) except -1:
        return PyByteArray_Resize(self.data, <Py_ssize_t>self.used)


cdef inline bint equals(Span span, const char* text, size_t length) noexcept nogil:
    return span.length == length and memcmp(span.at, text, length) == 0


@cython.final
cdef class Packer:

    def __init__(self, bytes key, bytes source, bytes content_type, size_t most_bytes):
        self.key = key
        self.has_own_key = key not in (b"", b"id", b"request_id")
        self.most_bytes = most_bytes
        self.front = (
            varint(HEADERS)
            + sized(b"ce_specversion") + sized(b"1.0")
            + sized(b"ce_source") + sized(source)
            + sized(b"content-type") + sized(content_type)
        )
        self.id_name = sized(b"ce_id")
        self.type_name = sized(b"ce_type")
        self.time_name = sized(b"ce_time")

    cdef int which_of(self, const char* name, size_t length) noexcept:
        cdef Span span
        span.at, span.length = name, length
        if equals(span, b"id", 2):
            return FOUND_ID
        if equals(span, b"time", 4):
            return FOUND_TIME
        if equals(span, b"kind", 4):
            return FOUND_KIND
        if equals(span, b"request_id", 10):
            return FOUND_REQUEST_ID
        if self.has_own_key and equals(
            span, PyBytes_AS_STRING(self.key), <size_t>PyBytes_GET_SIZE(self.key)
        ):
            return FOUND_KEY
        return -1

    cdef bint read(self, const char* line, size_t length, Entry* entry) noexcept:
        """Note the members; False: the line has not what every record has."""
        cdef const char* at = line + 1
        cdef const char* end = line + length
        cdef const char* name
        cdef const char* value
        cdef int missing = FOUND_COUNT if self.has_own_key else FOUND_COUNT - 1
        cdef int which
        memset(entry, 0, sizeof(Entry))
        entry.value.at, entry.value.length = line, length
        if length == 0 or line[0] != c'{':
            return False
        while missing and at < end and at[0] == c'"':
            name = at + 1
            value = <const char*>memchr(name, c'"', <size_t>(end - name))
            # Safety: the colon and one byte of the value lie before the end.
            if value == NULL or end - value < 3 or value[1] != c':':
                return False
            which = self.which_of(name, <size_t>(value - name))
            value += 2
            at = <const char*>value_end(<const uint8_t*>value, <const uint8_t*>end)
            if which >= 0 and value[0] == c'"' and at - value >= 2 and (at - 1)[0] == c'"':
                entry.found[which].at = value + 1
                entry.found[which].length = <size_t>(at - value) - 2
                missing -= 1
            at += 1                     # the comma, or the end of the object
        entry.is_feedback = equals(entry.found[FOUND_KIND], b"feedback", 8)
        return entry.found[FOUND_ID].length > 0 and entry.found[FOUND_KIND].length > 0 \
            and entry.found[FOUND_TIME].length > 0

    cdef int spell_out(self, Entry* entry, list kept) except -1:
        """Choose the key, and undo the escapes of what is sent beside the value.

        Safety: what is spelt anew is in `kept`, which lives as long as the entry.
        """
        cdef int which
        if self.key == b"id":
            which = FOUND_ID
        elif self.has_own_key and not entry.is_feedback:
            which = FOUND_KEY
        else:
            which = FOUND_REQUEST_ID
        if not unescape(&entry.found[FOUND_ID], kept) or not unescape(&entry.found[which], kept):
            return 0
        if self.key and entry.found[which].length:
            entry.key = entry.found[which]
        return 1

    cdef str fault_of(self, Entry* entry, list kept, values, int number):
        """Why the line cannot be sent; None where it can, and `entry` is ready."""
        cdef bytes value
        if not self.read(entry.value.at, entry.value.length, entry):
            return NOT_A_RECORD
        if not self.spell_out(entry, kept):
            return NOT_A_RECORD
        if values is not None:
            value = values[number]
            if value is None:
                return NOT_A_RECORD
            # Safety: `values` holds it.
            entry.value.at = PyBytes_AS_STRING(value)
            entry.value.length = <size_t>PyBytes_GET_SIZE(value)
        return TOO_LONG if entry.value.length > self.most_bytes else None

    def pack(
        self, bytes data, bytes stream, int records, int feedback, size_t room,
        int64_t now_ms, skipped=(), values=None,
    ):
        """Packs of at most `room` bytes, and (number of the line, reason) of those refused.

        `records` and `feedback` are the topics' partitions; None where there is feedback and
        its number is 0. A longer line comes alone. `values` are sent in the lines' place.
        """
        cdef Entry entry
        cdef Sorter sorter = Sorter(stream, records, feedback, room, <size_t>len(data))
        cdef const char* line = PyBytes_AS_STRING(data)
        cdef const char* end = line + PyBytes_GET_SIZE(data)
        cdef const char* newline
        cdef int number = -1
        cdef list refused = []
        cdef list kept = []
        while line < end:
            newline = <const char*>memchr(line, c'\n', <size_t>(end - line))
            if newline == NULL:
                newline = end
            entry.value.at, entry.value.length = line, <size_t>(newline - line)
            line = newline + 1
            number += 1
            if number in skipped:
                continue
            fault = self.fault_of(&entry, kept, values, number)
            if fault is not None:
                refused.append((number, fault))
                continue
            if entry.is_feedback and feedback == 0:
                return None
            entry.time_ms = milliseconds_of(
                entry.found[FOUND_TIME].at, entry.found[FOUND_TIME].length
            )
            if entry.time_ms < 0:
                entry.time_ms = now_ms
            sorter.pack_for(&entry, number).add(self, &entry)
        return sorter.finished(), refused


@cython.final
cdef class Sorter:

    def __cinit__(self, bytes stream, int records, int feedback, size_t room, size_t all_bytes):
        # Safety: `stream` is kept for as long as `by_stream` points into it.
        self.stream = stream
        self.by_stream.at = PyBytes_AS_STRING(stream)
        self.by_stream.length = <size_t>PyBytes_GET_SIZE(stream)
        self.records, self.feedback, self.room = records, feedback, room
        self.first_room = min(room, 2 * all_bytes // <size_t>max(records, 1)) + PACK_BYTES
        self.open_packs = [None] * (records + feedback)
        self.packs = []

    cdef Pack pack_for(self, const Entry* entry, int number):
        """Where the entry goes; a new Pack where there is none, or it is full."""
        cdef Pack pack
        cdef int partition = partition_of(
            entry.key if entry.key.at != NULL else self.by_stream,
            self.feedback if entry.is_feedback else self.records,
        )
        cdef int slot = partition + self.records if entry.is_feedback else partition
        pack = self.open_packs[slot]
        if pack is None or pack.used + entry.value.length + entry.key.length + MARGIN > self.room:
            pack = Pack(entry.is_feedback, partition, number, self.first_room)
            self.open_packs[slot] = pack
            self.packs.append(pack)
        return pack

    cdef list finished(self):
        cdef Pack pack
        for pack in self.packs:
            pack.finish()
        return self.packs


cdef bint unescape(Span* span, list kept) except -1:
    """Undo the escapes; False: they are none."""
    cdef Member member
    cdef bytes text
    if span.length == 0 or memchr(span.at, c'\\', span.length) == NULL:
        return True
    # Safety: the quotes stand around the span.
    if scan_value(span.at - 1, 0, <uint32_t>span.length + 2, &member) != SCAN_OK:
        return False
    text = bytes_of_string(span.at - 1, &member)
    if text is None:
        return False
    kept.append(text)
    span.at, span.length = PyBytes_AS_STRING(text), <size_t>PyBytes_GET_SIZE(text)
    return True


def murmur2_of(bytes data):
    return murmur2(data, <size_t>len(data))


def milliseconds_in(bytes text):
    return milliseconds_of(text, <size_t>len(text))
