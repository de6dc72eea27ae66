# One backend as a worker sees it: how to address it, its facts, its board entries, its pool.
#
# Rule 1: immutable but for the pool, the board's memory and `is_current`; a new plan makes
#         a new Backend, which takes the old one's pool over when the place is the same.
# Rule 2: the pointers stay good while `board` is referenced, which this object does.

from libc.stdint cimport uint32_t, uint64_t
from gateway._fast.board cimport Board, Cell, Gauge, Recent
from gateway._fast.outcome cimport Outcome
from gateway._fast.peer cimport Peer
from gateway._fast.pool cimport Borrower, Pool
from gateway._fast.learned cimport Gauges
from gateway._fast.marks cimport Marks
from gateway._fast.pointer cimport Pointer
from gateway._fast.routes cimport Terms

cdef class Backend:
    cdef readonly int index             # in the plan
    cdef readonly int cell_index        # on the board; the same across plans
    cdef readonly str name
    cdef readonly object plan           # BackendPlan: for the dialer and for slow paths
    cdef bytes name_bytes
    cdef bytes fields                   # host, static and credential fields, CRLF each
    cdef frozenset own_names            # fields the configuration sets, so that clients cannot; or None
    cdef bytes base_path
    cdef bytes path                     # replaces the operation's path; b"" does not
    cdef bytes model_json               # quoted and escaped, for bodies
    cdef bytes model_path               # percent-encoded, for paths
    cdef Terms terms
    cdef Board board
    cdef Cell* cell
    cdef Gauge* gauge                   # this worker's …
    cdef Recent* recent                 # … and what it timed lately
    cdef Gauges gauges                  # all workers'
    cdef readonly Pool pool
    cdef readonly bint is_current       # False once a new plan dropped or replaced it
    cdef object dial                    # called with the backend when the pool wants a connection
    cdef frozenset forward              # names of client fields let through
    cdef bint passes_encoding
    cdef Pointer model_pointer          # `http`: where the model's name goes in the body; or None
    cdef bytes model_member             # … the whole member, to insert where it is missing; or None
    cdef Pointer confidence_pointer     # in its answers; or None
    cdef Pointer version_pointer        # in its answers; or None
    cdef readonly bytes version         # as configured; b"" unknown
    cdef bytes record_name              # its name, for records
    cdef bytes record_fields            # … and its model's
    cdef bytes record_price             # … and what it costs; b"" nothing
    cdef Marks marks                    # of its answers, where configured; else the operation's
    cdef uint64_t connect_ns
    cdef uint64_t first_byte_ns
    cdef uint64_t idle_ns
    cdef uint64_t total_ns
    cdef uint64_t pool_idle_ns
    cdef uint64_t pool_age_ns

    cdef int borrow(self, Borrower borrower) except -1
    cdef int dial_if_wanted(self) except -1
    cdef int peer_made(self, Peer peer) except -1
    cdef int peer_back(self, Peer peer, bint reusable) except -1
    cdef int peer_gone(self, Peer peer) except -1
    cdef int dial_failed_c(self, Outcome outcome) except -1
