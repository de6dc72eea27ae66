"""One connection from a client: see downstream.pxd for states and rules."""

import cython

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport uint32_t, uint64_t
from gateway._fast.chunked cimport (
    CHUNKED_BAD, CHUNKED_DATA, CHUNKED_DONE, chunked_next, chunked_reset,
)
from gateway._fast.exchange cimport Exchange, new_exchange
from gateway._fast.head cimport Head, head_end, is_token, parse_request
from gateway._fast.outcome cimport (
    OUTCOME_BAD_BODY, OUTCOME_BAD_REQUEST, OUTCOME_BODY_TOO_LARGE, OUTCOME_HEAD_TOO_LARGE, OUTCOME_OK,
    OUTCOME_OVERLOADED, OUTCOME_REQUEST_TIMEOUT, OUTCOME_URI_TOO_LONG, Outcome,
)
from gateway._fast.peer cimport Peer, rest_of
from gateway._fast.worker cimport Worker

cdef enum:
    UNREAD_BYTES = 65536                # kept of pipelined requests before reading pauses
    LINGER_NS = 2_000_000_000
    RATE_CHECK_NS = 1_000_000_000
    FIRST_REQUEST_NS = 500_000_000      # a new connection is spared by a drain for so long


@cython.final
cdef class Downstream(Peer):
    """An asyncio protocol; one for each accepted connection."""

    def __init__(self, Worker worker not None, bint is_secure=False):
        self.worker = worker
        self.is_secure = is_secure

    def __repr__(self):
        return f"<Downstream state={self.state} served={self.served}>"

    # -- asyncio

    def connection_made(self, transport):
        cdef Worker worker = self.worker
        cdef uint64_t now_ns = worker.now()
        self.take(transport)
        worker.peers.add(self)
        worker.connections += 1
        self.state = DOWNSTREAM_IDLE
        worker.wheel.arm(self, now_ns + worker.limits.head_ns)
        try:
            if <uint64_t>worker.connections > worker.limits.connections:
                self.refuse(OUTCOME_OVERLOADED, now_ns)
        except BaseException as error:
            self.crashed(error)

    def data_received(self, bytes data):
        try:
            self.read(data, self.worker.now())
        except BaseException as error:
            self.crashed(error)

    def eof_received(self):
        try:
            self.hear_end()
        except BaseException as error:
            self.crashed(error)
        return False

    def connection_lost(self, error):
        cdef Peer other = self.tunnel
        cdef Worker worker = self.worker
        worker.wheel.disarm(self)
        worker.peers.discard(self)
        worker.connections -= 1
        self.transport = None
        self.tunnel = None
        self.closing = True
        self.unread = None
        try:
            self.hear_end()
            if other is not None:
                other.close()
        except BaseException as failure:
            worker.failed(failure)

    cdef int crashed(self, object error) except -1:
        self.worker.failed(error)
        return self.abort()

    # -- Peer

    cdef int on_writable(self, bint writable) except -1:
        self.writable = writable
        if self.tell_tunnel(writable):
            return 0
        if self.exchange is not None:
            self.exchange.client_writable(writable)
        elif writable:
            self.read_on(self.worker.now())
        return 0

    cdef int release(self, bint reusable, uint64_t now_ns) except -1:
        """The answer has gone out: the next request, or the end."""
        self.exchange = None
        self.served += 1
        if not reusable or self.worker.draining or self.closing:
            return self.linger(now_ns)
        self.go_idle(now_ns)
        if not self.in_read:
            return self.read_on(now_ns)
        return 0

    cdef int send_early(self) except -1:
        cdef list unread = self.unread
        self.unread = None
        self.unread_bytes = 0
        self.state = DOWNSTREAM_TUNNEL
        self.resume()
        if unread is not None:
            return self.tunnel.send(b"".join(unread))
        return 0

    cdef int go_idle(self, uint64_t now_ns) except -1:
        self.state = DOWNSTREAM_IDLE
        self.skipped_line = False
        self.worker.wheel.arm(self, now_ns + self.worker.limits.keepalive_ns)
        return 0

    cdef int linger(self, uint64_t now_ns) except -1:
        """Say goodbye properly: a close with unread bytes would be a reset, and the answer lost."""
        # Why first: a body that still comes belongs to no exchange any more.
        self.state = DOWNSTREAM_LINGER
        self.unread = None
        if self.transport is None:
            return 0
        self.worker.wheel.arm(self, now_ns + LINGER_NS)
        if self.closing:
            return 0
        if not self.is_secure and self.transport.can_write_eof():
            self.transport.write_eof()
            return self.resume()
        return self.close()

    def drain(self):
        """The worker is shutting down: idle connections are closed.

        Why not those just accepted: their first request may be on its way.
        """
        cdef uint64_t made_ns = self.deadline_ns - self.worker.limits.head_ns
        if self.state == DOWNSTREAM_IDLE and (
            self.served or self.worker.now() - made_ns > FIRST_REQUEST_NS
        ):
            self.close()

    def stop(self):
        """The worker's time is up: end what is under way as well as it can be ended."""
        cdef uint64_t now_ns = self.worker.now()
        try:
            if self.exchange is not None:
                self.exchange.cut(now_ns)
        except BaseException as error:
            self.worker.failed(error)
        self.close()

    # -- time

    cdef void on_deadline(self, uint64_t now_ns):
        if self.state == DOWNSTREAM_IDLE:
            self.close()
        elif self.state == DOWNSTREAM_HEAD:
            self.refuse(OUTCOME_REQUEST_TIMEOUT, now_ns)
        elif self.state == DOWNSTREAM_LENGTH or self.state == DOWNSTREAM_CHUNKS:
            if self.is_too_slow(now_ns):
                self.exchange.refuse(OUTCOME_REQUEST_TIMEOUT, now_ns)
            else:
                self.worker.wheel.arm(self, now_ns + RATE_CHECK_NS)
        elif self.state == DOWNSTREAM_LINGER:
            self.abort()

    cdef bint is_too_slow(self, uint64_t now_ns) noexcept:
        """A body must come at a least rate once its time of grace is over."""
        cdef uint64_t lasted_ns = now_ns - self.body_since_ns
        if not self.reading or lasted_ns < self.worker.limits.body_grace_ns:
            return False
        lasted_ns -= self.worker.limits.body_grace_ns
        return self.body_bytes < lasted_ns // 1_000_000 * self.worker.limits.body_bytes_per_s // 1000

    # -- reading

    cdef int read(self, bytes data, uint64_t now_ns) except -1:
        if self.tunnel is not None:
            return self.tunnel.send(data)
        self.in_read = True
        try:
            while data is not None:
                if self.state <= DOWNSTREAM_HEAD and self.writable:
                    data = self.read_head(data, now_ns)
                elif self.state == DOWNSTREAM_LENGTH:
                    data = self.read_length(data, now_ns)
                elif self.state == DOWNSTREAM_CHUNKS:
                    data = self.read_chunks(data, now_ns)
                else:
                    if self.state != DOWNSTREAM_LINGER:
                        self.stash(data)
                    data = None
        finally:
            self.in_read = False
        return 0

    cdef int stash(self, bytes data) except -1:
        """Keep what came early; stop reading when it grows."""
        if self.unread is None:
            self.unread = []
        self.unread.append(data)
        self.unread_bytes += PyBytes_GET_SIZE(data)
        if self.unread_bytes > UNREAD_BYTES:
            self.pause()
        return 0

    cdef int read_on(self, uint64_t now_ns) except -1:
        cdef list unread = self.unread
        self.unread = None
        self.unread_bytes = 0
        self.resume()
        if unread is not None:
            return self.read(b"".join(unread), now_ns)
        return 0

    cdef bytes read_head(self, bytes data, uint64_t now_ns):
        """Read a head and begin its exchange; return what stands behind it, or None."""
        cdef Worker worker = self.worker
        cdef Head head
        cdef const char* at
        cdef uint32_t length
        cdef Outcome outcome
        cdef int end
        if self.partial is not None:
            data = self.partial + data
        elif self.state == DOWNSTREAM_IDLE and data.startswith(b"\r"):
            if data == b"\r":
                return self.keep_partial(data, now_ns)
            if self.skipped_line or not data.startswith(b"\r\n"):
                self.refuse(OUTCOME_BAD_REQUEST, now_ns)
                return None
            self.skipped_line = True
            return data[2:] if PyBytes_GET_SIZE(data) > 2 else None
        at = PyBytes_AS_STRING(data)
        length = <uint32_t>PyBytes_GET_SIZE(data)
        if self.partial is not None and at[0] == 13:
            self.partial = None
            self.state = DOWNSTREAM_IDLE
            return data
        if not is_token(at, 1):
            self.refuse(OUTCOME_BAD_REQUEST, now_ns)
            return None
        end = head_end(at, length, self.searched)
        if end < 0 and length <= worker.limits.head_bytes:
            return self.keep_partial(data, now_ns)
        self.partial = None
        self.searched = 0
        if end < 0 or <uint32_t>end > worker.limits.head_bytes:
            self.refuse(too_large(at, length, worker.limits.target_bytes), now_ns)
            return None
        outcome = parse_request(&head, at, <uint32_t>end, <int>worker.limits.head_fields)
        if outcome == OUTCOME_OK and head.target_length > worker.limits.target_bytes:
            outcome = OUTCOME_URI_TOO_LONG
        if outcome != OUTCOME_OK:
            self.refuse(outcome, now_ns)
            return None
        return self.begin(&head, data, <uint32_t>end, now_ns)

    cdef bytes keep_partial(self, bytes data, uint64_t now_ns):
        if self.state == DOWNSTREAM_IDLE:
            # Rule 2: the deadline runs from the head's first byte and is never moved.
            self.state = DOWNSTREAM_HEAD
            self.worker.wheel.arm(self, now_ns + self.worker.limits.head_ns)
        self.partial = data
        self.searched = <uint32_t>max(0, PyBytes_GET_SIZE(data) - 3)
        return None

    cdef bytes begin(self, const Head* head, bytes data, uint32_t end, uint64_t now_ns):
        """A request has begun: its exchange decides whether the body is wanted."""
        cdef Exchange exchange = new_exchange(self.worker, self)
        cdef bint has_body = head.chunked or head.content_length > 0
        self.exchange = exchange
        self.skipped_line = False
        self.worker.wheel.disarm(self)
        self.state = DOWNSTREAM_BUSY
        exchange.read_head(head, data, end, now_ns)
        if self.exchange is not exchange:
            return rest_of(data, end)
        if not has_body:
            exchange.body_ended(now_ns)
            return rest_of(data, end)
        self.body_bytes = 0
        self.body_since_ns = now_ns
        if head.chunked:
            chunked_reset(&self.chunked)
            self.state = DOWNSTREAM_CHUNKS
        else:
            self.remaining = <uint64_t>head.content_length
            self.state = DOWNSTREAM_LENGTH
        if end < <uint32_t>PyBytes_GET_SIZE(data):
            return rest_of(data, end)
        self.worker.wheel.arm(self, now_ns + RATE_CHECK_NS)
        if head.expect_continue:
            self.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        return None

    cdef bytes read_length(self, bytes data, uint64_t now_ns):
        cdef Exchange exchange = self.exchange
        cdef bytes rest = None
        cdef uint64_t length = PyBytes_GET_SIZE(data)
        if length > self.remaining:
            rest = data[self.remaining:]
            data = data[:self.remaining]
            length = self.remaining
        self.remaining -= length
        self.body_bytes += length
        exchange.body_piece(data, now_ns)
        if self.exchange is not exchange or self.state != DOWNSTREAM_LENGTH:
            return rest
        if self.remaining == 0:
            self.end_body(exchange, now_ns)
        elif self.deadline_ns == 0:
            self.worker.wheel.arm(self, now_ns + RATE_CHECK_NS)
        return rest

    cdef int end_body(self, Exchange exchange, uint64_t now_ns) except -1:
        self.state = DOWNSTREAM_BUSY
        if self.deadline_ns:
            self.worker.wheel.disarm(self)
        return exchange.body_ended(now_ns)

    cdef bytes read_chunks(self, bytes data, uint64_t now_ns):
        cdef Exchange exchange = self.exchange
        cdef const char* at = PyBytes_AS_STRING(data)
        cdef uint32_t length = <uint32_t>PyBytes_GET_SIZE(data)
        cdef uint32_t used = 0, step, piece_at = 0, piece_length = 0
        cdef list pieces = []
        while used < length and self.chunked.state < CHUNKED_DONE:
            step = chunked_next(&self.chunked, at + used, length - used, &piece_at, &piece_length)
            if piece_length:
                pieces.append(at[used + piece_at:used + piece_at + piece_length])
            used += step
        if pieces:
            piece = pieces[0] if len(pieces) == 1 else b"".join(pieces)
            self.body_bytes += PyBytes_GET_SIZE(piece)
            exchange.body_piece(piece, now_ns)
        if self.exchange is not exchange or self.state != DOWNSTREAM_CHUNKS:
            return None
        if self.chunked.state == CHUNKED_BAD:
            exchange.refuse(OUTCOME_BAD_BODY, now_ns)
            return None
        if self.chunked.state == CHUNKED_DATA and (
            self.chunked.remaining > exchange.body_limit - self.body_bytes
        ):
            exchange.refuse(OUTCOME_BODY_TOO_LARGE, now_ns)
            return None
        if self.chunked.state == CHUNKED_DONE:
            self.end_body(exchange, now_ns)
        elif self.deadline_ns == 0:
            self.worker.wheel.arm(self, now_ns + RATE_CHECK_NS)
        return rest_of(data, used)

    # -- ends

    cdef int refuse(self, Outcome outcome, uint64_t now_ns) except -1:
        """A head that is no request: still an exchange, answered and recorded, then closed."""
        cdef Exchange exchange = new_exchange(self.worker, self)
        self.exchange = exchange
        self.partial = None
        self.state = DOWNSTREAM_BUSY
        self.worker.wheel.disarm(self)
        return exchange.refuse_unread(outcome, now_ns)

    cdef int hear_end(self) except -1:
        """The client has closed its side, or the connection is gone."""
        cdef Exchange exchange = self.exchange
        self.exchange = None
        if exchange is not None:
            exchange.client_gone(self.worker.now())
        return 0


cdef Outcome too_large(const char* at, uint32_t length, uint32_t target_bytes) noexcept nogil:
    """Which part of a head that has outgrown its limit is to blame."""
    cdef uint32_t i
    for i in range(min(length, target_bytes)):
        if at[i] == 10:
            return OUTCOME_HEAD_TOO_LARGE
    return OUTCOME_URI_TOO_LONG
