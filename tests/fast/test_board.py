import gc
import os
import re
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway._fast.board import CHECKED, Board
from gateway._fast.histogram import Histogram
from tests.reference.histogram import KeptValues

DECLARATIONS = Path(__file__).parents[2] / "gateway" / "_fast"
Structured = np.ndarray[Any, Any]
HISTOGRAMS = ["total_ns", "first_byte_ns", "gap_ns", "queue_ns", "overhead_ns"]
CLAIMED = 2**64 - 1


def part(board: Board, name: str) -> Structured:
    """A part of the board as a structured array over the mapping."""
    place = board.layout()[name]
    return np.ndarray(place["shape"], np.dtype(place["item"]), board.buffer, place["offset"])


def stored_bytes(board: Board) -> int:
    """The memory that the board's pages take."""
    return os.fstat(board.fd).st_blocks * 512


def declared_fields(struct: str) -> list[str]:
    """The names in the declaration of this struct, in order."""
    text = "".join((DECLARATIONS / f"{name}.pxd").read_text() for name in ("histogram", "board"))
    body = re.search(rf"^cdef struct {struct}:.*\n((?:    .*\n)+)", text, re.MULTILINE)
    assert body
    lines = [line.split("#")[0].split() for line in body[1].splitlines()]
    return [words[1].split("[")[0] for words in lines if words]


def run_attached(board: Board, code: str, *arguments: object) -> subprocess.Popen[str]:
    """A process that runs `code` with `board` attached."""
    start = "import sys\nfrom gateway._fast.board import Board\nboard = Board.attach({})\n"
    return subprocess.Popen(
        [
            sys.executable,
            "-c",
            start.format(board.fd) + textwrap.dedent(code),
            *map(str, arguments),
        ],
        pass_fds=[board.fd],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )


def outputs(*processes: subprocess.Popen[str]) -> list[str]:
    texts = [process.communicate(timeout=30)[0].strip() for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes)
    return texts


@pytest.fixture
def board() -> Board:
    return Board.create(workers=2, rows=3, backends=4)


# Layout


@pytest.mark.parametrize(
    "name, struct",
    [
        ("header", "Header"),
        ("seats", "Seat"),
        ("rows", "Row"),
        ("gauges", "Gauge"),
        ("recents", "Recent"),
        ("cells", "Cell"),
    ],
)
def test_the_layout_names_the_fields_of_the_declaration(
    board: Board, name: str, struct: str
) -> None:
    assert board.layout()[name]["item"]["names"] == declared_fields(struct)


def test_histograms_and_windows_are_laid_out_as_declared(board: Board) -> None:
    rows, recents = part(board, "rows").dtype, part(board, "recents").dtype
    assert list(rows["total_ns"].names or ()) == declared_fields("Counts")
    slot = recents["first_byte"]["slots"]
    assert slot.shape == (8,)
    assert list(slot.base.names or ()) == declared_fields("Slot")
    assert (rows["gap_ns"]["counts"].shape, slot.base["counts"].shape) == ((4608,), (624,))


def test_every_part_starts_on_a_cache_line_and_follows_the_last(board: Board) -> None:
    end = 0
    for name in ("header", "seats", "rows", "gauges", "recents", "cells"):
        place = board.layout()[name]
        assert place["offset"] % 64 == 0
        assert place["offset"] - end in range(64)
        stride = np.dtype(place["item"]).itemsize
        assert stride % 64 == 0 or name == "header"
        end = place["offset"] + stride * int(np.prod(place["shape"]))
    assert end == board.size_bytes == os.fstat(board.fd).st_size


def test_accessors_and_layout_agree_on_every_place(board: Board) -> None:
    def places(name: str) -> Structured:
        place = board.layout()[name]
        count = int(np.prod(place["shape"]))
        stride = place["item"]["itemsize"]
        places: Structured = place["offset"] + stride * np.arange(count)
        return places.reshape(place["shape"])

    assert places("seats").tolist() == [board.seat_offset(w) for w in range(2)]
    assert places("rows").tolist() == [[board.row_offset(w, r) for r in range(3)] for w in range(2)]
    assert places("gauges").tolist() == [
        [board.gauge_offset(w, b) for b in range(4)] for w in range(2)
    ]
    assert places("cells").tolist() == [board.cell_offset(b) for b in range(4)]


