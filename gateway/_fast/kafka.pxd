# Lines of the prediction log as Kafka's record batches (message format 2).
#
# A piece of a stream's log comes in; out come Packs, each with the records of one topic and
# partition in the order of their lines, ready to be compressed and given a batch header.
# https://kafka.apache.org/documentation/#recordbatch
#
# Rule 1: the partition is the one that Kafka's own clients choose for the key: murmur2. A
#         line without a key goes where its stream goes.
# Rule 2: each line is in one Pack, or among the refused. Packs of one partition are listed
#         in the order of their lines.
# Rule 3: a line's bytes are not changed; only its first members are read, up to the last
#         one that is needed.
# Rule 4: no byte at or behind the end is read, whatever the line holds.
# Cost: a walk over some 200 bytes of a line, one memcpy of it; no allocation a record.

cimport cython
from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint8_t, uint32_t

cdef enum:
    BATCH_HEADER_BYTES = 61             # left free in front of each Pack's records
    PACK_BYTES = 4096                   # a Pack's first buffer beyond twice its even share

cdef enum:                              # members of a line, in Entry.found
    FOUND_ID = 0
    FOUND_TIME = 1
    FOUND_KIND = 2
    FOUND_REQUEST_ID = 3
    FOUND_KEY = 4                       # another member of a record that is its key
    FOUND_COUNT = 5

cdef struct Span:                       # borrowed bytes; at is NULL: not there
    const char* at
    size_t length

cdef struct Entry:                      # a line, read
    Span[5] found                       # strings without their quotes
    Span key
    Span value
    int64_t time_ms
    bint is_feedback


cdef uint32_t murmur2(const char* data, size_t length) noexcept nogil
# Milliseconds since 1970 of a time in UTC, 2026-11-21T12:00:00.5Z; -1: it is none.
cdef int64_t milliseconds_of(const char* text, size_t length) noexcept nogil


@cython.final
cdef class Pack:
    # Records of one partition. `data` holds BATCH_HEADER_BYTES, then the records.
    cdef readonly bytearray data
    cdef readonly bint is_feedback
    cdef readonly int partition
    cdef readonly int count
    cdef readonly int first_line        # number of the line that the first record is
    cdef readonly int64_t first_ms      # Rule: of the first record; the others' are told by it
    cdef readonly int64_t last_ms       # the latest
    cdef size_t used

    cdef char* room_for(self, size_t more) except NULL
    cdef int add(self, Packer packer, const Entry* entry) except -1
    cdef int finish(self) except -1


@cython.final
cdef class Packer:                      # Packer(key, source, content_type, most_bytes)
    cdef bytes key                      # name of the member that is the key; b"" none
    cdef bint has_own_key               # it is a member that only records have
    cdef bytes front, id_name, type_name, time_name    # headers and names, as they are sent
    cdef size_t most_bytes              # of a value

    cdef bint read(self, const char* line, size_t length, Entry* entry) noexcept
    cdef int which_of(self, const char* name, size_t length) noexcept
    cdef int spell_out(self, Entry* entry, list kept) except -1
    cdef str fault_of(self, Entry* entry, list kept, values, int number)


@cython.final
cdef class Sorter:                      # of one piece: which Pack a line goes into
    cdef bytes stream
    cdef Span by_stream                 # what stands for the key of lines that have none
    cdef int records, feedback          # partitions
    cdef size_t room                    # of a Pack
    cdef size_t first_room              # of its buffer, to begin with: it should not have to grow
    cdef list open_packs                # the last Pack of each partition, feedback's behind
    cdef list packs                     # all, in the order in which they were begun

    cdef Pack pack_for(self, const Entry* entry, int number)
    cdef list finished(self)
