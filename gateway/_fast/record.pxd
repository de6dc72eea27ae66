# The prediction log's line of an exchange: messages.Record, field by field in its order.
#
# Rule 1: exactly one for each exchange that was answered or refused, before its last byte
#         leaves; not for what the gateway says about itself (health, its list of models).
#         One more for each copy of its request that was sent.
# Rule 2: of a request's head nothing is recorded but the user, the trace and the headers
#         that the configuration names; of a URL only what its operation is called.
# Rule 3: a body is kept only where the route says so. What must be redacted or encrypted
#         passes through Python (table.slow); when that fails, the body is left out.
# Cost: bench/micro/record.py; build and append 800 bytes 2.5 µs, at most.

cimport cython
from libc.stdint cimport uint64_t
from gateway._fast.attempt cimport Attempt
from gateway._fast.decision cimport Decision
from gateway._fast.errand cimport Errand
from gateway._fast.layers cimport Assignments
from gateway._fast.line cimport Line
from gateway._fast.pointer cimport Pointer
from gateway._fast.recovery cimport Recovery
from gateway._fast.request cimport Request
from gateway._fast.segment cimport Stream
from gateway._fast.shadow cimport Shadow

cdef enum:
    NAME_BYTES = 256                    # of a model or user that a client names
    SHORT_BYTES = 16                    # no credential is that short
    DECISION_BYTES = 1024               # of a decision but its candidates …
    CANDIDATE_BYTES = 512               # … and of one of them, a name of 128 escaped included
    ATTEMPT_BYTES = 640

@cython.final
cdef class Recorder:                    # Recorder(stream, gateway, worker, outcomes, capabilities)
    cdef readonly Stream stream
    cdef Line line
    cdef bytes origin                   # gateway, worker and stream
    cdef tuple outcomes                 # reason tokens by Outcome
    cdef tuple capabilities             # (bit, quoted name)
    cdef uint64_t wanted                # capabilities of the latest decision that wanted any …
    cdef bytes wanted_names             # … and their names as JSON
    cdef char[36] id                    # of the record under way

    cdef int write(self, Recovery exchange) except -1
    cdef int add_copy(self, Shadow shadow) except -1
    cdef int add_request_id(self, Errand errand) except -1
    cdef int add_ids(self, Recovery exchange, uint64_t now_ns) except -1
    cdef int add_timing(self, Errand exchange, uint64_t read_ns) except -1
    cdef int add_request(self, Recovery exchange) except -1
    cdef int add_response(self, Recovery exchange) except -1
    cdef int add_payload(
        self, Errand exchange, bytes body, uint64_t total_bytes, bint is_encoded,
        bytes content_type, bint is_request,
    ) except -1
    cdef int add_body(self, bytes body, uint64_t limit, bint is_whole, bint is_encoded) except -1
    cdef int add_question(self, Errand exchange) except -1
    cdef int add_told(self, Errand exchange, const char* name, bytes text) except -1
    cdef int add_user(self, Errand exchange) except -1
    cdef int add_answerer(self, Recovery exchange) except -1
    cdef int add_backend(self, Attempt attempt) except -1
    cdef int add_decisions(self, Recovery exchange) except -1
    cdef int add_decision(self, Recovery exchange, Decision decision) except -1
    cdef bytes names_of(self, uint64_t capabilities)
    cdef int add_wish(self, Decision decision) except -1
    cdef void add_candidate(self, Decision decision, int position, bytes name) noexcept
    cdef void add_measures(self, Decision decision, int position) noexcept
    cdef int add_assignments(self, Assignments assignments) except -1
    cdef int add_attempts(self, Errand exchange) except -1
    cdef int add_attempt(self, Attempt attempt, uint64_t read_ns) except -1
    cdef int add_cost(self, Errand exchange) except -1
    cdef int add_name(self, Errand exchange, const char* text, size_t length) except -1
    cdef int add_findings(self, Recovery exchange) except -1
    cdef int add_features(self, Recovery exchange) except -1
    cdef int add_predictions(self, Errand exchange, bytes body) except -1
    cdef int add_part(
        self, Errand exchange, const char* name, Pointer pointer, bytes body, bint is_request
    ) except -1
    cdef int add_short(self, const char* text, size_t length) except -1
    cdef int make_room(self, size_t more) except -1
