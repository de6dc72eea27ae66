"""Draws the tables of docs/statistics.md: `python -m bench.statistics.tables [FILE]`."""

import sys
from collections.abc import Iterable
from pathlib import Path

from bench.page import Page, markdown
from bench.statistics import findings
from bench.statistics.findings import Power, Results, Size
from bench.summary import Table


def size_rows(found: Iterable[Size]) -> tuple[tuple[str, ...], ...]:
    """One row a setting; what promises nothing has no limit."""
    return tuple(
        (
            f"{each.test}: {each.setting}",
            str(each.runs),
            f"{each.alpha:g}",
            f"{each.rate:.3f}",
            f"{each.limit:.3f}" if each.is_ours else "",
        )
        for each in found
    )


def power_rows(found: Iterable[Power]) -> tuple[tuple[str, ...], ...]:
    """One row a setting."""
    return tuple(
        (
            f"{each.test}: {each.setting}",
            str(each.runs),
            f"{each.found / each.runs:.2f}",
            requests(each.median),
            requests(each.p90),
            requests(each.promised) if each.promised else "",
        )
        for each in found
    )


def requests(number: float | None) -> str:
    """A whole number; a dash for never."""
    return "–" if number is None else f"{number:,.0f}"


def tables(results: Results) -> list[Table]:
    """All of them."""
    rates = ("test and setting", "runs", "alpha", "rate", "limit")
    speeds = ("test and setting", "runs", "told", "median", "p90", "promised median")
    return [
        Table("False alarms", rates, size_rows(results.sizes)),
        Table("Intervals that miss the truth at some look", rates, size_rows(results.coverage)),
        Table("Requests of the challenger until it is told", speeds, power_rows(results.power)),
        Table("Sample ratios: false alarms", rates, size_rows(results.samples)),
        Table("Sample ratios: units until it is told", speeds, power_rows(results.skewed)),
    ]


def page_part(results: Results) -> str:
    """All that stands between the markers."""
    versions = ", ".join(f"{name} {number}" for name, number in results.versions.items())
    looks = min(each.looks for each in results.sizes)
    head = [
        f"Measured on {results.date[:10]} at commit `{results.commit}`"
        f"{', with changes not committed,' if results.modified else ''}"
        " with `python -m bench.statistics`, "
        f"seed {results.seed}, {versions}; {results.seconds:.0f} s on one core.",
        f"A run is {looks} looks or more; an alarm, or a miss, at any of them counts.",
        "The limit is alpha and three standard errors; rows without one are other ways of testing.",
    ]
    return "\n".join(["\n".join(head) + "\n", *(markdown(each) for each in tables(results))])


PAGE = Page(
    Path(__file__).resolve().parents[2] / "docs" / "statistics.md",
    findings.FOLDER,
    lambda file: page_part(findings.load(file)),
    "bench.statistics.tables",
)

if __name__ == "__main__":
    sys.exit(PAGE.main())
