"""The benchmark of what the file system asks of a worker."""

import sys

import pytest

from bench import pages


@pytest.mark.skipif(sys.platform != "linux", reason="spares are Linux's")
def test_each_way_fills_a_segment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "SEGMENT_BYTES", 1 << 20)
    found = pages.measure(1)
    assert set(found) == {"new file", "touched ahead", "spare"}
    assert all(cost.append_us > 0 for (cost,) in found.values())
    (new,), (touched,) = found["new file"], found["touched ahead"]
    assert touched.prepare_us > new.prepare_us
    drawn = pages.table(found)
    assert [row[0] for row in drawn.rows] == ["new file", "touched ahead", "spare"]
