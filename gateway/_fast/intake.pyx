"""The side of an exchange that takes its request in: see intake.pxd for the rules."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport strncmp
from gateway._fast.head cimport (
    Head, METHOD_CONNECT, METHOD_GET, METHOD_HEAD, METHOD_OPTIONS, METHOD_POST, METHOD_TRACE,
)
from gateway._fast.operation cimport Operation
from gateway._fast.outcome cimport (
    OUTCOME_BAD_BODY, OUTCOME_BODY_TOO_LARGE, OUTCOME_HEAD_TOO_LARGE, OUTCOME_METHOD_NOT_ALLOWED,
    OUTCOME_NO_PATH, OUTCOME_OK, OUTCOME_OVERLOADED, OUTCOME_UPGRADE_REFUSED, Outcome,
)
from gateway._fast.recovery cimport Recovery
from gateway._fast.request cimport Request
from gateway._fast.table cimport Route

cdef enum:
    FEEDBACK_BYTES = 1 << 20            # of a body of signals
    FLAGS_BYTES = 1 << 16               # of a context that flags are evaluated for
    FLAGS_LENGTH = 7                    # of FLAGS_PATH

cdef bytes FEEDBACK_PATH = b"/v1/feedback"
cdef const char* FLAGS_PATH = b"/ofrep/"


cdef class Intake(Recovery):

    cdef int read_head(self, const Head* head, bytes data, uint32_t end, uint64_t now_ns) except -1:
        """The head is here: find out what is asked, and refuse what never will be answered."""
        cdef Request request = Request.__new__(Request)
        cdef tuple found
        self.begun_ns = now_ns
        self.request = request
        request.read_head(self.worker.scratch, &self.worker.random, head, data, end)
        if self.worker.scratch.overflowed:
            self.must_close = True
            return self.refuse(OUTCOME_HEAD_TOO_LARGE, now_ns)
        if head.method == METHOD_CONNECT or head.method == METHOD_TRACE:
            # Why: behind these a client may go on in another protocol.
            self.must_close = True
            return self.refuse(OUTCOME_METHOD_NOT_ALLOWED, now_ns)
        if request.has_origin and self.table.has_cors and self.read_origin(now_ns):
            return 0
        if self.table.answers and self.say_own(now_ns):
            return 0
        if request.method == METHOD_POST and request.path == FEEDBACK_PATH:
            return self.begin_feedback(head, now_ns)
        # Safety: bytes end with a zero, so that a shorter path differs before its end.
        if strncmp(PyBytes_AS_STRING(request.path), FLAGS_PATH, FLAGS_LENGTH) == 0:
            return self.begin_flags(head, now_ns)
        found = self.table.find(request.method, request.method_name, request.path)
        if found is None:
            return self.refuse(OUTCOME_NO_PATH, now_ns)
        self.operation = <Operation>found[0]
        self.route = <Route>found[1]
        request.model = <bytes>found[2]
        self.body_limit = self.table.body_bytes if self.route is None else self.route.body_bytes
        if head.content_length > 0 and <uint64_t>head.content_length > self.body_limit:
            return self.refuse(OUTCOME_BODY_TOO_LARGE, now_ns)
        if head.upgrade and not (request.websocket and self.route is not None and self.route.websocket):
            self.must_close = True
            return self.refuse(OUTCOME_UPGRADE_REFUSED, now_ns)
        return 0

    cdef bint read_origin(self, uint64_t now_ns) except -1:
        """CORS: note the fields to add; answer a preflight at once (True)."""
        cdef Request request = self.request
        self.cors = self.table.slow.cors(request.field(b"origin"))
        if self.cors is None or request.method != METHOD_OPTIONS:
            return False
        if request.field(b"access-control-request-method") is None:
            return False
        self.is_silent = True
        self.begin_answer(204)
        self.send_answer(b"", OUTCOME_OK, now_ns)
        self.finish(OUTCOME_OK, now_ns)
        return True

    cdef bint say_own(self, uint64_t now_ns) except -1:
        """What the gateway answers itself: health, the list of models."""
        cdef tuple answer
        if self.request.method != METHOD_GET and self.request.method != METHOD_HEAD:
            return False
        answer = <tuple>self.table.answers.get(self.request.path)
        if answer is None:
            return False
        status, content_type, body = answer
        if self.request.path == b"/readyz" and self.worker.draining:
            status, body = 503, b'{"ready":false,"reason":"draining"}'
        self.is_silent = True
        self.say(status, content_type, body, OUTCOME_OK, now_ns)
        self.finish(OUTCOME_OK, now_ns)
        return True

    cdef int begin_feedback(self, const Head* head, uint64_t now_ns) except -1:
        """What follows is no prediction but what the product says of one."""
        self.is_feedback = True
        self.is_silent = True
        self.body_limit = FEEDBACK_BYTES
        if head.content_length > <int64_t>self.body_limit:
            return self.refuse(OUTCOME_BODY_TOO_LARGE, now_ns)
        return 0

    cdef int take_feedback(self, uint64_t now_ns) except -1:
        """Its lines in the log are the record; read, checked and answered in Python."""
        cdef Request request = self.request
        cdef Outcome outcome
        status, content_type, body = self.table.slow.feedback(
            self.worker, request.body, request.field(b"content-type"), request.field(b"idempotency-key")
        )
        outcome = OUTCOME_OK if status < 400 else OUTCOME_BAD_BODY
        self.say(status, content_type, body, outcome, now_ns)
        return self.finish(outcome, now_ns)

    cdef int begin_flags(self, const Head* head, uint64_t now_ns) except -1:
        """Flags are evaluated here, by this worker's own plan: no other process is asked."""
        self.asks_flags = True
        self.is_silent = True
        self.body_limit = FLAGS_BYTES
        if head.content_length > <int64_t>self.body_limit:
            return self.refuse(OUTCOME_BODY_TOO_LARGE, now_ns)
        return 0

    cdef int answer_flags(self, uint64_t now_ns) except -1:
        cdef Request request = self.request
        cdef Outcome outcome
        status, fields, body = self.table.slow.flags(
            self.worker, request.method_name, request.path, request.body, request.field(b"if-none-match")
        )
        outcome = OUTCOME_OK if status < 400 else OUTCOME_BAD_BODY
        if self.client is not None:
            self.begin_answer(status)
            self.worker.scratch.add_date()
            self.worker.scratch.add_bytes(fields)
            self.send_answer(body, outcome, now_ns)
        return self.finish(outcome, now_ns)

    cdef int body_piece(self, bytes piece, uint64_t now_ns) except -1:
        """A piece of the request's body: kept, or passed on when the body is relayed."""
        cdef Py_ssize_t length = PyBytes_GET_SIZE(piece)
        cdef Request request = self.request
        request.body_bytes += length
        if request.body_bytes > self.body_limit:
            return self.refuse(OUTCOME_BODY_TOO_LARGE, now_ns)
        if self.uploading:
            return self.upload(piece, False)
        if request.body is None:
            request.body = piece
        elif self.pieces is None:
            self.pieces = [request.body, piece]
        else:
            self.pieces.append(piece)
        self.buffered += length
        self.worker.buffered_bytes += length
        if self.worker.buffered_bytes > <int64_t>self.worker.limits.buffered_bytes:
            return self.refuse(OUTCOME_OVERLOADED, now_ns)
        if (
            self.route is not None and request.body_bytes > self.route.replay_bytes
            and self.operation.shape is None
        ):
            return self.begin_upload(now_ns)
        return 0

    cdef int begin_upload(self, uint64_t now_ns) except -1:
        """A body too long to keep: choose a backend now, send what is here, relay the rest."""
        self.uploading = True
        self.upload_chunked = self.request.content_length < 0
        if self.pieces is not None:
            self.request.body = b"".join(self.pieces)
            self.pieces = None
        self.client.pause()
        return self.proceed(now_ns)

    cdef int body_ended(self, uint64_t now_ns) except -1:
        """The request is whole."""
        cdef Request request = self.request
        self.read_ns = now_ns
        if self.uploading:
            self.upload_ended = True
            return self.upload(b"", True)
        if self.pieces is not None:
            request.body = b"".join(self.pieces)
            self.pieces = None
        elif request.body is None:
            request.body = b""
        return self.proceed(now_ns)

    cdef int proceed(self, uint64_t now_ns) except -1:
        raise NotImplementedError
