"""The other end of one connection: see peer.pxd for the rules."""

from libc.stdint cimport uint64_t
from gateway._fast.timers cimport Timed


cdef class Peer(Timed):
    """What downstream and upstream connections have in common: a transport and its pressure."""

    cdef int take(self, object transport) except -1:
        """The connection is there."""
        self.transport = transport
        self.writable = True
        self.reading = True
        return 0

    cdef int send(self, object data) except -1:
        # Cost: one call; uvloop gathers what is written in one turn of the loop into one writev.
        if self.transport is not None and not self.closing:
            self.transport.write(data)
        return 0

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
