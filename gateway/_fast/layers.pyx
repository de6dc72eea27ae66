"""Experiments: see layers.pxd for the rules."""

import cython
import json

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stddef cimport size_t
from libc.stdint cimport uint32_t
from gateway._fast.hashing cimport bucket_ppm, xxh3
from gateway._fast.peer cimport Peer
from gateway._fast.request cimport Request
from gateway._fast.unit cimport UNIT_REQUEST, Unit, new_asked

REASONS = ("", "header", "allowed", "denied", "untargeted", "holdout")


@cython.final
cdef class Layer:

    def __init__(self, plan, bytes user_header=b"", bucket_of=None):
        cdef bytes salt = plan.draw.salt.encode()
        if len(plan.ranges) > RANGES_MAX or len(plan.arms) + len(plan.forced) >= ARMS_MAX:
            raise ValueError(f"layer {plan.name}: more than {RANGES_MAX} ranges")
        self.plan = plan
        self.unit = Unit(plan.draw.unit, user_header)
        self.unit_name = json.dumps(self.unit.name).removeprefix('"').removesuffix('"').encode("ascii")
        self.seed = xxh3(PyBytes_AS_STRING(salt), <size_t>PyBytes_GET_SIZE(salt), 0)
        self.bucket_of = bucket_of
        self.is_targeted = bool(plan.targets)
        self.ranges = len(plan.ranges)
        for at, (until, owner) in enumerate(plan.ranges):
            self.until[<int>at] = until
            self.owners[<int>at] = owner
        self.arms = 1 + len(plan.arms) + len(plan.forced)
        self.before = f'{{"layer":{json.dumps(plan.name)},"salt":{json.dumps(plan.draw.salt)},"bucket":'.encode()
        self.behind = [b',"arm":""', *map(told, (*plan.arms, *plan.forced))]

    def __repr__(self):
        return f"<Layer {self.plan.name} by {self.unit.name}>"

    cdef int draw(self, Assignment* drawn, Request request, Peer client, object slow) except -1:
        cdef bytes unit = None
        drawn.reason = REASON_DRAWN
        drawn.is_stand_in = False
        if self.unit.kind != UNIT_REQUEST:
            unit = self.unit.of(request, client)
            drawn.is_stand_in = unit is None
        if unit is None:
            drawn.bucket = self.bucket(request.id, request.id_length)
        else:
            drawn.bucket = self.bucket(PyBytes_AS_STRING(unit), <size_t>PyBytes_GET_SIZE(unit))
        drawn.arm = self.owner_of(drawn.bucket)
        if self.is_targeted:
            if unit is None:
                unit = request.id[:request.id_length]
            arm, reason = slow.assigned(
                self.plan, unit, drawn.arm, new_asked(request, client, self.unit.user_header)
            )
            drawn.arm, drawn.reason = arm, reason
        if drawn.arm == 0 and drawn.reason == REASON_DRAWN:
            for start, until in self.plan.holdouts:
                if start <= drawn.bucket < until:
                    drawn.reason = REASON_HOLDOUT
        return drawn.arm

    cdef uint32_t bucket(self, const char* unit, size_t length) except? 0xFFFFFFFF:
        if self.bucket_of is None:
            return bucket_ppm(xxh3(unit, length, self.seed))
        return self.bucket_of(unit[:length])

    cdef int owner_of(self, uint32_t bucket) noexcept nogil:
        cdef int at
        for at in range(self.ranges):
            if bucket < self.until[at]:
                return self.owners[at]
        return 0

    def arm_of(self, bytes unit not None):
        """(bucket, number of the arm) of a unit, before lists and audiences."""
        cdef uint32_t bucket = self.bucket(PyBytes_AS_STRING(unit), <size_t>PyBytes_GET_SIZE(unit))
        return bucket, self.owner_of(bucket)


cdef bytes told(arm):
    """The fields of a record's assignment that go by the arm alone."""
    cdef str step = f',"step":{arm.step}' if arm.step else ""
    return f',"arm":{json.dumps(arm.arm)},"rollout":{json.dumps(arm.rollout)}{step}'.encode()


@cython.final
@cython.freelist(64)
cdef class Assignments:
    """Made by assign() only."""


cdef Assignments assign(tuple layers, Request request, Peer client, object slow):
    """Draw in each layer."""
    cdef Assignments made = Assignments.__new__(Assignments)
    cdef Layer layer
    cdef int at, radix = 1
    made.layers = layers
    made.count = <int>len(layers)
    made.variant = 0
    for at in range(made.count):
        layer = <Layer>layers[at]
        made.variant += radix * layer.draw(&made.drawn[at], request, client, slow)
        radix *= layer.arms
    return made
