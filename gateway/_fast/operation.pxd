# One thing a protocol can be asked: its path, and where things are in its bodies.
#
# Immutable; made once by gateway/protocols/<name>.py and shared by every exchange.
# The members of a request body are read into slots, whose names are the same in every
# JSON protocol that names its model in the body.

from libc.stdint cimport uint32_t, uint64_t
from gateway._fast.marks cimport Marks
from gateway._fast.shape cimport Shape

cdef enum Slot:                         # members of a request body
    SLOT_MODEL = 0
    SLOT_STREAM = 1
    SLOT_USER = 2
    SLOT_MAX_TOKENS = 3
    SLOT_MAX_COMPLETION_TOKENS = 4
    SLOT_MAX_OUTPUT_TOKENS = 5
    SLOT_STREAM_OPTIONS = 6
    SLOT_TOOLS = 7
    SLOT_RESPONSE_FORMAT = 8
    SLOT_TEXT = 9
    SLOT_N = 10

cdef enum:
    SLOTS = 11

cdef enum:                              # bits of the marks found in a body
    MARKS_VISION = 0b0010001
    MARKS_AUDIO = 0b0000010
    MARKS_FILE = 0b0100100
    MARKS_SCHEMA = 0b0001000
    MARKS_JSON = 0b1001000              # an answer that is JSON may be asked for

cdef class Operation:
    cdef readonly str name
    cdef readonly str protocol
    cdef bytes record_fields            # both, for records
    cdef readonly bytes before          # upstream path: base path + before [+ model + after]
    cdef readonly bytes after
    cdef readonly uint64_t capability   # bits a backend must have
    cdef readonly bint has_path_model   # the model's name stands in the path
    cdef readonly bint has_body_model   # … or is the body's `model` member
    cdef readonly bint is_body_optional # no body, or one that is no JSON, is no error
    cdef readonly bint adds_usage       # streams report usage only when stream_options asks
    cdef readonly bint is_generation    # has tokens to estimate
    cdef readonly bint needs_end        # a stream must say that it ended
    cdef readonly Marks marks           # of its streams' events
    cdef readonly Marks answer_marks    # of its whole answers
    cdef Shape shape                    # of its requests; None: the body is not read
    cdef uint64_t tools_bit
    cdef uint64_t schema_bit
    cdef uint64_t stream_bit
    cdef uint64_t vision_bit
    cdef uint64_t audio_bit
    cdef uint64_t files_bit
