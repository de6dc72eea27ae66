from __future__ import annotations

import os
from collections.abc import Callable

import pytest

CountReads = Callable[[], list[int]]


@pytest.fixture
def count_reads(monkeypatch: pytest.MonkeyPatch) -> CountReads:
    """Begins to count: the sizes of the reads that come."""

    def begin() -> list[int]:
        sizes: list[int] = []
        real = os.pread

        def counted(fd: int, size: int, offset: int) -> bytes:
            sizes.append(size)
            return real(fd, size, offset)

        monkeypatch.setattr(os, "pread", counted)
        return sizes

    return begin
