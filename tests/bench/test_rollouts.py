"""The published figures of rollouts on sockets are those of the kept run, and keep the promises."""

from __future__ import annotations

import json
import statistics
from pathlib import Path

from bench.rollouts.__main__ import table
from bench.rollouts.scenarios import SCENARIOS

KEPT = Path("bench/rollouts/results.json")


def test_readme_has_the_table_of_the_kept_run() -> None:
    """Else run `python -m bench.rollouts --output bench/rollouts/results.json` and paste it."""
    assert table(json.loads(KEPT.read_text())) in Path("bench/README.md").read_text()


def test_worse_challengers_were_all_taken_back_in_time() -> None:
    kept = json.loads(KEPT.read_text())
    for scenario in SCENARIOS:
        found = kept[scenario.name]
        if scenario.ends == "rolled_back":
            assert {one["phase"] for one in found} == {"rolled_back"}, scenario.name
            assert max(one["propagation_ms"] for one in found) < 1000
        if scenario.most_requests:
            assert statistics.median(one["requests"] for one in found) <= scenario.most_requests
