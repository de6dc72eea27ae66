"""The board: making and mapping it, claiming places on it, reading it from Python.

The .pxd has the layout, the accessors and the atomic operations, which are all that the
hot path uses. What is here runs at start, at a change of plan, and for readers.

Why readers use pread: reading a page of a sparse mapping makes the page exist, and most
pages of most histograms never held a value; pread of a hole copies zeros and makes nothing.
Each figure is one aligned word, so a reader sees it before or after a change; figures
of one row may be a few exchanges apart.
Knows nothing of routes and backends by name: the controller keeps who has which index.
"""

import os
import tempfile

cimport cython
from cpython.buffer cimport PyBuffer_FillInfo
from cpython.exc cimport PyErr_SetFromErrno
from libc.stdint cimport uint64_t
from libc.string cimport memcpy, memset
from posix.mman cimport MAP_FAILED, MAP_SHARED, PROT_READ, PROT_WRITE, mmap, munmap
from posix.types cimport off_t
from posix.unistd cimport close, pread, usleep

from gateway._fast.debug cimport FAST_DEBUG
from gateway._fast.histogram cimport (
    COARSE_BUCKETS, FINE_BUCKETS, WINDOW_SLOTS, Counts, Histogram, fine_add
)

CHECKED = bool(FAST_DEBUG)              # whether the accessors of the .pxd check their bounds

cdef enum:
    CLAIM_WAIT_US = 100
    CLAIM_WAITS = 1000                  # 0.1 s; then the process that claimed is taken for dead

# The structs of the .pxd as data: (name, element, count), count None for a scalar.
# tests/fast/test_board.py compares them with the text of the .pxd.


def _described(fields):
    """The numpy dtype, as a plain dict, of a C struct with these fields."""
    offsets, size = [], 0
    for _, element, count in fields:
        offsets.append(size)
        size += (element["itemsize"] if isinstance(element, dict) else int(element[1:])) * (
            1 if count is None else count
        )
    formats = [element if count is None else (element, (count,)) for _, element, count in fields]
    return {
        "names": [name for name, _, _ in fields],
        "formats": formats,
        "offsets": offsets,
        "itemsize": size,
    }


def _words(text):
    return tuple((name, "u8", None) for name in text.split())


_COUNTS = _described((*_words("total sum"), ("counts", "u8", FINE_BUCKETS)))
_SLOT = _described((*_words("epoch total"), ("counts", "u4", COARSE_BUCKETS)))
_WINDOW = _described((("slots", _SLOT, WINDOW_SLOTS),))
_HEADER = _described(
    _words("magic version size_bytes workers rows backends row_bytes gauge_bytes recent_bytes cell_bytes")
)
_SEAT = _described((
    *_words("pid heartbeat_ns plan_generation records record_bytes records_dropped"),
    ("refused", "u8", OUTCOME_SLOTS),
))
HISTOGRAMS = ("total_ns", "first_byte_ns", "gap_ns", "queue_ns", "overhead_ns")
_ROW_COUNTERS = (
    *_words("key requests"),
    ("outcomes", "u8", OUTCOME_SLOTS),
    ("statuses", "u8", 6),
    *_words("retries hedges fallbacks streams input_tokens output_tokens cached_tokens"),
    *_words("cost_nano_usd request_bytes answer_bytes in_flight queued"),
    ("finishes", "u8", FINISH_SLOTS),
    *_words("recorded recovered invalid"),
    ("anomalies", "u8", ANOMALY_SLOTS),
    ("skips", "u8", SKIP_SLOTS),
    *_words("uncompared"),
    ("cost_squares", "f8", None),
    ("input_squares", "f8", None),
    ("output_squares", "f8", None),
)
_ROW = _described((*_ROW_COUNTERS, *((name, _COUNTS, None) for name in HISTOGRAMS)))
_GAUGE_COUNTERS = _words(
    "in_flight connections idle ewma_ns ewma_at_ns"
    " input_bytes input_tokens output_tokens answers failures held_bytes"
)
_GAUGE = _described(_GAUGE_COUNTERS)
_RECENT = _described((("first_byte", _WINDOW, None), ("total", _WINDOW, None)))
_CELL = _described((
    *_words("key state opened_at_ns open_until_ns ejections consecutive probes probed_at_ns"),
    ("rate_epoch", "u8", BREAKER_SLOTS),
    ("rate_total", "u8", BREAKER_SLOTS),
    ("rate_failed", "u8", BREAKER_SLOTS),
    ("rate_slow", "u8", BREAKER_SLOTS),
    *_words("cooldown_until_ns unhealthy check_at_ns healthy_since_ns limit limit_at_ns"),
    ("long_rtt_ns", "f8", None),
    ("limit_exact", "f8", None),
    ("learned_at_ns", "u8", None),
    ("bytes_per_token", "f8", None),
    ("output_tokens_mean", "f8", None),
    ("failure_share", "f8", None),
    ("first_byte_q_ns", "u8", QUANTILES),
    ("total_q_ns", "u8", QUANTILES),
    *_words("samples max_in_flight spent"),
))


