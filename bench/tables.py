"""Draws the tables of bench/README.md and of the front page: `python -m bench.tables [FILE]`."""

import sys
from collections.abc import Callable
from pathlib import Path

from bench import budgets, results
from bench.load.peers import ROOT
from bench.page import Page, markdown
from bench.results import Report
from bench.sheets import front_table, tables


def preamble(report: Report) -> str:
    """Where, when and how, one sentence a line."""
    where = report.machine
    versions = ", ".join(f"{name} ({text})" for name, text in report.versions.items())
    disk = f"state on {where.disk}, " if where.disk else ""
    changes = ", with changes not committed" if report.modified else ""
    lines = [
        f"Measured on {report.date[:10]} at commit `{report.commit}`{changes}"
        f" with `{report.command}`: medians of {report.rounds} rounds of {report.seconds} s.",
        f"Machine: {where.cores} cores of {where.cpu}, "
        f"{where.memory_bytes / 2**30:.0f} GiB, Linux {where.kernel}, {disk}"
        f"Python {where.python}, frequency governor: {where.governor}.",
        f"The host took {where.stolen_share:.1%} of the CPU time during the run.",
        f"Versions: {versions}.",
    ]
    lines += [f"Not measured: {sentence}." for sentence in report.skipped.values()]
    return "\n".join(lines) + "\n"


def page_part(report: Report) -> str:
    """All that stands between the markers."""
    drawn = [*tables(report), budgets.table(budgets.compare(report))]
    return "\n".join([preamble(report), *(markdown(table) for table in drawn)])


def front_part(report: Report) -> str:
    """What the front page shows: one table, and where it comes from."""
    origin = (
        f"Measured on {report.date[:10]}, on {report.machine.cores} cores of"
        f" {report.machine.cpu}; medians. `gateway-unrecorded` keeps no prediction log.\n"
    )
    return "\n".join([markdown(front_table(report)), origin])


def page_of(path: Path, part: Callable[[Report], str]) -> Page:
    """A page that shows one of the published results."""
    return Page(path, results.FOLDER, lambda file: part(results.load(file)), "bench.tables")


PAGE = page_of(Path(__file__).with_name("README.md"), page_part)
FRONT = page_of(ROOT / "README.md", front_part)

if __name__ == "__main__":
    sys.exit(max(page.main() for page in (PAGE, FRONT)))
