# What of a request says who it is for: what stickiness, layers and flags go by.
#
#   request   its id                     user      the body's `user`, else the configured header
#   client    the caller's address       key       the credential it came with
#   header:NAME                          pointer:/json/pointer
#
# Rule: a value is hashed or compared, never shown: it may be a name or a secret.

cimport cython
from gateway._fast.peer cimport Peer
from gateway._fast.pointer cimport Pointer
from gateway._fast.request cimport Request

cdef enum UnitKind:
    UNIT_REQUEST = 0
    UNIT_USER = 1
    UNIT_CLIENT = 2
    UNIT_KEY = 3
    UNIT_HEADER = 4
    UNIT_POINTER = 5

@cython.final
cdef class Unit:                        # Unit("header:x-session-id", user_header=b"")
    cdef readonly str name
    cdef int kind                       # UnitKind
    cdef bytes header
    cdef bytes user_header              # b"" none
    cdef Pointer pointer

    # None where the request does not carry it.
    cdef bytes of(self, Request request, Peer client)

@cython.final
cdef class Asked:
    # A request, as conditions look at it: asked("header:x-plan") is a text, number, boolean or None.
    cdef Request request
    cdef Peer client
    cdef bytes user_header

cdef Asked new_asked(Request request, Peer client, bytes user_header)