def test_the_header_says_what_the_board_is(board: Board) -> None:
    header = part(board, "header")[()]
    assert header["magic"].tobytes() == b"GAWBOARD"
    assert [int(header[name]) for name in ("workers", "rows", "backends")] == [2, 3, 4]
    assert header["size_bytes"] == board.size_bytes
    assert repr(board) == f"Board(workers=2, rows=3, backends=4, fd={board.fd})"


@pytest.mark.skipif(not CHECKED, reason="release builds do not check")
@pytest.mark.parametrize(
    "call",
    [
        "seat_offset(2)",
        "row_offset(0, 3)",
        "row_offset(2, 0)",
        "gauge_offset(0, -1)",
        "cell_offset(4)",
    ],
)
def test_an_accessor_out_of_range_aborts_in_checked_builds(board: Board, call: str) -> None:
    process = run_attached(board, f"import os; os.close(2); board.{call}")
    process.communicate(timeout=30)
    assert process.returncode == -signal.SIGABRT


# Making and attaching


@pytest.mark.parametrize(
    "dimensions", [(0, 1, 1), (-1, 1, 1), (1, -1, 1), (1, 1, -1), (1, 2**24, 1)]
)
def test_impossible_dimensions_are_refused(dimensions: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="no board has"):
        Board.create(*dimensions)


def test_a_board_is_not_made_by_its_class() -> None:
    with pytest.raises(TypeError, match="create"):
        Board()


def test_a_board_without_rows_or_backends_is_one() -> None:
    empty = Board.create(1, 0, 0)
    assert Board.attach(empty.fd).size_bytes == empty.size_bytes


def test_an_attached_board_outlives_the_descriptor_it_came_from(board: Board) -> None:
    fd = os.dup(board.fd)
    attached = Board.attach(fd)
    os.close(fd)
    board.take_seat(1, 77)
    assert attached.read_seat(1)["pid"] == 77
    assert not os.get_inheritable(attached.fd)


def test_a_board_closes_its_descriptor(board: Board) -> None:
    attached = Board.attach(board.fd)
    fd = attached.fd
    del attached
    gc.collect()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)


def test_a_memoryview_keeps_the_mapping() -> None:
    view = Board.create(1, 1, 1).buffer
    gc.collect()
    assert bytes(view[:8]) == b"GAWBOARD"
    assert not view.readonly


def header_with(board: Board, **fields: int) -> Iterator[int]:
    """A file that is a copy of the board's header but for these fields."""
    head = part(board, "header").copy()
    for name, value in fields.items():
        head[name] = value
    fd = os.memfd_create("wrong")
    os.write(fd, head.tobytes())
    os.ftruncate(fd, board.size_bytes)
    yield fd
    os.close(fd)


@pytest.mark.parametrize(
    "fields, sentence",
    [
        ({"magic": 0}, "the file is not a board, or not ready: its magic number is wrong"),
        ({"version": 9}, "the board has layout version 9, this build reads 7"),
        ({"row_bytes": 8}, r"a row has 8 bytes on the board and \d+ in this build"),
        ({"gauge_bytes": 8}, r"a gauge has 8 bytes on the board and \d+ in this build"),
        ({"cell_bytes": 8}, r"a cell has 8 bytes on the board and \d+ in this build"),
        ({"workers": 0}, "dimensions are impossible: 0 workers, 3 rows, 4 backends"),
        ({"rows": 2**63}, "dimensions are impossible"),
        ({"rows": 2}, r"the board says it has \d+ bytes, its dimensions make \d+"),
        ({"size_bytes": 1}, r"the board says it has 1 bytes, its dimensions make \d+"),
    ],
)
def test_attaching_what_does_not_fit_says_why(
    board: Board, fields: dict[str, int], sentence: str
) -> None:
    for fd in header_with(board, **fields):
        with pytest.raises(ValueError, match=sentence):
            Board.attach(fd)


def test_attaching_a_short_file_says_so(board: Board) -> None:
    for fd in header_with(board):
        os.ftruncate(fd, 4096)
        with pytest.raises(ValueError, match=r"the board's file has 4096 bytes of \d+"):
            Board.attach(fd)
        os.ftruncate(fd, 10)
        with pytest.raises(ValueError, match=r"the file has 10 bytes, a board's header \d+"):
            Board.attach(fd)


def test_attaching_no_file_is_an_os_error() -> None:
    with pytest.raises(OSError, match="Bad file descriptor"):
        Board.attach(10**6)


