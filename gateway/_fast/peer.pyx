"""The other end of one connection: see peer.pxd for the rules."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint64_t
from libc.string cimport memcpy
from gateway._fast.timers cimport Timed

cdef extern from "<sys/types.h>" nogil:
    ctypedef long ssize_t

cdef extern from *:
    """
    #include <sys/socket.h>
    #ifdef MSG_NOSIGNAL
    #define FAST_SEND_FLAGS (MSG_DONTWAIT | MSG_NOSIGNAL)
    #else
    #define FAST_SEND_FLAGS MSG_DONTWAIT
    #endif

    static ssize_t send_iovec(int fd, struct iovec *parts, int count) {
        struct msghdr message = {.msg_iov = parts, .msg_iovlen = count};
        if (count == 1) return send(fd, parts->iov_base, parts->iov_len, FAST_SEND_FLAGS);
        return sendmsg(fd, &message, FAST_SEND_FLAGS);
    }
    """
    const int FLAGS "FAST_SEND_FLAGS"
    ssize_t send(int fd, const void* data, size_t length, int flags) nogil
    ssize_t send_iovec(int fd, iovec* parts, int count) nogil


cdef int descriptor_of(object transport) except -2:
    """The socket's own descriptor, or -1 where bytes must go through the transport (TLS)."""
    sock = transport.get_extra_info("socket")
    if sock is None or transport.get_extra_info("sslcontext") is not None:
        return -1
    return sock.fileno()


cdef class Peer(Timed):
    """What downstream and upstream connections have in common: a transport and its pressure."""

    cdef int take(self, object transport) except -1:
        """The connection is there."""
        self.transport = transport
        self.writable = True
        self.reading = True
        self.fd = descriptor_of(transport)
        return 0

    cdef int send(self, bytes data) except -1:
        """Write, at once if the socket takes it.

        Cost: one system call. The way through the transport costs 0.4 us more a message in
        lists and calls (bench/README.md); it is for what the socket does not take.
        """
        cdef ssize_t sent
        if self.transport is None or self.closing:
            return 0
        if not self.can_send():
            self.transport.write(data)
            return 0
        sent = send(self.fd, PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data), FLAGS)
        if sent == PyBytes_GET_SIZE(data):
            return 0
        # Why also on an error: the transport meets it again, and ends the connection properly.
        self.is_backlogged = True
        self.transport.write(data if sent <= 0 else data[sent:])
        return 0

    cdef int send_parts(self, iovec* parts, int count) except -1:
        """Write these as one message, at once as far as the socket takes it.

        Cost: one system call; no copy but of what the socket does not take.
        """
        cdef ssize_t sent = 0
        cdef size_t length = 0
        cdef int n
        if self.transport is None or self.closing:
            return 0
        for n in range(count):
            length += parts[n].iov_len
        if self.can_send():
            sent = max(0, send_iovec(self.fd, parts, count))
            if <size_t>sent == length:
                return 0
            self.is_backlogged = True
        self.transport.write(joined(parts, count, length, <size_t>sent))
        return 0

    cdef bint can_send(self) except -1:
        """Whether the socket may be written to directly.

        Rule: as long as the transport holds bytes, what follows queues behind them.
        """
        if self.is_backlogged and self.transport.get_write_buffer_size() == 0:
            self.is_backlogged = False
        return self.fd >= 0 and not self.is_backlogged

    cdef int pause(self) except -1:
        if self.reading and self.transport is not None and not self.closing:
            self.reading = False
            self.transport.pause_reading()
        return 0

    cdef int resume(self) except -1:
        if not self.reading and self.transport is not None and not self.closing:
            self.reading = True
            self.transport.resume_reading()
        return 0

    cdef int close(self) except -1:
        """Close once everything written has gone out."""
        if self.transport is not None and not self.closing:
            self.closing = True
            self.transport.close()
        return 0

    cdef int abort(self) except -1:
        """Close at once; what is still unsent is lost."""
        if self.transport is not None:
            self.closing = True
            self.transport.abort()
        return 0

    cdef int on_writable(self, bint writable) except -1:
        """The transport's buffer crossed its mark; subclasses pass it on."""
        self.writable = writable
        return 0

    cdef bint tell_tunnel(self, bint writable) except -1:
        """Whether the bytes come through a tunnel, the other end of which now waits, or goes on."""
        if self.tunnel is None:
            return False
        if writable:
            self.tunnel.resume()
        else:
            self.tunnel.pause()
        return True

    cdef int lend(self, Timed borrower) except -1:
        """From now on what is read belongs to this borrower."""
        raise NotImplementedError

    cdef int release(self, bint reusable, uint64_t now_ns) except -1:
        """The exchange or attempt is over: go on to the next one, or close."""
        raise NotImplementedError

    cdef int send_early(self) except -1:
        """A tunnel has opened: what came before it goes through first."""
        return 0

    cdef str address(self):
        """The other end's IP address; "" for a Unix socket or a closed connection."""
        name = None if self.transport is None else self.transport.get_extra_info("peername")
        return name[0] if isinstance(name, tuple) else ""

    def pause_writing(self):
        self.on_writable(False)

    def resume_writing(self):
        self.on_writable(True)


cdef bytes joined(const iovec* parts, int count, size_t length, size_t skipped):
    """The parts, of `length` bytes together, in one object, but for the first `skipped` bytes."""
    cdef bytes whole = PyBytes_FromStringAndSize(NULL, length - skipped)
    cdef char* at = PyBytes_AS_STRING(whole)
    cdef size_t skip
    cdef int n
    for n in range(count):
        skip = min(skipped, parts[n].iov_len)
        skipped -= skip
        # Safety: the copied parts are as long together as `whole`, which is new.
        memcpy(at, <const char*>parts[n].iov_base + skip, parts[n].iov_len - skip)
        at += parts[n].iov_len - skip
    return whole
