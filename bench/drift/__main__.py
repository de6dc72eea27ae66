"""`python -m bench.drift`: measures, keeps a result as JSON; `--install` makes peers first.

`--tables` counts false alarms instead: at every size of sample, of ours and of the peers.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np

from bench import machine
from bench.drift import answers, findings, nulls, ours, peers
from bench.drift.detection import findings as detection
from bench.drift.findings import Rate, Results, Target
from bench.drift.records import rows

PEER_ROWS = 100_000


def of_peers() -> tuple[list[Rate], dict[str, str], list[str]]:
    """(rates, versions, sentences about those that are not here)."""
    rates: list[Rate] = []
    versions: dict[str, str] = {}
    absent: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.npy"
        np.save(file, rows(PEER_ROWS))
        for library in peers.LIBRARIES:
            try:
                versions[library.name], found = peers.measured(library, file)
            except RuntimeError as error:
                absent.append(str(error))
                print(error)
                continue
            rates += found
    return rates, versions, absent


def targets_of(rates: Sequence[Rate]) -> tuple[Target, ...]:
    """What is promised of ours, and what was measured."""
    by_unit = {one.unit: one for one in rates if one.is_ours}
    answers_of = [one for one in rates if one.what.startswith(answers.COUNTED)]
    return (
        Target(
            what="rows of 20 numeric features a second, from arrays",
            promised=1e6,
            measured=by_unit["rows"].per_s,
            at_least=True,
        ),
        Target(
            what="records a second, from NDJSON",
            promised=3e5,
            measured=by_unit["records"].per_s,
            at_least=True,
        ),
        Target(
            what="records a second, from Kafka's answers, compressed",
            promised=3e5,
            measured=min(one.per_s for one in answers_of),
            at_least=True,
        ),
        Target(
            what="us a look at 20 features",
            promised=50.0,
            measured=by_unit["looks"].seconds * 1e6,
            at_least=False,
        ),
    )


def results_of(scale: float, repetitions: int) -> Results:
    """All parts."""
    load = os.getloadavg()[0]
    rates = [
        *ours.arrays(int(400_000 * scale), repetitions),
        *ours.records(int(40_000 * scale), repetitions),
        *answers.answers(int(40_000 * scale), repetitions),
        *ours.looks(5000),
        *ours.yardstick(5000),
    ]
    memory = tuple(ours.memory(tuple(int(size * scale) for size in (10_000, 1_000_000, 4_000_000))))
    targets = targets_of(rates)
    others, versions, absent = of_peers()
    return Results(
        date=machine.today(),
        commit=machine.commit(),
        modified=machine.is_modified(),
        cpu=machine.describe().cpu,
        load=round(load, 1),
        versions={name: version(name) for name in ("numpy", "scipy")} | versions,
        rates=(*rates, *others),
        memory=memory,
        targets=targets,
        absent=tuple(absent),
    )


def tables_of(runs: int, folder: Path, kept: Path | None = None) -> int:
    """The exit status: 1 when ours is wrong more often than it says."""
    found = nulls.run(runs, kept=nulls.load(kept) if kept else None)
    print(f"{nulls.save(found, folder)}, {found.seconds:.0f} s")
    for sentence in (*found.absent, *found.broken):
        print(sentence)
    return int(bool(found.broken))


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 1 when a target of ours is missed."""
    parser = argparse.ArgumentParser(prog="bench.drift", description=__doc__)
    parser.add_argument("--install", action="store_true", help="make the peers' environments")
    parser.add_argument("--scale", type=float, default=1.0, help="of the sizes (default 1)")
    parser.add_argument("--repetitions", type=int, default=9)
    parser.add_argument("--output", type=Path, default=findings.FOLDER, help="folder of the JSON")
    parser.add_argument("--tables", action="store_true", help="count false alarms")
    parser.add_argument("--runs", type=int, default=2000, help="of each way of counting them")
    parser.add_argument("--peers", type=Path, help="of --tables: a kept run to take peers from")
    asked = parser.parse_args(arguments)
    if asked.tables:
        return tables_of(
            asked.runs,
            detection.FOLDER if asked.output == findings.FOLDER else asked.output,
            asked.peers,
        )
    if asked.install:
        for library in peers.LIBRARIES:
            print(peers.install(library))
    found = results_of(asked.scale, asked.repetitions)
    print(findings.save(found, asked.output))
    for rate in found.rates:
        print(f"{rate.system}: {rate.what}: {rate.per_s:,.0f} {rate.unit}/s")
    for target in found.targets:
        word = "met" if target.is_met else "missed"
        print(f"{target.what}: {target.measured:,.0f}, promised {target.promised:,.0f}: {word}")
    return int(not all(target.is_met for target in found.targets))


if __name__ == "__main__":
    sys.exit(main())
