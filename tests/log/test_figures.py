"""The shipper's figures: written whole, old ones passed over, a full disk not hidden."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace

from gateway.log.figures import LogFigures, read_figures, write_figures

FIGURES = LogFigures(
    at_s=1000.0, pid=1, started_at_s=0.0, appended=5, streams=1, open_segments=1,
    sealed_segments=0, segment_bytes=1, max_bytes=2, sealed=0, damaged_segments=0, cut_bytes=0,
    removed=0, made_room=0, error="", sinks=(),
)  # fmt: skip


def test_figures_are_read_back_for_ten_seconds(tmp_path: Path) -> None:
    path = tmp_path / "shipper.json"
    write_figures(path, FIGURES)
    assert read_figures(path, 1009.0) == FIGURES
    assert read_figures(path, 1011.0) is None
    assert path.stat().st_mode & 0o777 == 0o600


def test_figures_are_told_on_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "shipper.json"
    write_figures(path, FIGURES)

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    failing = replace(FIGURES, error="No space left on device")
    write_figures(path, failing)
    assert read_figures(path, 1000.0) == failing


def test_a_worker_imports_neither_numpy_nor_what_reads_records() -> None:
    heavy = ("numpy", "duckdb", "sqlalchemy", "starlette", "aiokafka")
    code = f"import sys, gateway.run.worker; print([m for m in {heavy} if m in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
