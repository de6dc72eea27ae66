# The board: the shared-memory table that workers write and everyone reads.
#
#   header | seats[worker] | rows[worker][row] | gauges[worker][backend]
#          | recents[worker][backend] | cells[backend]
#
# header  what the file is: magic, version, sizes. Written once, by create().
# seats   one per worker: pid, heartbeat, plan. Written by the worker.
# rows    one per (route, backend, arm), and one per route with no backend:
#         counters and histograms. One writer each; readers add the workers up.
# gauges  one per backend: what this worker has in flight there. One writer each,
#         so a worker that is killed leaks nothing: its gauges are cleared.
# recents one per gauge: its latencies of the last half minute. Apart, so that choosing among
#         many backends touches a few pages, not one a gauge.
# cells   one per backend, shared by all workers and changed by atomic operations
#         only: breaker, adaptive limit, learned figures, health.
#
# Rule 1: times are nanoseconds of CLOCK_MONOTONIC, the same in every process of a host.
# Rule 2: seats, rows, gauges, recents and cells start on cache lines of their own.
# Rule 3: memory is sparse: a page that nobody wrote does not exist. Touching one through
#         the mapping, even to read it, makes it exist; the Python readers do not.
# Rule 4: a row or cell of key 0 is free, and all zeros.

cimport cython
from libc.stdint cimport uint64_t
from gateway._fast.debug cimport FAST_DEBUG
from gateway._fast.histogram cimport Counts, Window

cdef extern from *:
    """
    #include <stdint.h>
    #include <stdio.h>
    #include <stdlib.h>
    static inline uint64_t board_atomic_load(const uint64_t *word) {
        return __atomic_load_n(word, __ATOMIC_ACQUIRE);
    }
    static inline void board_atomic_store(uint64_t *word, uint64_t value) {
        __atomic_store_n(word, value, __ATOMIC_RELEASE);
    }
    static inline uint64_t board_atomic_add(uint64_t *word, uint64_t amount) {
        return __atomic_add_fetch(word, amount, __ATOMIC_ACQ_REL);
    }
    static inline uint64_t board_atomic_sub(uint64_t *word, uint64_t amount) {
        return __atomic_sub_fetch(word, amount, __ATOMIC_ACQ_REL);
    }
    static inline int board_atomic_cas(uint64_t *word, uint64_t expected, uint64_t desired) {
        return __atomic_compare_exchange_n(
            word, &expected, desired, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
    }
    static void board_out_of_range(const char *what, int first, int second) {
        fprintf(stderr, "board: %s [%d][%d] is out of range\\n", what, first, second);
        abort();
    }
    """
    uint64_t atomic_load "board_atomic_load"(const uint64_t* word) noexcept nogil
    void atomic_store "board_atomic_store"(uint64_t* word, uint64_t value) noexcept nogil
    # Both return the value after the change.
    uint64_t atomic_add "board_atomic_add"(uint64_t* word, uint64_t amount) noexcept nogil
    uint64_t atomic_sub "board_atomic_sub"(uint64_t* word, uint64_t amount) noexcept nogil
    # True when the word was `expected` and is now `desired`.
    bint atomic_cas "board_atomic_cas"(
        uint64_t* word, uint64_t expected, uint64_t desired
    ) noexcept nogil
    void out_of_range "board_out_of_range"(const char* what, int first, int second) noexcept nogil

cdef enum:
    BOARD_MAGIC = 0x4452414F42574147    # "GAWBOARD", little endian
    BOARD_VERSION = 7                   # of every struct below; raise it with any change
    CACHE_LINE = 64
    OUTCOME_SLOTS = 64                  # room for outcomes to come
    BREAKER_SLOTS = 32                  # one-second buckets of the failure-rate window
    QUANTILES = 4                       # p50, p90, p95, p99, in this order
    FINISH_SLOTS = 8                    # room for marks.Finish
    SKIP_SLOTS = 16                     # room for mirror.Skip
    ANOMALY_SLOTS = 96                  # room for contracts.anomalies.NAMES, of inputs and outputs
    ROW_DOUBLES = 3                     # the last words of a Row before its histograms
    ROW_WORDS = 211                     # the words of a Row before its histograms
    GAUGE_WORDS = 11                    # the words of a Gauge
    CELL_CLAIMED = 0xFFFFFFFFFFFFFFFF   # the key of a cell while a process zeroes it