cdef void assert_described() except *:
    # The tables above against the compiled structs, once at import.
    cdef Row* row = NULL
    assert _ROW["itemsize"] == sizeof(Row)
    assert _GAUGE["itemsize"] == sizeof(Gauge) == GAUGE_WORDS * sizeof(uint64_t)
    assert _RECENT["itemsize"] == sizeof(Recent)
    assert _CELL["itemsize"] == sizeof(Cell)
    assert _SEAT["itemsize"] == sizeof(Seat)
    assert _HEADER["itemsize"] == sizeof(Header)
    assert <size_t>&row.total_ns == ROW_WORDS * sizeof(uint64_t) == histogram_offset("total_ns")
    assert <size_t>&row.overhead_ns == histogram_offset("overhead_ns")


cdef size_t lines(size_t size) noexcept nogil:
    # `size`, rounded up to whole cache lines.
    return (size + CACHE_LINE - 1) // <size_t>CACHE_LINE * <size_t>CACHE_LINE


cdef int anonymous_file() except -1:
    # A file without a name, in memory where the system has that.
    if hasattr(os, "memfd_create"):
        return os.memfd_create("board")
    with tempfile.TemporaryFile(prefix="board-") as file:
        return os.dup(file.fileno())


cdef int verify(const Header* header, size_t file_bytes, Board board) except -1:
    if header.magic != <uint64_t>BOARD_MAGIC:
        raise ValueError("the file is not a board, or not ready: its magic number is wrong")
    if header.version != BOARD_VERSION:
        raise ValueError(
            f"the board has layout version {header.version}, this build reads {BOARD_VERSION}"
        )
    for name, theirs, ours in (
        ("row", header.row_bytes, sizeof(Row)),
        ("gauge", header.gauge_bytes, sizeof(Gauge)),
        ("recent", header.recent_bytes, sizeof(Recent)),
        ("cell", header.cell_bytes, sizeof(Cell)),
    ):
        if theirs != ours:
            raise ValueError(f"a {name} has {theirs} bytes on the board and {ours} in this build")
    if not (0 < header.workers < 1 << 16 and header.rows < 1 << 24 and header.backends < 1 << 24):
        raise ValueError(
            f"the board's dimensions are impossible: {header.workers} workers,"
            f" {header.rows} rows, {header.backends} backends"
        )
    board.measure(<int>header.workers, <int>header.rows, <int>header.backends)
    if header.size_bytes != board.size_bytes:
        raise ValueError(
            f"the board says it has {header.size_bytes} bytes,"
            f" its dimensions make {board.size_bytes}"
        )
    if file_bytes < board.size_bytes:
        raise ValueError(f"the board's file has {file_bytes} bytes of {board.size_bytes}")
    return 0


