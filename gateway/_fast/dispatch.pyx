"""The side of an exchange that faces the backends: see dispatch.pxd for the rules."""

from cpython.bytes cimport PyBytes_GET_SIZE
from libc.stdint cimport uint64_t
from gateway._fast.attempt cimport Attempt
from gateway._fast.backend cimport Backend
from gateway._fast.errand cimport Errand
from gateway._fast.reply cimport Reply
from gateway._fast.request cimport Request
from gateway._fast.scratch cimport Scratch
from gateway._fast.table cimport Route

cdef bytes LAST_CHUNK = b"0\r\n\r\n"


cdef class Dispatch(Reply):

    cdef int upload(self, bytes piece, bint last) except -1:
        """Relay a piece of the body, framed as the head promised."""
        cdef Attempt attempt = self.attempt
        if attempt is None or attempt.server is None:
            return 0
        attempt.request_bytes += PyBytes_GET_SIZE(piece)
        if self.upload_chunked:
            if PyBytes_GET_SIZE(piece):
                piece = b"%x\r\n%b\r\n" % (len(piece), piece)
            if last:
                piece += LAST_CHUNK
        if PyBytes_GET_SIZE(piece) or last:
            attempt.send(piece, last)
        return 0

    cdef Attempt new_attempt(self, int position, Backend backend):
        cdef Route route = self.route
        cdef Attempt attempt = self.attempt_at(backend, route.rows[position])
        if position < 64:
            self.wish.tried |= <uint64_t>1 << position
        attempt.position = position
        if route.first_byte_ns:
            attempt.first_byte_limit_ns = route.first_byte_ns
        attempt.may_upgrade = self.request.websocket
        attempt.hold_bytes = route.hold_bytes
        return attempt

    cdef int attempt_lent(self, Attempt attempt) except -1:
        """A connection is there: send what is asked, or as much of it as has come."""
        if not self.uploading:
            return self.write_request(attempt)
        self.write_request_head(attempt, 0)
        return self.send_upload(attempt, self.request.body)

    cdef int write_framing(self, uint64_t length) except -1:
        cdef Request request = self.request
        cdef Scratch scratch = self.worker.scratch
        if self.uploading and self.upload_chunked:
            scratch.put(b"transfer-encoding: chunked\r\n")
        elif self.uploading:
            Errand.write_framing(self, <uint64_t>max(0, request.content_length))
        else:
            Errand.write_framing(self, length)
        if request.websocket:
            scratch.put(b"connection: upgrade\r\nupgrade: websocket\r\n")
        return 0

    cdef str client_address(self):
        return self.client.address()

    cdef uint64_t left_ns(self) noexcept:
        return self.total_deadline_ns - min(self.total_deadline_ns, self.wish.now_ns)

    cdef int send_upload(self, Attempt attempt, bytes body) except -1:
        attempt.server.send(self.worker.scratch.built())
        self.upload(body, False)
        if self.upload_ended:
            return self.upload(b"", True)
        if attempt.server is not None and attempt.server.writable and self.client is not None:
            self.client.resume()
        return 0

    cdef int attempt_writable(self, Attempt attempt, bint writable) except -1:
        """The backend takes an upload slowly: so does the client give it."""
        if self.uploading and self.client is not None and not self.upload_ended:
            if writable:
                self.client.resume()
            else:
                self.client.pause()
        return 0