cdef struct Header:
    uint64_t magic                      # stored last: a board without it is not ready
    uint64_t version
    uint64_t size_bytes                 # of the whole file
    uint64_t workers
    uint64_t rows
    uint64_t backends
    uint64_t row_bytes                  # sizeof, as the creator was compiled
    uint64_t gauge_bytes
    uint64_t recent_bytes
    uint64_t cell_bytes

cdef struct Seat:
    uint64_t pid                        # 0: nobody sits here
    uint64_t heartbeat_ns               # when the worker last said it is alive
    uint64_t plan_generation            # of the plan it serves; the controller counts them
    uint64_t records                    # written to the log by whoever sat here …
    uint64_t record_bytes
    uint64_t records_dropped            # … and those that found no room
    uint64_t refused[OUTCOME_SLOTS]     # requests without a route, by Outcome

cdef enum Breaker:
    BREAKER_CLOSED = 0
    BREAKER_OPEN = 1
    BREAKER_HALF_OPEN = 2

cdef struct Row:
    uint64_t key                        # hash of (route, backend, arm); 0 = free
    uint64_t requests                   # exchanges (route row) or attempts (backend row) begun
    uint64_t outcomes[OUTCOME_SLOTS]    # by Outcome
    uint64_t statuses[6]                # answers by class: [2] is 2xx; [0] none
    uint64_t retries
    uint64_t hedges
    uint64_t fallbacks
    uint64_t streams
    uint64_t input_tokens
    uint64_t output_tokens
    uint64_t cached_tokens
    uint64_t cost_nano_usd
    uint64_t request_bytes              # bodies, as received from the client or sent upstream
    uint64_t answer_bytes
    uint64_t in_flight                  # gauge
    uint64_t queued                     # gauge
    # Of the row of a route or variant only, for gates: answers by finish reason, records
    # written, answers that are not what the request's schema asked for, sums of squares.
    uint64_t finishes[FINISH_SLOTS]     # by marks.Finish; [0] none was said
    uint64_t recorded
    uint64_t recovered                  # answered well, but not by the first attempt
    uint64_t invalid
    uint64_t anomalies[ANOMALY_SLOTS]   # of contracts, by contracts.anomalies.slot_of
    # Of the row of a route's copies to one backend only.
    uint64_t skips[SKIP_SLOTS]          # copies that were drawn and not sent, by mirror.Skip
    uint64_t uncompared                 # answers recorded without a look at their bodies
    # Of the former again.
    double cost_squares                 # USD²
    double input_squares                # tokens²
    double output_squares
    Counts total_ns                     # request complete → answer complete
    Counts first_byte_ns                # request sent → first byte of the answer's body
    Counts gap_ns                       # between chunks of a stream
    Counts queue_ns                     # waited for a lease
    Counts overhead_ns                  # the gateway's own time

cdef struct Gauge:
    uint64_t in_flight                  # attempts under way
    uint64_t connections                # open sockets
    uint64_t idle                       # of those, waiting in the pool
    uint64_t ewma_ns                    # peak-EWMA of first-byte time
    uint64_t ewma_at_ns                 # when it was last folded
    uint64_t input_bytes                # sums for bytes-per-token …
    uint64_t input_tokens
    uint64_t output_tokens              # … and output length, over `answers`
    uint64_t answers
    uint64_t failures                   # attempts that failed, for the price of a success
    uint64_t held_bytes                 # by copies of requests: what was asked and answered

cdef struct Recent:
    Window first_byte
    Window total

