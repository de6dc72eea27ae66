"""Draws the tables of docs/drift.md from a run's JSON, between two markers.

`python -m bench.drift.tables FILE` names the result the page shows from now on; without FILE
the one it names is drawn again; `--check` only says whether the page is as drawn.

Rule: nothing between the markers is written by hand; a test compares.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.drift import findings
from bench.drift.findings import Results
from bench.summary import Table
from bench.tables import NONE, markdown, named_file, redrawn

PAGE = Path(__file__).resolve().parents[2] / "docs" / "drift.md"


def tables(results: Results) -> list[Table]:
    """All of them."""
    rates = tuple(
        (f"{one.system}: {one.what}", f"{one.per_s:,.0f}", one.unit, f"{one.count:,}")
        for one in results.rates
    )
    memory = tuple(
        (f"{one.rows:,}", f"{one.state_bytes:,}", f"{one.grown_bytes / 2**20:.1f} MiB")
        for one in results.memory
    )
    targets = tuple(
        (
            one.what,
            f"{'at least' if one.at_least else 'at most'} {one.promised:,.0f}",
            f"{one.measured:,.0f}",
            "yes" if one.is_met else "no",
        )
        for one in results.targets
    )
    return [
        Table("Targets", ("what", "promised", "measured", "met"), targets),
        Table("One core, a second", ("what", "rate", "unit", "measured on"), rates),
        Table("Memory of 20 profiles", ("rows", "state, bytes", "process grew by"), memory),
    ]


def page_part(results: Results) -> str:
    """All that stands between the markers."""
    versions = ", ".join(f"{name} {number}" for name, number in results.versions.items())
    head = [
        f"Measured on {results.date[:10]} at commit `{results.commit}`"
        f"{', with changes not committed,' if results.modified else ''}"
        f" with `python -m bench.drift` on one core of {results.cpu}; {versions}.",
        "Times are processor time of the fastest repetition; of a look, the fastest of 5,000.",
        f"The machine's load was {results.load:g} when the run began: a busy one is slower.",
        *(f"{sentence}." for sentence in results.absent),
    ]
    return "\n".join(["\n".join(head) + "\n", *(markdown(each) for each in tables(results))])


def page_for(page: str, file: str) -> str:
    """The page as it should be with a result of bench/drift/results."""
    if file == NONE:
        return redrawn(page, NONE, "No run has been published yet.\n")
    return redrawn(page, file, page_part(findings.load(findings.FOLDER / file)))


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(prog="bench.drift.tables", description=__doc__)
    parser.add_argument("file", nargs="?", type=Path, help="a result in bench/drift/results")
    parser.add_argument("--check", action="store_true", help="change nothing; fail on a difference")
    asked = parser.parse_args(arguments)
    page = PAGE.read_text("utf-8")
    wanted = page_for(page, asked.file.name if asked.file else named_file(page))
    if asked.check:
        return int(page != wanted)
    PAGE.write_text(wanted, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
