"""What of a request says who it is for: see unit.pxd."""

import cython
import json

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from gateway._fast.members cimport bytes_of_string
from gateway._fast.operation cimport SLOT_USER
from gateway._fast.peer cimport Peer
from gateway._fast.pointer cimport Pointer
from gateway._fast.request cimport Request
from gateway._fast.scan cimport JSON_MISSING, JSON_STRING, Member, SCAN_OK

cdef dict KINDS = {
    "request": UNIT_REQUEST, "user": UNIT_USER, "client": UNIT_CLIENT, "key": UNIT_KEY,
    "header": UNIT_HEADER, "pointer": UNIT_POINTER,
}
cdef tuple CREDENTIALS = (b"authorization", b"x-api-key", b"api-key")


@cython.final
cdef class Unit:

    def __init__(self, str name not None, bytes user_header=b""):
        kind, _, detail = name.partition(":")
        if kind not in KINDS:
            raise ValueError(f"{name!r} names no unit")
        self.name = name
        self.kind = KINDS[kind]
        self.user_header = user_header
        if self.kind == UNIT_HEADER:
            self.header = detail.lower().encode("ascii")
        elif self.kind == UNIT_POINTER:
            self.pointer = Pointer(detail)

    def __repr__(self):
        return f"<Unit {self.name}>"

    cdef bytes of(self, Request request, Peer client):
        cdef Member member
        cdef const char* at
        cdef bytes value = None
        if self.kind == UNIT_REQUEST:
            value = request.id[:request.id_length]
        elif self.kind == UNIT_USER:
            if request.decoded:
                value = bytes_of_string(PyBytes_AS_STRING(request.body), &request.members[<int>SLOT_USER])
            if value is None and PyBytes_GET_SIZE(self.user_header):
                value = request.field(self.user_header)
        elif self.kind == UNIT_CLIENT:
            value = None if client is None else client.address().encode("ascii")
        elif self.kind == UNIT_HEADER:
            value = request.field(self.header)
        elif self.kind == UNIT_KEY:
            for name in CREDENTIALS:
                value = request.field(<bytes>name)
                if value is not None:
                    break
        elif request.body is not None:
            at = PyBytes_AS_STRING(request.body)
            if (
                self.pointer.find(at, <size_t>PyBytes_GET_SIZE(request.body), &member) == SCAN_OK
                and member.kind != JSON_MISSING
            ):
                # A text is taken without its quotes, so that others hash the same.
                value = at[member.start:member.end]
                if member.kind == JSON_STRING:
                    value = bytes_of_string(at, &member)
        return value if value is not None and PyBytes_GET_SIZE(value) else None


@cython.final
cdef class Asked:

    def __call__(self, str field not None):
        cdef Unit unit = Unit(field, self.user_header)
        cdef bytes value = unit.of(self.request, self.client)
        if value is None:
            return None
        if unit.kind == UNIT_POINTER:
            return json_at(unit.pointer, self.request.body)
        return value.decode("utf-8", "replace")


cdef object json_at(Pointer pointer, bytes body):
    """The value there, if it is a text, a number or a boolean."""
    cdef Member member
    cdef const char* at = PyBytes_AS_STRING(body)
    if pointer.find(at, <size_t>PyBytes_GET_SIZE(body), &member) != SCAN_OK:
        return None
    value = json.loads(at[member.start:member.end])
    return value if isinstance(value, (str, int, float, bool)) else None


cdef Asked new_asked(Request request, Peer client, bytes user_header):
    cdef Asked asked = Asked.__new__(Asked)
    asked.request = request
    asked.client = client
    asked.user_header = user_header
    return asked