cdef struct Cell:
    uint64_t key                        # hash of the backend's name; 0 = free
    # breaker
    uint64_t state                      # Breaker
    uint64_t opened_at_ns
    uint64_t open_until_ns              # half-open from then on
    uint64_t ejections                  # consecutive; the open time grows with it
    uint64_t consecutive                # failures in a row
    uint64_t probes                     # half-open attempts under way
    uint64_t probed_at_ns               # when the last probe was let through; a lost probe expires
    uint64_t rate_epoch[BREAKER_SLOTS]  # second each slot belongs to
    uint64_t rate_total[BREAKER_SLOTS]
    uint64_t rate_failed[BREAKER_SLOTS]
    uint64_t rate_slow[BREAKER_SLOTS]
    uint64_t cooldown_until_ns          # Retry-After of the backend itself
    # health
    uint64_t unhealthy                  # set by active checks
    uint64_t check_at_ns                # next active check; whoever moves it does it
    uint64_t healthy_since_ns           # slow start counts from here
    # adaptive limit
    uint64_t limit                      # attempts at once, all workers together; 0 = none
    uint64_t limit_at_ns                # last update
    double long_rtt_ns                  # Gradient2's long average
    double limit_exact                  # before rounding
    # learned, refreshed by whoever moves learned_at_ns
    uint64_t learned_at_ns
    double bytes_per_token
    double output_tokens_mean
    double failure_share                # of recent attempts
    uint64_t first_byte_q_ns[QUANTILES]
    uint64_t total_q_ns[QUANTILES]
    uint64_t samples                    # in the windows those came from
    uint64_t max_in_flight              # capacity probe for metrics
    uint64_t spent                      # on copies: nano-USD, and the UTC day they are of (mirror.pxd)


@cython.final
cdef class Board:
    # Safety: whoever keeps a pointer into the board keeps the Board; it is unmapped when
    # the last reference to the object, or to a memoryview of it, goes.
    cdef readonly int fd                # owned; pass it to the processes that attach
    cdef readonly int workers
    cdef readonly int rows              # a worker
    cdef readonly int backends
    cdef readonly size_t size_bytes
    cdef char* memory
    # multiples of CACHE_LINE
    cdef size_t row_stride, gauge_stride, recent_stride, cell_stride, seat_stride
    cdef size_t rows_offset, gauges_offset, recents_offset, cells_offset, seats_offset

    cdef inline Header* header(self) noexcept nogil:
        return <Header*>self.memory

    cdef inline Seat* seat(self, int worker) noexcept nogil:
        if FAST_DEBUG and not 0 <= worker < self.workers:
            out_of_range("seat", worker, 0)
        return <Seat*>(self.memory + self.seats_offset + <size_t>worker * self.seat_stride)

    cdef inline Row* row(self, int worker, int index) noexcept nogil:
        if FAST_DEBUG and not (0 <= worker < self.workers and 0 <= index < self.rows):
            out_of_range("row", worker, index)
        return <Row*>(
            self.memory + self.rows_offset
            + (<size_t>worker * <size_t>self.rows + <size_t>index) * self.row_stride
        )

    cdef inline Gauge* gauge(self, int worker, int backend) noexcept nogil:
        if FAST_DEBUG and not (0 <= worker < self.workers and 0 <= backend < self.backends):
            out_of_range("gauge", worker, backend)
        return <Gauge*>(
            self.memory + self.gauges_offset
            + (<size_t>worker * <size_t>self.backends + <size_t>backend) * self.gauge_stride
        )

    cdef inline Recent* recent(self, int worker, int backend) noexcept nogil:
        if FAST_DEBUG and not (0 <= worker < self.workers and 0 <= backend < self.backends):
            out_of_range("recent", worker, backend)
        return <Recent*>(
            self.memory + self.recents_offset
            + (<size_t>worker * <size_t>self.backends + <size_t>backend) * self.recent_stride
        )

    cdef inline Cell* cell(self, int backend) noexcept nogil:
        if FAST_DEBUG and not 0 <= backend < self.backends:
            out_of_range("cell", backend, 0)
        return <Cell*>(self.memory + self.cells_offset + <size_t>backend * self.cell_stride)

    cdef void measure(self, int workers, int rows, int backends) noexcept
    cdef int map(self) except -1
    cdef uint64_t* word(self, size_t offset) except NULL
    cdef int read_into(self, void* target, size_t size, size_t offset) except -1
    cdef uint64_t key_of(self, int worker, int index) except? 0
    cdef list claimed(self, int index, uint64_t key)
