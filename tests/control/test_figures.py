"""Rows, histograms and backends as the board holds them, added up over workers."""

from typing import Any

import msgspec
import numpy as np
import pytest

from gateway.control.figures import BoardView, attempt_labels, route_labels, shadow_labels
from tests.control.board import CELL, GAUGE, ROW, SEAT, FakeBoard
from tests.control.plans import make_plan, with_shadow

MS = 1_000_000


def test_counters_are_added_up_over_workers() -> None:
    board = FakeBoard()
    board.rows["requests"][:, 3] = [5, 7]
    board.rows["outcomes"][:, 3, 24] = [1, 2]
    row = BoardView(board).rows([3])[0]
    assert row.requests == 12
    assert row.outcomes[24] == 3


def test_row_that_means_something_else_to_an_older_worker_does_not_count() -> None:
    board = FakeBoard()
    board.seats["plan_generation"] = [8, 9]
    board.rows["key"][:, 3] = [111, 222]
    board.rows["requests"][:, 3] = [1000, 7]
    board.observe(0, 3, "total_ns", 5 * MS)
    view = BoardView(board)
    assert view.rows([3])[0].requests == 7
    assert view.keys([3]) == [222]
    assert view.histograms(3) == {}


def test_histograms_are_merged_over_workers() -> None:
    board = FakeBoard()
    board.rows["requests"][:, 1] = 1
    board.observe(0, 1, "total_ns", 5 * MS, 6 * MS)
    board.observe(1, 1, "total_ns", 5 * MS)
    board.observe(1, 1, "gap_ns", 1 * MS)
    found = BoardView(board).histograms(1)
    assert set(found) == {"total_ns", "gap_ns"}
    assert found["total_ns"].counts.sum() == 3
    assert found["total_ns"].sum == 16 * MS


def test_only_the_histograms_asked_for_are_read() -> None:
    board = FakeBoard()
    board.rows["requests"][0, 1] = 1
    board.observe(0, 1, "total_ns", 5 * MS)
    board.observe(0, 1, "overhead_ns", 5 * MS)
    assert set(BoardView(board).histograms(1, ["total_ns"])) == {"total_ns"}


def test_histograms_of_a_row_without_requests_are_not_touched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    view = BoardView(FakeBoard())
    monkeypatch.setattr("os.preadv", lambda *_: pytest.fail("the row was read"))
    assert view.histograms(1) == {}


def test_backend_is_its_cell_and_the_sum_of_its_gauges() -> None:
    board = FakeBoard()
    plan = make_plan({"chat": ["mini", "local"]})
    board.gauges["in_flight"][:, 1] = [3, 4]
    board.cells["bytes_per_token"][1] = 3.5
    mini, local = BoardView(board).backends(plan.backends)
    assert (mini.in_flight, local.in_flight) == (0, 7)
    assert local.bytes_per_token == 3.5


def test_window_holds_the_last_half_minute_only() -> None:
    board = FakeBoard()
    plan = make_plan({"chat": ["mini"]})
    now_ns = 400_000_000_000
    board.observe_recent(0, 0, "total", now_ns, 5 * MS)
    board.observe_recent(1, 0, "total", now_ns - 20_000_000_000, 5 * MS)
    view = BoardView(board)
    assert view.window(plan.backends[0], "total", now_ns).sum() == 2
    assert view.window(plan.backends[0], "total", now_ns + 16_000_000_000).sum() == 1
    assert view.window(plan.backends[0], "total", now_ns + 60_000_000_000).sum() == 0


def test_labels_come_from_the_plan() -> None:
    plan = make_plan({"chat": ["mini", "local"], "fraud": ["fraud-v3"]})
    assert [(r.row, r.route, r.backend) for r in route_labels(plan)] == [
        (0, "chat", ""),
        (3, "fraud", ""),
    ]
    assert [(r.row, r.route, r.backend) for r in attempt_labels(plan)] == [
        (1, "chat", "mini"),
        (2, "chat", "local"),
        (4, "fraud", "fraud-v3"),
    ]


def test_fake_board_has_the_fields_of_the_compiled_one() -> None:
    fast = pytest.importorskip("gateway._fast", exc_type=ImportError)
    layout = fast.Board.create(2, 4, 2).layout()
    for name, fake in (("seats", SEAT), ("rows", ROW), ("gauges", GAUGE)):
        assert described(np.dtype(layout[name]["item"])) == described(fake)
    assert described(CELL).keys() <= described(np.dtype(layout["cells"]["item"])).keys()


def described(dtype: np.dtype[Any]) -> dict[str, Any]:
    fields: Any = dtype.fields
    return {name: fields[name][:2] for name in fields}


def test_compiled_board_is_read_like_the_fake_one() -> None:
    fast = pytest.importorskip("gateway._fast", exc_type=ImportError)
    board = fast.Board.create(2, 8, 2)
    for worker in (0, 1):
        board.adopt_plan(worker, 1)
        board.claim_row(worker, 3, 77)
        board.add_to_word(board.row_offset(worker, 3) + 8, 4 + worker)
        board.record(worker, 3, "total_ns", 5 * MS)
    view = BoardView(board)
    assert view.rows([3])[0].requests == 9
    assert view.keys([3]) == [77]
    assert view.histograms(3)["total_ns"].sum == 10 * MS
    assert view.backends(make_plan({"chat": ["mini"]}).backends)[0].in_flight == 0


def test_seats_are_added_up() -> None:
    board = FakeBoard()
    board.seats["records"] = [5, 7]
    board.seats["records_dropped"] = [0, 2]
    board.seats["refused"][:, 3] = [1, 1]
    seats = BoardView(board).seats()
    assert (seats.records, seats.records_dropped, seats.refused[3]) == (12, 2, 2)


def test_rows_of_one_thing_are_added_up() -> None:
    board = FakeBoard(workers=2, rows=4)
    for row, requests in enumerate((3, 5, 7)):
        board.rows["key"][:, row] = row + 1
        board.rows["requests"][0, row] = requests
        board.rows["outcomes"][1, row, 0] = requests
        board.rows["cost_squares"][0, row] = 0.5
    first, rest = BoardView(board).sums([[0], [1, 2]])
    assert (first.requests, rest.requests) == (3, 12)
    assert rest.outcomes[0] == 12
    assert rest.cost_squares == 1.0


def test_copies_have_one_series_however_many_variants_there_are() -> None:
    plan = with_shadow(make_plan({"chat": ["mini"]}), "next")
    [route] = plan.routes
    variants = tuple(
        msgspec.structs.replace(route, arm=f"r:{arm}", row=row, rows=(row + 1,))
        for arm, row in (("champion", 5), ("challenger", 7))
    )
    plan = msgspec.structs.replace(
        plan, routes=(msgspec.structs.replace(route, variants=variants),)
    )
    [shadow] = route.shadows
    for labels in (attempt_labels(plan), shadow_labels(plan)):
        [label] = [one for one in labels if one.row == shadow.row]
        assert (label.route, label.backend, label.arm) == ("chat", "shadow:next", "")
