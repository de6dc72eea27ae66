"""Refreshing what is known of a backend; the folds and the readers are kernels in the .pxd."""

cimport cython
from libc.stdint cimport uint64_t
from libc.string cimport memset

from gateway._fast.board cimport (
    QUANTILES, Board, Cell, Gauge, Recent, atomic_add, atomic_cas, atomic_load, atomic_store
)
from gateway._fast.breaker cimport breaker_failure_share
from gateway._fast.histogram cimport (
    COARSE_BUCKETS, coarse_quantile, window_add, window_merge_into
)

cdef double[QUANTILES] SHARES = [0.50, 0.90, 0.95, 0.99]


cdef int find_gauges(Gauges* gauges, Board board, int cell) except -1:
    """Where this cell's gauges are; the pointers live as long as the board."""
    if not 0 <= cell < board.backends:
        raise IndexError(f"backend {cell} of {board.backends}")
    gauges.first = board.gauge(0, cell)
    gauges.workers = board.workers
    gauges.first_recent = board.recent(0, cell)
    gauges.stride = gauges.recent_stride = 0
    if board.workers > 1:
        gauges.stride = <size_t>(<char*>board.gauge(1, cell) - <char*>board.gauge(0, cell))
        gauges.recent_stride = <size_t>(<char*>board.recent(1, cell) - <char*>board.recent(0, cell))
    return 0


cdef void learn_usage(Cell* cell, const Gauges* gauges) noexcept nogil:
    # Rule: read while the workers write; a sum and its count may be one answer apart.
    cdef uint64_t input_bytes = 0, input_tokens = 0, output_tokens = 0, answers = 0
    cdef Gauge* gauge
    cdef int worker
    for worker in range(gauges.workers):
        gauge = gauge_of(gauges, worker)
        input_bytes += atomic_load(&gauge.input_bytes)
        input_tokens += atomic_load(&gauge.input_tokens)
        output_tokens += atomic_load(&gauge.output_tokens)
        answers += atomic_load(&gauge.answers)
    if answers < <uint64_t>LEARN_ANSWERS:
        return
    figure_store(&cell.output_tokens_mean, <double>output_tokens / <double>answers)
    if input_bytes and input_tokens:
        figure_store(&cell.bytes_per_token, <double>input_bytes / <double>input_tokens)

cdef uint64_t learn_latency(
    uint64_t* quantiles, const Gauges* gauges, bint is_total, uint64_t now_ns
) noexcept nogil:
    # Cost: a worker that never heard of the backend is skipped, so that its pages need not exist.
    cdef uint64_t[COARSE_BUCKETS] counts
    cdef uint64_t samples = 0
    cdef Recent* recent
    cdef int worker, index
    memset(counts, 0, sizeof(counts))
    for worker in range(gauges.workers):
        if atomic_load(&gauge_of(gauges, worker).ewma_at_ns):
            recent = recent_of(gauges, worker)
            samples += window_merge_into(
                &recent.total if is_total else &recent.first_byte, counts, now_ns
            )
    if samples:
        for index in range(QUANTILES):
            atomic_store(&quantiles[index], coarse_quantile(counts, samples, SHARES[index]))
    return samples

cdef bint learned_refresh(Cell* cell, const Gauges* gauges, uint64_t now_ns) noexcept nogil:
    cdef uint64_t at_ns = atomic_load(&cell.learned_at_ns)
    cdef uint64_t in_flight
    if at_ns and now_ns < at_ns + <uint64_t>LEARN_INTERVAL_NS:
        return False
    # Rule: one worker wins the interval. Killed here, it costs one refresh.
    if not atomic_cas(&cell.learned_at_ns, at_ns, now_ns):
        return False
    learn_usage(cell, gauges)
    atomic_store(&cell.samples, learn_latency(cell.first_byte_q_ns, gauges, False, now_ns))
    learn_latency(cell.total_q_ns, gauges, True, now_ns)
    figure_store(&cell.failure_share, breaker_failure_share(cell, LEARN_WINDOW_S, now_ns))
    in_flight = in_flight_of(gauges)
    if in_flight > atomic_load(&cell.max_in_flight):
        atomic_store(&cell.max_in_flight, in_flight)
    return True


@cython.final
cdef class Learning:
    """One backend's gauges and learned figures on a board."""

    def __init__(self, Board board not None, int backend):
        find_gauges(&self.gauges, board, backend)
        self.board = board
        self.cell = board.cell(backend)

    cdef Gauge* gauge(self, int worker) except NULL:
        if not 0 <= worker < self.gauges.workers:
            raise IndexError(f"worker {worker} of {self.gauges.workers}")
        return gauge_of(&self.gauges, worker)

    def fold_usage(
        self, int worker, uint64_t input_bytes, uint64_t input_tokens, uint64_t output_tokens
    ) -> None:
        """One answer whose usage is known."""
        usage_fold(self.gauge(worker), input_bytes, input_tokens, output_tokens)

    def fold_latency(
        self, int worker, uint64_t first_byte_ns, uint64_t total_ns, uint64_t now_ns
    ) -> None:
        """One answer's times, into the EWMA and both windows."""
        cdef Gauge* gauge = self.gauge(worker)
        cdef Recent* recent = recent_of(&self.gauges, worker)
        ewma_fold(gauge, first_byte_ns, now_ns)
        window_add(&recent.first_byte, first_byte_ns, now_ns)
        window_add(&recent.total, total_ns, now_ns)

    def fold_failure(self, int worker, uint64_t rtt_ns, uint64_t now_ns) -> None:
        """A failed attempt, into the EWMA: as slow as failure_rtt says."""
        ewma_fold(self.gauge(worker), failure_rtt(self.cell, rtt_ns), now_ns)

    def begin(self, int worker, int attempts=1) -> None:
        """So many attempts more (or fewer) are under way."""
        atomic_add(&self.gauge(worker).in_flight, <uint64_t>attempts)

    def in_flight(self) -> int:
        return in_flight_of(&self.gauges)

    def ewma(self, int worker, uint64_t now_ns) -> float:
        return ewma_at(self.gauge(worker), now_ns)

    def load_of_worker(self, int worker, uint64_t now_ns) -> float:
        """Of one worker alone."""
        return ewma_load(self.gauge(worker), now_ns)

    def latest(self, uint64_t now_ns) -> float:
        """The average that was folded last, whichever worker's."""
        cdef uint64_t in_flight
        return ewma_latest(&self.gauges, now_ns, &in_flight)

    def load(self, uint64_t now_ns) -> float:
        """Of all workers together."""
        return load_at(&self.gauges, now_ns)

    def bytes_per_token(self) -> float:
        return bytes_per_token_of(self.cell)

    def refresh(self, uint64_t now_ns) -> bool:
        """Whether it was time, and nobody else's turn."""
        return learned_refresh(self.cell, &self.gauges, now_ns)
