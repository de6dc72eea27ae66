"""Reads sockets for their connections: see reader.pxd for the rules."""

import cython
import select

from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from libc.errno cimport EAGAIN, EINTR, errno

cdef extern from "<sys/types.h>" nogil:
    ctypedef long ssize_t

cdef extern from "<sys/socket.h>" nogil:
    const int MSG_DONTWAIT
    ssize_t recv(int fd, void* buffer, size_t length, int flags)

cdef extern from *:
    """
    #define READER_BATCH 128
    #ifdef __linux__
    #include <sys/epoll.h>
    /* The descriptors that have something to read, or have ended, without waiting for any. */
    static int reader_ready(int epoll, int *fds) {
        struct epoll_event events[READER_BATCH];
        int count = epoll_wait(epoll, events, READER_BATCH, 0);
        for (int i = 0; i < count; i++) fds[i] = events[i].data.fd;
        return count;
    }
    #else
    #define reader_ready(epoll, fds) 0
    #endif
    """
    enum: READER_BATCH
    int reader_ready(int epoll, int* fds) nogil

cdef enum:
    BUFFER_BYTES = 262144               # of one read


cdef class Source(Timed):
    """Derive from it and override both."""

    cdef int on_read(self, bytes data) except -1:
        raise NotImplementedError

    cdef int on_read_end(self, bint is_clean) except -1:
        """No byte comes any more; not `is_clean`: the socket failed."""
        raise NotImplementedError


@cython.final
cdef class Reader:
    """One for an event loop; OSError or AttributeError where the system has no epoll."""

    def __cinit__(self, loop):
        self.buffer = <char*>PyMem_Malloc(BUFFER_BYTES)
        if self.buffer == NULL:
            raise MemoryError

    def __init__(self, loop):
        self.loop = loop
        self.sources = []
        self.epoll = select.epoll()
        self.fd = self.epoll.fileno()
        loop.add_reader(self.fd, self.read)

    def __dealloc__(self):
        PyMem_Free(self.buffer)

    def close(self):
        """Read no more; what is still added is not told."""
        if self.epoll is not None:
            self.loop.remove_reader(self.fd)
            self.epoll.close()
            self.epoll = None
            self.sources = []

    def read(self):
        """Read once from everything that is ready; called by the loop."""
        cdef int[READER_BATCH] fds
        cdef int i
        for i in range(reader_ready(self.fd, fds)):
            # Why looked up: what was read before it in this batch may have closed it.
            source = self.sources[fds[i]]
            if source is not None:
                self.read_from(<Source>source)

    cdef int read_from(self, Source source) except -1:
        cdef ssize_t got = recv(source.fd, self.buffer, BUFFER_BYTES, MSG_DONTWAIT)
        if got > 0:
            return source.on_read(PyBytes_FromStringAndSize(self.buffer, got))
        if got < 0 and (errno == EAGAIN or errno == EINTR):
            return 0
        self.remove(source)
        return source.on_read_end(got == 0)

    cdef bint add(self, Source source) except -1:
        """From now on read here; False where the system has no room for one more."""
        if self.epoll is None:
            return False
        while len(self.sources) <= source.fd:
            self.sources.append(None)
        try:
            self.epoll.register(source.fd, select.EPOLLIN)
        except OSError:
            return False
        self.sources[source.fd] = source
        return True

    cdef int remove(self, Source source) except -1:
        """Read here no more. One that was not added is left alone."""
        if source.fd < len(self.sources) and self.sources[source.fd] is source:
            self.sources[source.fd] = None
            try:
                self.epoll.unregister(source.fd)
            except OSError:
                pass                    # closed already, by whoever owns it
        return 0