@cython.final
cdef class Board:
    """Shared memory for counters, histograms and backend state; `create` or `attach` one."""

    def __cinit__(self):
        self.fd = -1

    def __init__(self):
        raise TypeError("a board is made by Board.create() or Board.attach()")

    def __dealloc__(self):
        if self.memory != NULL:
            munmap(self.memory, self.size_bytes)
        if self.fd >= 0:
            close(self.fd)

    def __repr__(self):
        return (
            f"Board(workers={self.workers}, rows={self.rows}, backends={self.backends},"
            f" fd={self.fd})"
        )

    @staticmethod
    def create(int workers, int rows, int backends) -> Board:
        """A new board in anonymous shared memory; its pages exist once they are written."""
        if not (0 < workers < 1 << 16 and 0 <= rows < 1 << 24 and 0 <= backends < 1 << 24):
            raise ValueError(f"no board has {workers} workers, {rows} rows, {backends} backends")
        cdef Board board = Board.__new__(Board)
        board.measure(workers, rows, backends)
        board.fd = anonymous_file()
        os.ftruncate(board.fd, board.size_bytes)
        board.map()
        cdef Header* header = board.header()
        header.version = BOARD_VERSION
        header.size_bytes = board.size_bytes
        header.workers, header.rows, header.backends = workers, rows, backends
        header.row_bytes = sizeof(Row)
        header.gauge_bytes = sizeof(Gauge)
        header.recent_bytes = sizeof(Recent)
        header.cell_bytes = sizeof(Cell)
        atomic_store(&header.magic, <uint64_t>BOARD_MAGIC)
        return board

    @staticmethod
    def attach(int fd) -> Board:
        """The board behind `fd`, which stays the caller's: the board keeps a duplicate.

        ValueError says in one sentence why the file is not a board this build can use.
        """
        cdef Board board = Board.__new__(Board)
        cdef Header header
        cdef bytes head = os.pread(fd, sizeof(Header), 0)
        if len(head) < <Py_ssize_t>sizeof(Header):
            raise ValueError(f"the file has {len(head)} bytes, a board's header {sizeof(Header)}")
        # Safety: `head` has the length of the header.
        memcpy(&header, <const char*>head, sizeof(Header))
        verify(&header, os.fstat(fd).st_size, board)
        board.fd = os.dup(fd)
        board.map()
        return board

    cdef void measure(self, int workers, int rows, int backends) noexcept:
        self.workers, self.rows, self.backends = workers, rows, backends
        self.seat_stride = lines(sizeof(Seat))
        self.row_stride = lines(sizeof(Row))
        self.gauge_stride = lines(sizeof(Gauge))
        self.recent_stride = lines(sizeof(Recent))
        self.cell_stride = lines(sizeof(Cell))
        self.seats_offset = lines(sizeof(Header))
        self.rows_offset = self.seats_offset + <size_t>workers * self.seat_stride
        self.gauges_offset = self.rows_offset + <size_t>workers * <size_t>rows * self.row_stride
        self.recents_offset = (
            self.gauges_offset + <size_t>workers * <size_t>backends * self.gauge_stride
        )
        self.cells_offset = (
            self.recents_offset + <size_t>workers * <size_t>backends * self.recent_stride
        )
        self.size_bytes = self.cells_offset + <size_t>backends * self.cell_stride

    cdef int map(self) except -1:
        # Safety: munmap is called once, by __dealloc__, with the same size.
        cdef void* memory = mmap(
            NULL, self.size_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, self.fd, 0
        )
        if memory == MAP_FAILED:
            PyErr_SetFromErrno(OSError)
        self.memory = <char*>memory
        return 0

    # The mapping

    def __getbuffer__(self, Py_buffer* view, int flags):
        # Safety: the view holds a reference to the board, so the mapping outlives it.
        PyBuffer_FillInfo(view, self, self.memory, <Py_ssize_t>self.size_bytes, 0, flags)

    @property
    def buffer(self) -> memoryview:
        """The whole mapping, writable. What is read through it exists from then on."""
        return memoryview(self)

    def layout(self) -> dict:
        """Where everything is: for each part its offset, shape and item.

        An item is a numpy dtype as a plain dict, its itemsize the distance to the next item.
        """
        parts = (
            ("header", 0, (), _HEADER, sizeof(Header)),
            ("seats", self.seats_offset, (self.workers,), _SEAT, self.seat_stride),
            ("rows", self.rows_offset, (self.workers, self.rows), _ROW, self.row_stride),
            ("gauges", self.gauges_offset, (self.workers, self.backends), _GAUGE, self.gauge_stride),
            (
                "recents", self.recents_offset, (self.workers, self.backends), _RECENT,
                self.recent_stride,
            ),
            ("cells", self.cells_offset, (self.backends,), _CELL, self.cell_stride),
        )
        return {
            name: {"offset": offset, "shape": shape, "item": {**item, "itemsize": stride}}
            for name, offset, shape, item, stride in parts
        }

    def seat_offset(self, int worker) -> int:
        return <char*>self.seat(worker) - self.memory

    def row_offset(self, int worker, int index) -> int:
        return <char*>self.row(worker, index) - self.memory

    def gauge_offset(self, int worker, int backend) -> int:
        return <char*>self.gauge(worker, backend) - self.memory

    def cell_offset(self, int backend) -> int:
        return <char*>self.cell(backend) - self.memory

    # Single words, atomically: the figures of a cell that Python sets (offsets: layout).

    cdef uint64_t* word(self, size_t offset) except NULL:
        # Safety: aligned and inside the mapping, whose size is a multiple of 64, or refused.
        if offset % sizeof(uint64_t) or offset >= self.size_bytes:
            raise IndexError(f"no word starts at {offset} of {self.size_bytes} bytes")
        return <uint64_t*>(self.memory + offset)

    def load_word(self, size_t offset) -> int:
        return atomic_load(self.word(offset))

    def store_word(self, size_t offset, uint64_t value) -> None:
        atomic_store(self.word(offset), value)

    def add_to_word(self, size_t offset, uint64_t amount) -> int:
        """The value after the addition."""
        return atomic_add(self.word(offset), amount)

    def subtract_from_word(self, size_t offset, uint64_t amount) -> int:
        """The value after the subtraction."""
        return atomic_sub(self.word(offset), amount)

    def swap_word(self, size_t offset, uint64_t expected, uint64_t desired) -> bool:
        """Whether the word was `expected`; it is `desired` then, and unchanged otherwise."""
        return atomic_cas(self.word(offset), expected, desired)

    # Changes by worker and supervisor

    def take_seat(self, int worker, uint64_t pid) -> None:
        """The process `pid` is this worker now; 0 for none."""
        cdef Seat* seat = self.seat(checked("worker", worker, self.workers))
        seat.heartbeat_ns = 0
        seat.plan_generation = 0
        atomic_store(&seat.pid, pid)

    def beat(self, int worker, uint64_t now_ns) -> None:
        atomic_store(&self.seat(checked("worker", worker, self.workers)).heartbeat_ns, now_ns)

    def adopt_plan(self, int worker, uint64_t generation) -> None:
        """The worker serves the plan of this generation from now on."""
        atomic_store(
            &self.seat(checked("worker", worker, self.workers)).plan_generation, generation
        )

    def claim_row(self, int worker, int index, uint64_t key) -> bool:
        """Zero the row unless it has this key already; True when it is new. Key 0 frees it."""
        checked("worker", worker, self.workers)
        cdef Row* row = self.row(worker, checked("row", index, self.rows))
        if row.key == key:
            return False
        if row.key:
            clear_row(row)
        atomic_store(&row.key, key)
        return True

    def claim_cell(self, int index, uint64_t key) -> bool:
        """Zero the cell unless it has this key already; True for the one process that did."""
        if key == <uint64_t>CELL_CLAIMED:
            raise ValueError("this key marks a cell that is being claimed")
        cdef Cell* cell = self.cell(checked("backend", index, self.backends))
        cdef uint64_t found
        for _ in range(CLAIM_WAITS):
            found = atomic_load(&cell.key)
            if found == key:
                return False
            if found == <uint64_t>CELL_CLAIMED:
                usleep(CLAIM_WAIT_US)
            elif atomic_cas(&cell.key, found, <uint64_t>CELL_CLAIMED):
                break
        memset(<char*>cell + sizeof(uint64_t), 0, sizeof(Cell) - sizeof(uint64_t))
        atomic_store(&cell.key, key)
        return True

    def record(self, int worker, int index, name: str, uint64_t value) -> None:
        """Add a value to one of the row's histograms."""
        checked("worker", worker, self.workers)
        cdef Row* row = self.row(worker, checked("row", index, self.rows))
        # Safety: the offset is that of a Counts inside a Row, by assert_described().
        fine_add(<Counts*>(<char*>row + histogram_offset(name)), value)

    def clear_worker_gauges(self, int worker) -> None:
        """Forget what a worker that is dead had under way."""
        cdef Gauge* gauge
        cdef Row* row
        cdef int index
        checked("worker", worker, self.workers)
        for index in range(self.backends):
            if any(self.read_gauge(worker, index)[name] for name in _BUSY):
                gauge = self.gauge(worker, index)
                gauge.in_flight = gauge.connections = gauge.idle = gauge.held_bytes = 0
        for index in range(self.rows):
            if self.key_of(worker, index):
                row = self.row(worker, index)
                row.in_flight = row.queued = 0

    # Readers

    cdef int read_into(self, void* target, size_t size, size_t offset) except -1:
        # Safety: `target` has `size` bytes, and the file is never truncated.
        if pread(self.fd, target, size, <off_t>offset) != <Py_ssize_t>size:
            PyErr_SetFromErrno(OSError)
        return 0

    cdef uint64_t key_of(self, int worker, int index) except? 0:
        cdef uint64_t key
        self.read_into(&key, sizeof(key), <size_t>(<char*>self.row(worker, index) - self.memory))
        return key

    cdef list claimed(self, int index, uint64_t key):
        # The offsets of this row at all workers that use it (for `key`, unless that is 0).
        checked("row", index, self.rows)
        offsets = []
        for worker in range(self.workers):
            found = self.key_of(worker, index)
            if found and (key == 0 or found == key):
                offsets.append(self.row_offset(worker, index))
        return offsets

    def read_seat(self, int worker) -> dict:
        return self.seat(checked("worker", worker, self.workers))[0]

    def read_row(self, int index, uint64_t key=0) -> dict:
        """The row's counters, and total and sum of its histograms, added up over workers.

        With a key, only workers whose row has that key count: during a change of plan an
        index may mean different things to different workers.
        """
        cdef uint64_t[ROW_WORDS] words
        cdef uint64_t[ROW_WORDS] sums
        cdef uint64_t[2] head
        cdef int word
        memset(sums, 0, sizeof(sums))
        answer = {name: {"total": 0, "sum": 0} for name in HISTOGRAMS}
        for offset in self.claimed(index, key):
            self.read_into(words, sizeof(words), offset)
            for word in range(1, ROW_WORDS - ROW_DOUBLES):
                sums[word] += words[word]
            for word in range(ROW_WORDS - ROW_DOUBLES, ROW_WORDS):
                (<double*>sums)[word] += (<double*>words)[word]
            sums[0] = words[0]
            for name in HISTOGRAMS:
                self.read_into(head, sizeof(head), offset + histogram_offset(name))
                answer[name]["total"] += head[0]
                answer[name]["sum"] += head[1]
        return {**named(_ROW_COUNTERS, sums), **answer}

    def histogram(self, int index, name: str, uint64_t key=0) -> Histogram:
        """One histogram of the row, merged over workers; the caller's to keep."""
        cdef Histogram merged = Histogram()
        cdef Histogram part = Histogram()
        cdef size_t inside = histogram_offset(name)
        for offset in self.claimed(index, key):
            self.read_into(&part.counts_c, sizeof(Counts), offset + inside)
            merged.add_counts(&part.counts_c)
        return merged

    def quantile(self, int index, name: str, double q, uint64_t key=0) -> int:
        return self.histogram(index, name, key).quantile(q)

    def row_bytes(self, int worker, int index) -> bytes:
        """A copy of one row, for numpy: layout()["rows"]["item"] is its dtype."""
        checked("worker", worker, self.workers)
        checked("row", index, self.rows)
        return os.pread(self.fd, self.row_stride, self.row_offset(worker, index))

    def read_gauge(self, int worker, int backend) -> dict:
        """What one worker has at a backend."""
        cdef uint64_t[GAUGE_WORDS] words
        checked("worker", worker, self.workers)
        checked("backend", backend, self.backends)
        self.read_into(words, sizeof(words), self.gauge_offset(worker, backend))
        return named(_GAUGE_COUNTERS, words)

    def read_cell(self, int backend) -> dict:
        return self.cell(checked("backend", backend, self.backends))[0]


