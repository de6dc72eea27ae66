"""One connection to a backend: see upstream.pxd for states and rules."""

import cython

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint32_t, uint64_t
from gateway._fast.attempt cimport Attempt
from gateway._fast.backend cimport Backend
from gateway._fast.chunked cimport (
    CHUNKED_BAD, CHUNKED_DONE, CHUNKED_SIZE_START, chunked_alone, chunked_next, chunked_reset,
)
from gateway._fast.head cimport Head, head_end, parse_response
from gateway._fast.outcome cimport (
    OUTCOME_OK, OUTCOME_TRUNCATED, OUTCOME_UPSTREAM_CLOSED, OUTCOME_UPSTREAM_PROTOCOL, Outcome,
)
from gateway._fast.peer cimport Peer, rest_of
from gateway._fast.timers cimport Timed
from gateway._fast.worker cimport Worker

cdef enum:
    INTERIMS_MAX = 8                    # 1xx answers before the final one
    HEAD_BYTES = 65536                  # of an answer's head
    FIELDS = 128


@cython.final
cdef class Upstream(Peer):
    """An asyncio protocol; made by the dialer, lent by its backend's pool."""

    def __init__(self, Worker worker not None, Backend backend not None):
        self.worker = worker
        self.backend = backend

    def __repr__(self):
        return f"<Upstream {self.backend.name} state={self.state} served={self.served}>"

    # -- asyncio

    def connection_made(self, transport):
        self.take(transport)
        self.made = True
        self.made_ns = self.worker.now()
        try:
            self.backend.peer_made(self)
        except BaseException as error:
            self.worker.failed(error)
            self.abort()

    def data_received(self, bytes data):
        # Why kept: by the time something raises, the connection may be free again already.
        cdef Attempt attempt = self.attempt
        try:
            self.read(data, self.worker.now())
        except BaseException as error:
            self.crashed(attempt, error)

    def eof_received(self):
        cdef Attempt attempt = self.attempt
        try:
            self.hear_end(True)
        except BaseException as error:
            self.crashed(attempt, error)
        return False

    def connection_lost(self, error):
        cdef Peer other = self.tunnel
        self.worker.wheel.disarm(self)
        self.transport = None
        self.tunnel = None
        self.closing = True
        try:
            self.hear_end(False)
            self.backend.peer_gone(self)
            if other is not None:
                other.close()
        except BaseException as failure:
            self.worker.failed(failure)

    cdef int crashed(self, Attempt attempt, object error) except -1:
        """A defect in what an answer sets off: its attempt is over, so that nobody waits for it."""
        self.worker.failed(error)
        # Why not always: a connection that was given back may serve another attempt by now.
        if self.attempt is attempt:
            self.abort()
        if attempt is None:
            return 0
        attempt.server = None
        try:
            attempt.on_lost(OUTCOME_UPSTREAM_PROTOCOL, self.worker.now())
        except BaseException as second:
            self.worker.failed(second)
        return 0

    # -- Peer

    cdef int lend(self, Timed borrower) except -1:
        self.attempt = <Attempt>borrower
        # Why: after a reload the borrower's backend may be a newer one on the same pool.
        self.backend = self.attempt.backend
        self.state = UPSTREAM_HEAD
        self.interims = 0
        self.worker.wheel.disarm(self)
        return 0

    cdef int release(self, bint reusable, uint64_t now_ns) except -1:
        """Idle again: its age and idle time are bounded from here."""
        self.attempt = None
        self.state = UPSTREAM_IDLE
        if now_ns - self.made_ns > self.backend.pool_age_ns:
            reusable = False
        self.resume()
        if reusable and not self.closing:
            self.worker.wheel.arm(self, now_ns + self.backend.pool_idle_ns)
        return self.backend.peer_back(self, reusable)

    cdef int abort(self) except -1:
        self.attempt = None
        return Peer.abort(self)

    cdef int on_writable(self, bint writable) except -1:
        self.writable = writable
        if self.tell_tunnel(writable):
            return 0
        if self.attempt is not None:
            self.attempt.on_server_writable(writable)
        return 0

    cdef void on_deadline(self, uint64_t now_ns):
        """Idle for too long, so that the backend's own limit is never met."""
        if self.state == UPSTREAM_IDLE:
            self.close()

    # -- reading

    cdef int read(self, bytes data, uint64_t now_ns) except -1:
        if self.tunnel is not None:
            return self.tunnel.send(data)
        while data is not None:
            if self.state == UPSTREAM_HEAD:
                data = self.read_head(data, now_ns)
            elif self.state == UPSTREAM_LENGTH:
                data = self.read_length(data, now_ns)
            elif self.state == UPSTREAM_CHUNKS:
                data = self.read_chunks(data, now_ns)
            elif self.state == UPSTREAM_CLOSE:
                self.attempt.on_body(data, now_ns)
                data = None
            else:
                self.abort()
                data = None
        return 0

    cdef bytes read_head(self, bytes data, uint64_t now_ns):
        """Read a head, or keep its start; return what stands behind it, or None."""
        cdef Head head
        cdef int end
        self.attempt.heard = True
        if self.partial is not None:
            data = self.partial + data
        end = head_end(PyBytes_AS_STRING(data), <uint32_t>PyBytes_GET_SIZE(data), self.searched)
        if end < 0:
            if PyBytes_GET_SIZE(data) > HEAD_BYTES:
                self.lose(OUTCOME_UPSTREAM_PROTOCOL, now_ns)
                return None
            self.partial = data
            # Why: an end cut in two begins at most three bytes back.
            self.searched = <uint32_t>max(0, PyBytes_GET_SIZE(data) - 3)
            return None
        self.partial = None
        self.searched = 0
        if parse_response(&head, PyBytes_AS_STRING(data), end, FIELDS) != OUTCOME_OK:
            self.lose(OUTCOME_UPSTREAM_PROTOCOL, now_ns)
            return None
        if head.status == 101 and self.attempt.may_upgrade and head.upgrade:
            return self.begin_tunnel(&head, data, end, now_ns)
        if head.status < 200:
            self.interims += 1
            if head.status == 101 or self.interims > INTERIMS_MAX:
                self.lose(OUTCOME_UPSTREAM_PROTOCOL, now_ns)
                return None
            return rest_of(data, end)
        return self.begin_body(&head, data, <uint32_t>end, now_ns)

    cdef bytes begin_tunnel(self, const Head* head, bytes data, uint32_t end, uint64_t now_ns):
        cdef bytes rest = data[end:]
        self.state = UPSTREAM_TUNNEL
        self.attempt.on_upgraded(head, data, now_ns)
        if rest and self.tunnel is not None:
            self.tunnel.send(rest)
        return None

    cdef bytes begin_body(self, const Head* head, bytes data, uint32_t end, uint64_t now_ns):
        """Decide how the body is framed (RFC 9112 6.3); finish at once when there is none."""
        cdef Attempt attempt = self.attempt
        cdef bint bodiless = attempt.is_head or head.status == 204 or head.status == 304
        self.keep_alive = head.keep_alive
        # Why: a 204 with a length, or coded, has confused parsers before; do not reuse it.
        if head.status == 204 and (head.content_length > 0 or head.chunked):
            self.keep_alive = False
        if bodiless:
            attempt.may_stream = False
        attempt.on_head(head, data, now_ns)
        if self.attempt is not attempt:
            return None
        if bodiless or head.content_length == 0:
            self.finish(True, rest_of(data, end), now_ns)
            return None
        if head.chunked:
            chunked_reset(&self.chunked)
            self.state = UPSTREAM_CHUNKS
        elif head.content_length > 0:
            self.remaining = <uint64_t>head.content_length
            self.state = UPSTREAM_LENGTH
        else:
            self.keep_alive = False
            self.state = UPSTREAM_CLOSE
        return rest_of(data, end)

    cdef bytes read_length(self, bytes data, uint64_t now_ns):
        cdef Attempt attempt = self.attempt
        cdef bytes rest = None
        cdef uint64_t length = PyBytes_GET_SIZE(data)
        if length > self.remaining:
            rest = data[self.remaining:]
            data = data[:self.remaining]
            length = self.remaining
        self.remaining -= length
        attempt.on_body(data, now_ns)
        if self.remaining == 0 and self.attempt is attempt:
            self.finish(True, rest, now_ns)
        return None

    cdef bytes read_chunks(self, bytes data, uint64_t now_ns):
        """Decode what is here and hand it on as one piece."""
        cdef Attempt attempt = self.attempt
        cdef const char* at = PyBytes_AS_STRING(data)
        cdef uint32_t length = <uint32_t>PyBytes_GET_SIZE(data)
        cdef uint32_t used = 0, step, piece_at, piece_length
        cdef bytes piece = None
        cdef list more = None
        if self.chunked.state == CHUNKED_SIZE_START:
            piece_at = chunked_alone(at, length)
            if piece_at:
                # Cost: to a client that is sent chunks too, it goes as it came, uncopied.
                attempt.raw = data
                attempt.on_body(PyBytes_FromStringAndSize(at + piece_at, length - piece_at - 2), now_ns)
                attempt.raw = None
                return None
        while used < length and self.chunked.state < CHUNKED_DONE:
            step = chunked_next(&self.chunked, at + used, length - used, &piece_at, &piece_length)
            if piece_length:
                if piece is None:
                    piece = at[used + piece_at:used + piece_at + piece_length]
                else:
                    if more is None:
                        more = [piece]
                    more.append(at[used + piece_at:used + piece_at + piece_length])
            used += step
        if piece is not None:
            attempt.on_body(piece if more is None else b"".join(more), now_ns)
        if self.attempt is not attempt:
            return None
        if self.chunked.state == CHUNKED_BAD:
            self.lose(OUTCOME_UPSTREAM_PROTOCOL, now_ns)
        elif self.chunked.state == CHUNKED_DONE:
            self.finish(True, rest_of(data, used), now_ns)
        return None

    # -- ends

    cdef int finish(self, bint proper, bytes rest, uint64_t now_ns) except -1:
        """The answer is whole: free the connection first, so that a retry may use it."""
        cdef Attempt attempt = self.attempt
        cdef bint reusable = self.keep_alive and rest is None and attempt.request_ended
        self.served += 1
        attempt.server = None
        self.release(reusable, now_ns)
        return attempt.on_end(proper, now_ns)

    cdef int lose(self, Outcome outcome, uint64_t now_ns) except -1:
        cdef Attempt attempt = self.attempt
        self.abort()
        attempt.server = None
        return attempt.on_lost(outcome, now_ns)

    cdef int hear_end(self, bint clean) except -1:
        """The backend closed its side (clean), or the connection is gone."""
        cdef Attempt attempt = self.attempt
        cdef uint64_t now_ns
        if attempt is None:
            self.close()
            return 0
        if self.state == UPSTREAM_TUNNEL:
            if not clean:
                self.attempt = None
                attempt.server = None
                attempt.on_end(True, self.worker.now())
            return 0
        now_ns = self.worker.now()
        if self.state == UPSTREAM_CLOSE and clean:
            return self.finish(False, None, now_ns)
        return self.lose(
            OUTCOME_UPSTREAM_CLOSED if self.state == UPSTREAM_HEAD else OUTCOME_TRUNCATED, now_ns
        )
