"""`python -m bench.statistics`: runs the campaign, keeps it as JSON; fails on a broken promise."""

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

from bench import machine
from bench.statistics import campaign, findings
from bench.statistics.campaign import Campaign
from bench.statistics.findings import Results

Found = TypeVar("Found")


def all_of(
    asked: Campaign, parts: Sequence[Callable[[Campaign], Iterator[Found]]]
) -> tuple[Found, ...]:
    """The findings of some parts, one after the other."""
    return tuple(found for part in parts for found in part(asked))


def results_of(asked: Campaign) -> Results:
    """All parts."""
    began = time.monotonic()
    sizes = all_of(asked, campaign.SIZES)
    coverage = all_of(asked, campaign.COVERAGE)
    power = all_of(asked, campaign.POWER)
    samples = all_of(asked, campaign.SAMPLES)
    skewed = all_of(asked, campaign.SKEWED)
    return Results(
        date=machine.today(),
        commit=machine.commit(),
        modified=machine.is_modified(),
        seed=asked.seed,
        seconds=round(time.monotonic() - began, 1),
        versions={name: version(name) for name in ("numpy", "scipy")},
        sizes=sizes,
        coverage=coverage,
        power=power,
        samples=samples,
        skewed=skewed,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 1 when something did not keep its promise."""
    parser = argparse.ArgumentParser(prog="bench.statistics", description=__doc__)
    parser.add_argument("--runs", type=int, default=2000, help="of each setting (default 2000)")
    parser.add_argument("--looks", type=int, default=200, help="of each run (default 200)")
    parser.add_argument("--seed", type=int, default=Campaign.seed)
    parser.add_argument("--output", type=Path, default=findings.FOLDER, help="folder of the JSON")
    asked = parser.parse_args(arguments)
    found = results_of(Campaign(runs=asked.runs, looks=asked.looks, seed=asked.seed))
    print(f"{findings.save(found, asked.output)}, {found.seconds:.0f} s")
    for sentence in found.broken:
        print(sentence)
    return int(bool(found.broken))


if __name__ == "__main__":
    sys.exit(main())