_BUSY = ("in_flight", "connections", "idle", "held_bytes")


cdef int checked(str what, int index, int size) except -1:
    if not 0 <= index < size:
        raise IndexError(f"{what} {index} of {size}")
    return index


cdef void clear_counts(Counts* counts) noexcept nogil:
    # Cost: a histogram that is empty is left alone, so that its pages need not exist.
    if counts.total:
        memset(counts, 0, sizeof(Counts))


cdef void clear_row(Row* row) noexcept nogil:
    # All but the key.
    memset(<char*>row + sizeof(uint64_t), 0, (ROW_WORDS - 1) * sizeof(uint64_t))
    clear_counts(&row.total_ns)
    clear_counts(&row.first_byte_ns)
    clear_counts(&row.gap_ns)
    clear_counts(&row.queue_ns)
    clear_counts(&row.overhead_ns)


cdef size_t histogram_offset(str name) except 0:
    if name not in HISTOGRAMS:
        raise KeyError(f"a row has no histogram {name!r}")
    return _ROW["offsets"][_ROW["names"].index(name)]


cdef dict named(tuple fields, const uint64_t* words):
    # The words of a struct under the names of its fields; arrays become lists.
    answer = {}
    cdef int at = 0
    for name, kind, count in fields:
        if count is None:
            answer[name] = (<const double*>words)[at] if kind == "f8" else words[at]
            at += 1
        else:
            answer[name] = [words[at + index] for index in range(count)]
            at += count
    return answer


assert_described()
