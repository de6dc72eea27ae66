"""The benchmark of the store, with next to nothing in it."""

import os
import random
from pathlib import Path

import pytest

from bench import store
from bench.results import StoreSample


def test_made_records_are_found_explained_and_were_in_production(tmp_path: Path) -> None:
    bench = store.Bench(tmp_path, 400)
    bench.load()
    assert len(bench.known) >= 4
    assert sum(each.records + each.feedback for each in bench.store.volumes()) == 400
    store.find_some(bench, 0)
    store.find_some(bench, 1)
    store.explain_some(bench, random.Random(1))
    store.production(bench)


@pytest.mark.slow
@pytest.mark.skipif(not os.environ.get("RUN_SLOW"), reason="RUN_SLOW=1 runs it: ten processes")
def test_a_small_store_is_asked_everything(tmp_path: Path) -> None:
    sample = store.measured(tmp_path, 400)
    assert isinstance(sample, StoreSample)
    assert {"explain", "production at a past time"} <= {each.name for each in sample.questions}
    assert all(0 < each.mean_ms <= each.worst_ms for each in sample.questions)
