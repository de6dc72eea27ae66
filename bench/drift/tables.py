"""Draws the tables of docs/drift.md: `python -m bench.drift.tables [FILE]`."""

from __future__ import annotations

import sys
from pathlib import Path

from bench.drift import findings
from bench.drift.findings import Results
from bench.page import Page, markdown
from bench.summary import Table


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


PAGE = Page(
    Path(__file__).resolve().parents[2] / "docs" / "drift.md",
    findings.FOLDER,
    lambda file: page_part(findings.load(file)),
    "bench.drift.tables",
)

if __name__ == "__main__":
    sys.exit(PAGE.main())
