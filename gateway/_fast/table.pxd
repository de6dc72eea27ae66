# The compiled route table of one plan: what a worker looks things up in.
#
# Rule: immutable once built, but for queues, budgets, caches and the path cache, which
#       belong to this worker alone.

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from gateway._fast.backend cimport Backend
from gateway._fast.board cimport Board, Row
from gateway._fast.budget cimport Budget
from gateway._fast.operation cimport Operation
from gateway._fast.peer cimport Peer
from gateway._fast.pointer cimport Pointer
from gateway._fast.queue cimport Queue, Waiter
from gateway._fast.request cimport Request
from gateway._fast.routes cimport Candidates
from gateway._fast.unit cimport Unit

cdef enum:
    PATHS_MAX = 4096                    # paths remembered with the operation they mean
    PLACES = 128                        # candidates of a route, and spare backends behind them

cdef enum Payload:                      # the order of PAYLOADS
    PAYLOAD_NONE = 0
    PAYLOAD_DIGEST = 1
    PAYLOAD_SAMPLED = 2
    PAYLOAD_FULL = 3

cdef class Turn(Waiter):
    cdef int on_turn(self, uint64_t now_ns) except -1

cdef class Route:
    cdef readonly int index
    cdef readonly str name
    cdef readonly object plan           # RoutePlan: for slow paths
    cdef readonly str protocol
    cdef readonly Candidates candidates
    cdef readonly list backends         # of Backend: the candidates, then the spare ones
    cdef Board board                    # Safety: keeps the rows' memory
    cdef Row* row                       # the route's own
    cdef Row* rows[PLACES]              # parallel to `backends`
    cdef readonly Queue queue
    cdef Budget retry_budget
    cdef Budget hedge_budget
    cdef int attempts                   # at most, the first included
    cdef uint8_t[600] retries_status
    cdef uint8_t[10] retries_method     # by head.Method
    cdef uint64_t backoff_ns
    cdef uint64_t backoff_max_ns
    cdef uint64_t retry_after_max_ns
    cdef bint hedges
    cdef uint64_t hedge_after_ns        # 0: the backend's own p95
    cdef int queue_status
    cdef uint64_t first_byte_ns         # 0: the backend's own
    cdef uint64_t total_ns
    cdef uint64_t body_bytes
    cdef uint64_t replay_bytes
    cdef uint64_t hold_bytes
    cdef int priority
    cdef bint websocket
    cdef bint is_off                    # refused, by its kill switch
    cdef bint checks_requests           # they have a contract …
    cdef bint checks_answers            # … and they
    cdef readonly tuple fallback        # of FallbackPlan
    cdef readonly tuple larger_context  # places in `backends`
    cdef readonly tuple content_filter
    cdef Unit sticky                    # or None
    # experiments
    cdef readonly tuple layers          # of Layer; None: nothing is drawn
    cdef readonly list variants         # of Route, by number; the first is this route itself
    cdef readonly str arm               # of a variant; "" none
    cdef bytes arm_field                # header field that tells it; None
    cdef bint is_patched                # bodies are changed before they are sent
    cdef frozenset overrides            # field names, bytes
    cdef readonly object answers        # the last good answers, or None
    cdef readonly tuple mirrors         # of Mirror: where copies go; None: nowhere
    # what its records say
    cdef int payload                    # Payload
    cdef uint32_t sample_ppm
    cdef uint64_t payload_bytes         # of one body, at most
    cdef uint64_t tee_bytes             # … of an answer before anything is taken out of it
    cdef Pointer features               # of a request's body; or None
    cdef Pointer predictions            # of an answer's body; or None …
    cdef uint64_t predictions_bytes     # … and in longer ones they are not looked for
    cdef bint redacts                   # payloads pass through Python first
    cdef bint hides_user
    cdef bint redacts_names             # a user may be what is to be taken out, whatever its length
    cdef bint records_headers
    cdef bytes record_fields
    cdef bytes decision_fields          # its name, and its arm
    cdef list record_names              # of the candidates

    cdef bint has_room(self, uint64_t now_ns) noexcept
    cdef int place_of(self, Backend backend, Row* row) except -1

cdef class Table:
    cdef readonly object plan
    cdef readonly str hash
    cdef bytes record_fields            # the hash, for records
    cdef bytes user_header              # that names the user; b"" none
    cdef readonly dict routes           # name as bytes -> Route
    cdef readonly list routes_by_index
    cdef list all_routes                # with their variants
    cdef readonly list backends         # by index
    cdef readonly Route default_route
    cdef readonly dict answers          # path -> (status, content type, body): the gateway's own
    cdef list status_lines              # by status
    cdef list paths                     # by head.Method: path -> (Operation, Route or None, name or None)
    cdef readonly object slow           # the slow paths, in Python; see dataplane/slow.py
    cdef readonly bint has_cors
    cdef readonly bint has_forwarded
    cdef uint64_t body_bytes            # limit where the route is not known yet
    cdef bytes server_line              # `server: …` with its line end, or b""
    cdef bint serving                   # serve_queues is on the stack
    cdef int queued                     # exchanges waiting in any queue

    cdef tuple find(self, int method, bytes method_name, bytes path)
    cdef int serve_queues(self, uint64_t now_ns) except -1
    cdef int serve_queue(self, Route route, uint64_t now_ns) except -1
