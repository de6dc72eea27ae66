import os
import subprocess
import threading
import time
from pathlib import Path

import pytest

from bench.load import accounting
from bench.load.accounting import CpuTime

TICK_US = 1e6 / accounting.TICKS_PER_S


def stat_line(pid: int, name: str, parent: int, ticks: tuple[int, int]) -> str:
    return (
        f"{pid} ({name}) S {parent} 1 1 0 -1 4194304 9 0 0 0 {ticks[0]} {ticks[1]} 5 6 20 0 1 0\n"
    )


def add_process(
    proc: Path, pid: int, parent: int, ticks: tuple[int, int] = (0, 0), name: str = "nginx"
) -> Path:
    folder = proc / str(pid)
    folder.mkdir(parents=True)
    (folder / "stat").write_text(stat_line(pid, name, parent, ticks))
    (folder / "statm").write_text("5000 300 100 1 0 200 0\n")
    (folder / "cmdline").write_text("gateway\0worker\x000\0")
    (folder / "comm").write_text("worker-0\n")
    return folder


@pytest.mark.parametrize("name", ["nginx", "two words", "odd ) name", "((x) S 9"])
def test_user_and_system_time_are_found_whatever_the_process_is_called(name: str) -> None:
    line = stat_line(7, name, 1, (300, 400))
    assert accounting.parse_cpu_time(line) == CpuTime(300 * TICK_US, 400 * TICK_US)
    assert accounting.parse_parent(line) == 1


def test_the_family_is_the_process_and_its_descendants_but_no_neighbour(tmp_path: Path) -> None:
    for pid, parent in ((10, 1), (12, 10), (11, 10), (13, 12), (99, 1)):
        add_process(tmp_path, pid, parent)
    (tmp_path / "self").mkdir()
    assert accounting.family(10, tmp_path) == [10, 11, 12, 13]


def test_time_of_several_processes_adds_up_and_a_dead_one_counts_nothing(tmp_path: Path) -> None:
    add_process(tmp_path, 1, 0, (100, 50))
    add_process(tmp_path, 2, 0, (1, 2))
    found = accounting.cpu_time([1, 2, 3], tmp_path, lambda _: 0.0)
    assert found == CpuTime(101 * TICK_US, 52 * TICK_US)


def test_the_exact_total_replaces_the_ticks_and_keeps_their_division(tmp_path: Path) -> None:
    add_process(tmp_path, 1, 0, (30, 10))
    found = accounting.cpu_time([1], tmp_path, lambda _: 404_000.0)
    assert found.user_us == pytest.approx(303_000)
    assert found.system_us == pytest.approx(101_000)


def test_the_time_of_a_thread_that_has_ended_counts() -> None:
    begun_us = accounting.exact_us(os.getpid())
    spent_us: list[float] = []

    def burn() -> None:
        begun_ns = time.thread_time_ns()
        while time.thread_time_ns() - begun_ns < 20_000_000:
            pass
        spent_us.append((time.thread_time_ns() - begun_ns) / 1e3)

    thread = threading.Thread(target=burn)
    thread.start()
    thread.join()
    assert accounting.exact_us(os.getpid()) - begun_us >= spent_us[0]


def test_a_process_that_is_gone_has_used_nothing() -> None:
    with subprocess.Popen(["true"]) as process:
        pass
    assert accounting.exact_us(process.pid) == 0.0


def test_a_process_without_ticks_yet_is_left_as_it_is() -> None:
    assert accounting.scaled(CpuTime(), 5.0) == CpuTime()


def test_differences_and_totals_of_cpu_time() -> None:
    spent = CpuTime(5.0, 7.0) - CpuTime(1.0, 2.0)
    assert spent == CpuTime(4.0, 5.0)
    assert spent.total_us == 9.0


def test_resident_memory_is_pages_times_their_size(tmp_path: Path) -> None:
    add_process(tmp_path, 1, 0)
    assert accounting.resident_bytes([1, 2], tmp_path) == 300 * accounting.PAGE_BYTES


def test_the_command_line_ends_with_the_short_name(tmp_path: Path) -> None:
    add_process(tmp_path, 1, 0)
    assert accounting.command_line(1, tmp_path) == "gateway worker 0 worker-0"


def test_the_stolen_share_is_the_host_s_part_of_all_time_between_two_readings() -> None:
    before = "cpu  100 0 100 800 0 0 0 10 0 0\ncpu0 1\n"
    after = "cpu  130 0 120 840 0 0 0 20 0 0\ncpu0 1\n"
    assert accounting.stolen_share(before, after) == pytest.approx(0.1)
    assert accounting.stolen_share(before, before) == 0.0


def test_this_process_has_used_time_and_memory() -> None:
    mine = [os.getpid()]
    assert accounting.cpu_time(mine).total_us > 0
    assert accounting.resident_bytes(mine) > 0
    assert mine[0] in accounting.family(os.getppid())
