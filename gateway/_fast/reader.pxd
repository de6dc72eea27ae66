# Reads sockets for their connections: one epoll for all, one call of the event loop a batch.
#
# Rule 1: a connection is read here or by its transport, never by both.
# Rule 2: an end is not judged here: the transport gets its reading back and meets the end
#         itself. An error is told by the socket only once, so that its source ends at once.
# Rule 3: a source is removed before its descriptor can be closed and given to another one.
# Cost: two hundred instructions a read beside the system call. The transport's way costs
#       1,700 more: it takes and gives the GIL, enters a context and makes a list each time.
# Only where there is epoll (Linux): elsewhere transports go on reading.

from gateway._fast.timers cimport Timed

cdef class Source(Timed):
    # Something with a descriptor. Once added, `on_read` gets its bytes as they come.
    cdef int fd                         # -1: nothing but the transport may touch it (TLS)

    cdef int on_read(self, bytes data) except -1
    cdef int on_read_end(self, bint is_clean) except -1


cdef class Reader:
    cdef object loop
    cdef object epoll                   # select.epoll; None once closed
    cdef int fd                         # its descriptor
    cdef list sources                   # by descriptor; None: not read here
    cdef char* buffer

    cdef bint add(self, Source source) except -1
    cdef int remove(self, Source source) except -1
    cdef int read_from(self, Source source) except -1
