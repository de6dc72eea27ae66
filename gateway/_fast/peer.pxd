# The other end of one connection, whichever side it is on.
#
# Downstream and Upstream derive from it; exchange, attempt and pool know only this.
# Rule 1: nothing is written after close() or abort().
# Rule 2: while `writable` is False the transport is over its high-water mark: whoever
#         feeds this peer stops reading from where the bytes come.

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint64_t
from gateway._fast.timers cimport Timed

cdef extern from "<sys/uio.h>" nogil:
    struct iovec:                       # a part of a message; borrowed while it is sent
        void* iov_base
        size_t iov_len

cdef class Peer(Timed):
    cdef object transport               # None before connection_made and after connection_lost
    cdef int fd                         # written to directly while the transport holds nothing; -1: TLS
    cdef bint is_backlogged             # the transport may hold bytes: order wants them first
    cdef Peer tunnel                    # bytes read go straight there, once both sides agreed
    cdef readonly bint writable
    cdef readonly bint reading
    cdef readonly bint closing
    cdef readonly uint64_t served       # exchanges or answers that went over it

    cdef int send(self, bytes data) except -1
    cdef int send_parts(self, iovec* parts, int count) except -1
    cdef bint can_send(self) except -1
    cdef int pause(self) except -1
    cdef int resume(self) except -1
    cdef int close(self) except -1
    cdef int abort(self) except -1
    cdef int take(self, object transport) except -1
    cdef int on_writable(self, bint writable) except -1
    cdef bint tell_tunnel(self, bint writable) except -1
    cdef int lend(self, Timed borrower) except -1
    cdef int release(self, bint reusable, uint64_t now_ns) except -1
    cdef int send_early(self) except -1
    cdef str address(self)

cdef inline bytes rest_of(bytes data, Py_ssize_t at):
    # What stands behind `at`, or None. Cost: a slice makes two numbers and a slice first.
    if at >= PyBytes_GET_SIZE(data):
        return None
    return PyBytes_FromStringAndSize(PyBytes_AS_STRING(data) + at, PyBytes_GET_SIZE(data) - at)