def test_without_memfd_a_nameless_file_serves(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delattr(os, "memfd_create")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    board = Board.create(1, 1, 1)
    assert list(tmp_path.iterdir()) == []
    assert Board.attach(board.fd).rows == 1


# Sparse memory


def test_a_new_board_takes_one_page_however_large_it_is() -> None:
    board = Board.create(workers=8, rows=1000, backends=100)
    assert board.size_bytes > 1_000_000_000
    assert stored_bytes(board) <= 4096


def test_reading_makes_no_pages() -> None:
    board = Board.create(workers=4, rows=10, backends=10)
    board.claim_row(0, 5, 1)
    board.record(0, 5, "total_ns", 1)
    before = stored_bytes(board)
    for index in range(10):
        board.read_row(index)
        board.quantile(index, "total_ns", 0.9)
        board.row_bytes(1, index)
        board.read_gauge(3, index)
    for worker in range(4):
        board.clear_worker_gauges(worker)
    assert stored_bytes(board) == before


def test_a_row_with_one_value_takes_a_few_pages() -> None:
    board = Board.create(workers=1, rows=10, backends=1)
    before = stored_bytes(board)
    board.claim_row(0, 3, 1)
    board.record(0, 3, "total_ns", 50_000_000)
    assert stored_bytes(board) - before <= 4 * 4096


# Claims


def test_a_claimed_row_keeps_its_counts_until_another_key_comes(board: Board) -> None:
    assert board.claim_row(0, 1, 11)
    for name in HISTOGRAMS:
        board.record(0, 1, name, 5)
    part(board, "rows")[0, 1]["outcomes"][63] = 4
    assert not board.claim_row(0, 1, 11)
    assert board.read_row(1)["outcomes"][63] == 4
    assert board.claim_row(0, 1, 12)
    assert board.row_bytes(0, 1) == (12).to_bytes(8, sys.byteorder) + bytes(
        part(board, "rows").itemsize - 8
    )


def test_claiming_a_row_leaves_its_neighbours(board: Board) -> None:
    for index in range(3):
        board.claim_row(1, index, 20 + index)
        for name in HISTOGRAMS:
            board.record(1, index, name, 2**64 - 1)
    before = [board.row_bytes(1, index) for index in (0, 2)]
    board.claim_row(1, 1, 99)
    assert [board.row_bytes(1, index) for index in (0, 2)] == before


def test_key_zero_frees_a_row(board: Board) -> None:
    board.claim_row(0, 0, 5)
    board.record(0, 0, "gap_ns", 5)
    assert board.claim_row(0, 0, 0)
    assert not any(board.row_bytes(0, 0))


def test_a_claimed_cell_keeps_its_state_until_another_key_comes(board: Board) -> None:
    assert board.claim_cell(2, 7)
    cells = part(board, "cells")
    cells[2]["max_in_flight"], cells[3]["key"], cells[1]["max_in_flight"] = 5, 9, 6
    assert not board.claim_cell(2, 7)
    assert board.read_cell(2)["max_in_flight"] == 5
    assert board.claim_cell(2, 8)
    assert board.read_cell(2)["max_in_flight"] == 0
    assert (board.read_cell(3)["key"], board.read_cell(1)["max_in_flight"]) == (9, 6)


def test_a_cell_whose_claimer_died_is_taken_over(board: Board) -> None:
    part(board, "cells")[1]["limit"] = 5
    board.store_word(board.cell_offset(1), CLAIMED)
    assert board.claim_cell(1, 4)
    assert (board.read_cell(1)["key"], board.read_cell(1)["limit"]) == (4, 0)


def test_the_key_that_marks_a_claim_is_refused(board: Board) -> None:
    with pytest.raises(ValueError, match="being claimed"):
        board.claim_cell(0, CLAIMED)


# Readers


def test_a_row_is_read_as_the_sum_of_its_workers(board: Board) -> None:
    for worker in range(2):
        board.claim_row(worker, 2, 5)
        board.record(worker, 2, "queue_ns", 10 + worker)
    rows = part(board, "rows")
    for name in declared_fields("Row")[1:-5]:
        rows[name][:, 2] = 3
    row = board.read_row(2)
    assert list(row) == declared_fields("Row")
    assert row.pop("key") == 5
    assert row.pop("queue_ns") == {"total": 2, "sum": 21}
    assert all(row.pop(name) == {"total": 0, "sum": 0} for name in HISTOGRAMS if name in row)
    assert row.pop("outcomes") == [6] * 64
    assert row.pop("statuses") == [6] * 6
    assert row.pop("finishes") == [6] * 8
    assert row.pop("skips") == [6] * 16
    assert row.pop("anomalies") == [6] * 96
    assert set(row.values()) == {6}


def test_a_row_nobody_claimed_is_zero(board: Board) -> None:
    row = board.read_row(1)
    assert (row["key"], row["requests"], row["total_ns"]) == (0, 0, {"total": 0, "sum": 0})
    assert board.quantile(1, "total_ns", 0.5) == 0


def test_reading_by_key_skips_workers_of_another_plan(board: Board) -> None:
    for worker, key in ((0, 5), (1, 6)):
        board.claim_row(worker, 0, key)
        board.record(worker, 0, "total_ns", key)
    assert board.read_row(0, key=6)["total_ns"] == {"total": 1, "sum": 6}
    assert board.quantile(0, "total_ns", 1.0, key=5) == 5
    assert board.read_row(0)["total_ns"]["total"] == 2


@given(
    st.lists(st.tuples(st.integers(0, 1), st.integers(0, 2**42 - 1)), min_size=1), st.floats(0, 1)
)
def test_quantiles_are_those_of_all_workers_values(
    recorded: list[tuple[int, int]], q: float
) -> None:
    board, kept = Board.create(2, 1, 0), KeptValues(2**42 - 1)
    for worker, value in recorded:
        board.claim_row(worker, 0, 1)
        board.record(worker, 0, "overhead_ns", value)
        kept.record(value)
    exact = kept.quantile(q)
    assert abs(board.quantile(0, "overhead_ns", q) - exact) * 256 <= exact
    assert board.histogram(0, "overhead_ns").total == len(recorded)


def test_a_merged_histogram_is_a_copy(board: Board) -> None:
    board.claim_row(0, 0, 1)
    board.record(0, 0, "total_ns", 7)
    copy = board.histogram(0, "total_ns")
    board.record(0, 0, "total_ns", 7)
    assert isinstance(copy, Histogram)
    assert (copy.total, copy.sum) == (1, 7)


def test_a_row_as_bytes_has_the_dtype_of_the_layout(board: Board) -> None:
    board.claim_row(1, 1, 42)
    board.record(1, 1, "total_ns", 3)
    row = np.frombuffer(board.row_bytes(1, 1), np.dtype(board.layout()["rows"]["item"]))[0]
    assert (row["key"], row["total_ns"]["sum"], row["total_ns"]["counts"][3]) == (42, 3, 1)


def test_a_gauge_is_read_by_worker(board: Board) -> None:
    gauges = part(board, "gauges")
    gauges["failures"][1, 2] = 8
    gauge = board.read_gauge(1, 2)
    assert list(gauge) == declared_fields("Gauge")
    assert gauge.pop("failures") == 8
    assert set(gauge.values()) == {0}


def test_a_cell_is_read_with_its_fractions(board: Board) -> None:
    cells = part(board, "cells")
    cells[0]["bytes_per_token"], cells[0]["total_q_ns"] = 3.5, (1, 2, 3, 4)
    cell = board.read_cell(0)
    assert list(cell) == declared_fields("Cell")
    assert (cell["bytes_per_token"], cell["total_q_ns"]) == (3.5, [1, 2, 3, 4])


def test_a_seat_says_who_sits_there(board: Board) -> None:
    board.take_seat(1, 4321)
    board.beat(1, 99)
    board.adopt_plan(1, 3)
    seat = board.read_seat(1)
    assert list(seat) == declared_fields("Seat")
    assert list(seat.values())[:3] == [4321, 99, 3]
    board.take_seat(1, 0)
    assert list(board.read_seat(1).values())[:3] == [0, 0, 0]


@pytest.mark.parametrize(
    "call",
    [
        lambda board: board.take_seat(2, 1),
        lambda board: board.beat(-1, 1),
        lambda board: board.adopt_plan(2, 1),
        lambda board: board.claim_row(0, 3, 1),
        lambda board: board.claim_row(2, 0, 1),
        lambda board: board.claim_cell(4, 1),
        lambda board: board.record(0, -1, "total_ns", 1),
        lambda board: board.record(2, 0, "total_ns", 1),
        lambda board: board.clear_worker_gauges(2),
        lambda board: board.read_seat(2),
        lambda board: board.read_row(3),
        lambda board: board.row_bytes(0, 3),
        lambda board: board.row_bytes(2, 0),
        lambda board: board.read_gauge(0, 4),
        lambda board: board.read_gauge(2, 0),
        lambda board: board.read_cell(-1),
        lambda board: board.load_word(board.size_bytes),
        lambda board: board.load_word(2**64 - 8),
        lambda board: board.load_word(4),
    ],
)
def test_what_is_not_on_the_board_is_an_index_error(
    board: Board, call: Callable[[Board], object]
) -> None:
    with pytest.raises(IndexError, match=" of "):
        call(board)


def test_an_unknown_histogram_is_a_key_error(board: Board) -> None:
    with pytest.raises(KeyError, match="no histogram 'total'"):
        board.quantile(0, "total", 0.5)


def test_what_a_dead_worker_had_under_way_is_cleared_and_nothing_else(board: Board) -> None:
    gauges, rows = part(board, "gauges"), part(board, "rows")
    for worker in range(2):
        board.claim_row(worker, 1, 5)
    for name in declared_fields("Gauge"):
        gauges[name] = 4
    for name in ("in_flight", "queued", "requests"):
        rows[name][:, 1] = 2
    board.clear_worker_gauges(1)
    assert {
        name: board.read_gauge(1, 3)[name] for name in ("in_flight", "connections", "idle")
    } == {
        "in_flight": 0,
        "connections": 0,
        "idle": 0,
    }
    assert board.read_gauge(1, 3)["answers"] == 4
    assert set(board.read_gauge(0, 3).values()) == {4}
    row = board.read_row(1)
    assert (row["in_flight"], row["queued"], row["requests"]) == (2, 2, 4)


# Words


def test_words_change_atomically_and_say_what_became_of_them(board: Board) -> None:
    offset = board.cell_offset(1)
    board.store_word(offset, 5)
    assert (board.add_to_word(offset, 3), board.subtract_from_word(offset, 1)) == (8, 7)
    assert (board.swap_word(offset, 8, 1), board.swap_word(offset, 7, 1)) == (False, True)
    assert board.load_word(offset) == 1


# Processes


def test_workers_of_other_processes_add_up(board: Board) -> None:
    code = """
        worker = int(sys.argv[1])
        board.take_seat(worker, 1 + worker)
        board.claim_row(worker, 0, 9)
        for value in range(1000):
            board.record(worker, 0, "total_ns", value)
    """
    outputs(*(run_attached(board, code, worker) for worker in range(2)))
    assert board.read_row(0)["total_ns"] == {"total": 2000, "sum": 999_000}
    assert board.quantile(0, "total_ns", 0.5) in range(496, 502)
    assert [board.read_seat(worker)["pid"] for worker in range(2)] == [1, 2]


def test_concurrent_additions_lose_nothing(board: Board) -> None:
    code = """
        offset = board.cell_offset(0) + 8
        for _ in range(200_000):
            board.add_to_word(offset, 3)
            board.subtract_from_word(offset, 2)
    """
    outputs(*(run_attached(board, code) for _ in range(3)))
    assert board.load_word(board.cell_offset(0) + 8) == 600_000


def test_one_of_many_processes_claims_each_cell() -> None:
    board = Board.create(1, 0, 2000)
    texts = outputs(
        *(
            run_attached(board, "print(sum(board.claim_cell(index, 7) for index in range(2000)))")
            for _ in range(3)
        )
    )
    assert sum(map(int, texts)) == 2000
    assert {board.read_cell(index)["key"] for index in range(2000)} == {7}


def test_a_killed_worker_leaves_a_board_that_can_be_read_and_cleared(board: Board) -> None:
    code = """
        board.claim_row(0, 0, 9)
        print("ready", flush=True)
        while True:
            board.record(0, 0, "total_ns", 5)
    """
    process = run_attached(board, code)
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    while board.read_row(0)["total_ns"]["total"] < 1000:
        pass
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)
    merged = board.histogram(0, "total_ns")
    assert merged.total - sum(merged.counts) in (0, 1)
    board.clear_worker_gauges(0)
    assert board.claim_row(0, 0, 10)
    assert board.histogram(0, "total_ns").total == 0


def test_a_forked_process_writes_to_the_same_board(board: Board) -> None:
    pid = os.fork()
    if pid == 0:
        board.beat(0, 123)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    assert board.read_seat(0)["heartbeat_ns"] == 123
