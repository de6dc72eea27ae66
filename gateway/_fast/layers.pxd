# Experiments: which arm of each layer a request is given.
#
#   unit -> bucket = xxh3(unit, seed=xxh3(salt)) * 1,000,000 >> 64 -> the range it lies in -> arm
#
# Arm 0 is nobody's. Of several layers the arms make one number, the first layer's turning
# fastest: the variant of the route that serves the request (plan.RoutePlan.variants).
#
# Rule 1: one draw a layer and request; what was drawn is recorded.
# Rule 2: who is without the unit is drawn by its request id, and the record says so.
# Rule 3: lists, headers and audiences are looked at in Python (slow.assigned), and only by
#         layers that have them.
# Cost: bench/micro/layers.py; one layer, drawn and kept, 150 ns at most.

cimport cython
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from gateway._fast.peer cimport Peer
from gateway._fast.request cimport Request
from gateway._fast.unit cimport Unit

cdef enum:
    LAYERS_MAX = 4                      # of one route
    RANGES_MAX = 256                    # of one layer
    ARMS_MAX = 255

cdef enum Reason:                       # the order of REASONS
    REASON_DRAWN = 0
    REASON_HEADER = 1
    REASON_ALLOWED = 2
    REASON_DENIED = 3
    REASON_UNTARGETED = 4
    REASON_HOLDOUT = 5
    REASON_COUNT = 6

cdef struct Assignment:
    uint32_t bucket
    uint8_t arm
    uint8_t reason                      # Reason
    uint8_t is_stand_in                 # drawn by request id: the unit was not there

@cython.final
cdef class Layer:                       # Layer(LayerPlan, user_header=b"", bucket_of=None)
    cdef readonly object plan           # LayerPlan
    cdef readonly int arms              # numbers: nobody's, the drawn, the forced
    cdef Unit unit
    cdef uint64_t seed
    cdef object bucket_of               # bytes -> bucket, of another system's hash; None: XXH3
    cdef bint is_targeted
    cdef int ranges
    cdef uint32_t[RANGES_MAX] until
    cdef uint8_t[RANGES_MAX] owners
    cdef bytes unit_name                # for records
    cdef bytes before                   # of its JSON in a record: up to the bucket …
    cdef list behind                    # … behind it, by arm

    cdef int draw(self, Assignment* drawn, Request request, Peer client, object slow) except -1
    cdef uint32_t bucket(self, const char* unit, size_t length) except? 0xFFFFFFFF
    cdef int owner_of(self, uint32_t bucket) noexcept nogil

@cython.final
cdef class Assignments:
    # What one request was given.
    cdef readonly int variant           # 0: the route itself
    cdef tuple layers
    cdef int count
    cdef Assignment[LAYERS_MAX] drawn

cdef Assignments assign(tuple layers, Request request, Peer client, object slow)
