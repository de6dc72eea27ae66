"""Figures of processes, from a /proc of our own and from the real one."""

import os
from pathlib import Path

import pytest

from gateway.control.processes import usage_of

STAT = (
    "7 (a (b) c) S 1 7 7 0 -1 4194560 9 0 0 0 250 50 0 0 20 0 3 0 1000 9999 25 18446744073709551615"
)
LIMITS = """Limit                     Soft Limit           Hard Limit           Units
Max open files            {soft}                 4096                 files
"""


def write_proc(folder: Path, *, soft: str = "1024") -> Path:
    (folder / "7/fd").mkdir(parents=True)
    (folder / "7/stat").write_text(STAT)
    (folder / "7/limits").write_text(LIMITS.format(soft=soft))
    (folder / "stat").write_text("cpu 1 2 3\nbtime 1700000000\n")
    for fd in ("0", "1", "2"):
        (folder / "7/fd" / fd).touch()
    return folder


def test_usage_is_read_from_proc(tmp_path: Path) -> None:
    ticks = os.sysconf("SC_CLK_TCK")
    usage = usage_of(7, write_proc(tmp_path))
    assert usage is not None
    assert usage.resident_bytes == 25 * os.sysconf("SC_PAGE_SIZE")
    assert usage.cpu_s == pytest.approx(300 / ticks)
    assert (usage.open_fds, usage.max_fds) == (3, 1024)
    assert usage.started_at_s == pytest.approx(1700000000 + 1000 / ticks)


def test_unlimited_files_are_zero(tmp_path: Path) -> None:
    usage = usage_of(7, write_proc(tmp_path, soft="unlimited"))
    assert usage is not None
    assert usage.max_fds == 0


def test_process_that_has_gone_has_no_figures(tmp_path: Path) -> None:
    assert usage_of(8, write_proc(tmp_path)) is None


def test_garbage_has_no_figures(tmp_path: Path) -> None:
    (write_proc(tmp_path) / "7/stat").write_text("not a stat")
    assert usage_of(7, tmp_path) is None


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no /proc here")
def test_own_process_has_plausible_figures() -> None:
    usage = usage_of(os.getpid())
    assert usage is not None
    assert 1 << 20 < usage.resident_bytes < 1 << 34
    assert usage.cpu_s > 0
